"""What a dataset is, as tables and a figure."""
