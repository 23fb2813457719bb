"""An inspection of a dataset: as tables of words, as one picture, and as a page."""
