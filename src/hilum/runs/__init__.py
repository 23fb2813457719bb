"""A run: its recipe, and the folder that training or importing leaves. Needs no torch."""
