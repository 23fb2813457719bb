"""Other people's numbers, computed again: what holds, what does not, and what proves nothing."""
