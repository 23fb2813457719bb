"""The verbs of hilum as functions: each does in Python what the command of its name does.

They are reached as `hilum.read`, `hilum.evaluate` and so on, and loaded on first use.
"""

from hilum.api.comparison import compare
from hilum.api.export import deidentify
from hilum.api.lab import calibrate, check, read, train
from hilum.api.numbers import audit, evaluate
from hilum.api.probe import probe
from hilum.api.trust import readers, rule_out, upgrade, worklist
from hilum.api.watch import watch_check, watch_fit

__all__ = [
    "audit",
    "calibrate",
    "check",
    "compare",
    "deidentify",
    "evaluate",
    "probe",
    "read",
    "readers",
    "rule_out",
    "train",
    "upgrade",
    "watch_check",
    "watch_fit",
    "worklist",
]
