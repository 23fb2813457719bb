"""Names of `hilum` and its packages: light to import, documented, with examples that run."""

from __future__ import annotations

import pkgutil
import re
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

import hilum

VERBS = (
    *("audit", "calibrate", "check", "compare", "deidentify", "evaluate", "probe", "read"),
    *("readers", "rule_out", "train", "upgrade", "watch_check", "watch_fit", "worklist"),
)


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


PAGE = Path(__file__).resolve().parents[2] / "docs" / "reference" / "api-packages.md"
EXAMPLE = re.compile(
    r"^```python\n(.*?)^```\n(?:\n<!-- printed -->\n```text\n(.*?)^```)?", re.M | re.S
)


@pytest.mark.parametrize(("code", "printed"), EXAMPLE.findall(PAGE.read_text("utf-8")))
def test_the_examples_of_the_packages_run(code: str, printed: str) -> None:
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.stdout, done.stderr) == (printed, "")


def test_no_verb_is_called_like_a_room() -> None:
    """Importing the room would put it in the verb's place."""
    rooms = {room.name for room in pkgutil.iter_modules(hilum.__path__)}
    verbs = [name for name in hilum.__all__ if not isinstance(getattr(hilum, name), ModuleType)]
    assert len(verbs) > 10
    assert rooms.isdisjoint(verbs)


def test_every_package_of_the_documented_names_has_its_table() -> None:
    page = PAGE.read_text("utf-8")
    packages = [name for name in hilum.__all__ if isinstance(getattr(hilum, name), ModuleType)]
    assert len(packages) == 6
    for package in (*packages, "api"):
        assert f"<!-- made: names hilum.{package} -->" in page
