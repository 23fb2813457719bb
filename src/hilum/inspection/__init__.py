"""What a dataset is before anything is trained on it: counts, copies, and what would go wrong."""
