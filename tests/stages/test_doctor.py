"""The doctor reports what is here, names what is missing, and loads no torch."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

import hilum
from hilum.stages.doctor import diagnose, machine

CPUINFO = """processor : 0
model name : A processor
flags : fpu avx2 avx512f amx_bf16

processor : 1
model name : Another
flags : fpu
"""


def test_machine_reads_processor_and_memory(tmp_path: Path) -> None:
    (tmp_path / "cpuinfo").write_text(CPUINFO)
    (tmp_path / "meminfo").write_text("MemTotal: 16000000 kB\nMemAvailable: 2000000 kB\n")
    here = machine(tmp_path)
    assert here.processor == "A processor"
    assert here.instructions == ("AVX2", "AVX-512", "AMX BF16")
    assert (here.memory_gb, here.available_gb) == (16.4, 2.0)
    assert here.cores >= 1


def test_machine_without_proc_is_unknown_and_no_error(tmp_path: Path) -> None:
    here = machine(tmp_path / "nowhere")
    assert here.instructions is here.memory_gb is here.available_gb is None


def test_missing_decoder_and_runtime_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    def absent(*_: object) -> None:
        raise ImportError("no such library here")

    monkeypatch.setitem(sys.modules, "jpeg_ls", None)
    for runtime in ("OpenVino", "OnnxRuntime"):
        monkeypatch.setattr(f"hilum.inference.engine.{runtime}", absent)
    found = diagnose()
    assert [one.films for one in found.decoders if one.version is None] == ["JPEG-LS in DICOM"]
    decoder, test = found.missing
    assert decoder.startswith("pyjpegls cannot be loaded")
    assert test.startswith("the self-test failed: ")
    assert found.self_test.scored == 0
    assert found.self_test.films_per_second is None


def test_command_ends_with_0_and_loads_no_torch() -> None:
    script = (
        "import sys; from hilum.cli import main; sys.argv = ['hilum', 'doctor', '--json']\n"
        "try: main()\n"
        "except SystemExit as stopped: code = stopped.code\n"
        "sys.exit(99 if 'torch' in sys.modules else code)"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
    found = json.loads(done.stdout)
    assert found["versions"]["hilum"] == hilum.__version__
    assert found["missing"] == []
    assert found["self_test"]["scored"] == found["self_test"]["films"] == 16
    assert found["self_test"]["films_per_second"] > 0
    assert all(sentence.endswith(".") for sentence in found["slow"])
