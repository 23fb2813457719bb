"""Many inputs through one bundle: list them, score them, write the reports."""
