"""The verbs of hilum as functions: each does in Python what the command of its name does.

They are reached as `hilum.read`, `hilum.evaluate` and so on, and loaded on first use.
"""

from hilum.api.lab import calibrate, check, read, train
from hilum.api.numbers import audit, compare, evaluate
from hilum.api.trust import readers, rule_out, watch_check, watch_fit

__all__ = [
    "audit",
    "calibrate",
    "check",
    "compare",
    "evaluate",
    "read",
    "readers",
    "rule_out",
    "train",
    "watch_check",
    "watch_fit",
]
