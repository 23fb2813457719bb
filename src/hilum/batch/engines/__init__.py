"""Where the films of a batch are worked on: each file but base.py is one engine."""
