"""An evaluation, a comparison and heatmaps' numbers, as pages, figures and tables."""
