"""Engines that process the films of a batch: each file but base.py is one."""
