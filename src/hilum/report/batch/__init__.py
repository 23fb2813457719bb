"""Reports on a batch: each file but base.py is one report, named after it."""
