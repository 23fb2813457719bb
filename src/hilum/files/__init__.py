"""Files on disk: written whole or not at all, locked, sealed, and read line by line."""
