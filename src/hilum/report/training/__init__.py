"""How a training run went, as a figure."""
