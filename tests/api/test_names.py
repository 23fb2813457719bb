"""The names on `hilum` itself: light to import, and each a function whatever was loaded before."""

from __future__ import annotations

import pkgutil
import subprocess
import sys

import pytest

import hilum

VERBS = ("audit", "calibrate", "check", "compare", "evaluate", "read", "train")


@pytest.mark.parametrize("verb", VERBS)
def test_verbs_are_functions(verb: str) -> None:
    assert callable(getattr(hilum, verb))


def test_no_verb_shares_its_name_with_a_room() -> None:
    """Importing such a room would put the package in the function's place."""
    rooms = {module.name for module in pkgutil.iter_modules(hilum.__path__)}
    assert rooms & set(VERBS) == set()


def test_importing_hilum_loads_nothing_heavy() -> None:
    code = "import hilum, sys; print([m for m in ('numpy', 'pandas', 'torch') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.stdout, done.stderr) == ("[]\n", "")
