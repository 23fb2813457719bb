"""Two bundles on the same films: what differs, and whether a policy lets the new one serve."""
