"""Many inputs through one bundle: list them, read each in a process apart, score, report."""
