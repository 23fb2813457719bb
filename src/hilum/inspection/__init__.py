"""Inspection of a dataset before training: counts, copies and problems."""
