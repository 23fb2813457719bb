"""Numbers of a model on one split, each with its interval, and comparisons of models."""
