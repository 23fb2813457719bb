"""Anybody's predictions: a table of scores, read tolerantly into films and findings."""
