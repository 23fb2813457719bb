"""`hilum doctor` and `hilum --version` on the screen, with their exit codes."""

from __future__ import annotations

import sys

import pytest

import hilum
from hilum.cli.app import main


def ended(monkeypatch: pytest.MonkeyPatch, *words: str) -> int | str | None:
    monkeypatch.setattr(sys, "argv", ["hilum", *words])
    with pytest.raises(SystemExit) as stopped:
        main()
    return stopped.value.code


def test_version_is_one_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert ended(monkeypatch, "--version") == 0
    assert capsys.readouterr() == (f"hilum {hilum.__version__}\n", "")


def test_missing_decoder_ends_with_3_and_is_shown(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "jpeg_ls", None)
    assert ended(monkeypatch, "doctor") == 3
    shown = capsys.readouterr().out
    assert "pyjpegls MISSING" in shown
    assert "Missing\n  pyjpegls cannot be loaded: no decoder for JPEG-LS in DICOM." in shown
    for heading in ("Versions", "Machine", "Extras", "Decoders", "Self-test", "Slow here"):
        assert f"{heading}\n  " in shown
    assert "16 of 16 drawn films scored" in shown
