"""A language model of the merchant's choice: optional, behind one port, off until somebody switches it on."""
