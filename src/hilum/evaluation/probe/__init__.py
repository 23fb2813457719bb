"""Films altered in ways that are no finding, each beside a matched control, and what scores do."""
