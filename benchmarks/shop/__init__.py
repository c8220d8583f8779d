"""The frozen questions of a shop in three languages, and how the bot does on them (README.md)."""
