"""A command that is stopped ends with a word on how to go on, wherever the signal finds it."""

from __future__ import annotations

import importlib
import os
import signal
import sys
import threading
import time
from pathlib import Path

import pytest
import typer

from hilum.cli.terminal import AGAIN, stoppable

STOPS_ITSELF = """
import os, signal
os.kill(os.getpid(), signal.{signal})
whole = [number for number in range(1000)]
"""
DEADLINE_S = 20


@stoppable("the same command")
def imported(module: str) -> None:
    importlib.import_module(module)
    begun = time.monotonic()
    while time.monotonic() < begun + DEADLINE_S:  # the signal counts now
        time.sleep(0.01)


@stoppable("the same command")
def killed(waited: threading.Event) -> None:
    threading.Timer(0.05, os.kill, (os.getpid(), signal.SIGTERM)).start()
    waited.wait(DEADLINE_S)


@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM"])
def test_a_stop_within_an_import_waits_for_its_end(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Python can lose the exception there, and keep the lock of all imports."""
    module = f"stops_itself_{name.lower()}"
    (tmp_path / f"{module}.py").write_text(STOPS_ITSELF.format(signal=name))
    monkeypatch.syspath_prepend(tmp_path)
    handlers = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
    with pytest.raises(typer.Exit) as stopped:
        imported(module)
    assert stopped.value.exit_code == AGAIN
    assert len(sys.modules[module].whole) == 1000
    assert capsys.readouterr().err == (
        "hilum: stopped; the same command goes on where it stopped\n"
    )
    assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)] == handlers


def test_a_stop_counts_at_once_where_nothing_is_imported() -> None:
    begun = time.monotonic()
    with pytest.raises(typer.Exit):
        killed(threading.Event())
    assert time.monotonic() < begun + DEADLINE_S
