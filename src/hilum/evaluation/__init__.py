"""A model's numbers on one split, each with its interval; and anybody's predictions read back."""
