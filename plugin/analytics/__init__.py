"""Questions over what is kept: reports that a list of conversations can be laid beside."""
