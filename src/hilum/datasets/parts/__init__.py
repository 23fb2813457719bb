"""Building blocks of readers; no file in here is a reader."""
