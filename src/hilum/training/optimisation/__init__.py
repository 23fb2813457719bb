"""How weights move: optimiser, schedule, average, and which epoch is kept."""
