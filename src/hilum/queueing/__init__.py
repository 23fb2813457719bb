"""A reading room simulated event by event: arrivals, readers, and the order of the list."""
