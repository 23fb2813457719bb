"""An inspection of a dataset, as tables and a figure."""
