"""A run: its configuration, its facts, and the folder that training or importing writes."""
