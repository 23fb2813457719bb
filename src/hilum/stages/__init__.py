"""Stages of a trained run before it becomes a bundle: calibrate, then evaluate."""
