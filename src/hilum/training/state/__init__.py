"""What a run must remember to go on from any moment."""
