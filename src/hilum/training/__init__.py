"""From a cohort to a trained network: configuration, films in memory, phases, the loop."""
