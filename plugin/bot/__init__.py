"""The bot: what a message says (`understand`), what is done about it (`decide`), and how well (`evaluate`)."""
