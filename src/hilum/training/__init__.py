"""Training of a network on a cohort: films in memory, phases, the loop."""
