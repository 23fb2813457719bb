"""Fit and measure the small network of the gate: `python -m scripts.fit_gate --help`."""
