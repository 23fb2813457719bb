"""Anybody's table of scores: films and findings by name, values as they are."""
