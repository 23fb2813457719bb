"""The command line: it answers fast, says mistakes in one line, and ends with the right code."""

from __future__ import annotations

import errno
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from hilum.cli.app import app, main

VERBS = tuple(one.name or one.callback.__name__ for one in app.registered_commands)
Hilum = Callable[..., subprocess.CompletedProcess[str]]


def ran(script: str) -> subprocess.CompletedProcess[str]:
    """A script in a process of its own."""
    command = [sys.executable, "-c", script]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_the_list_of_verbs_needs_no_library_and_cuts_no_line() -> None:
    script = (
        "import sys; from hilum.cli import main; sys.argv = ['hilum', '--help']\n"
        "try: main()\n"
        "except SystemExit as stopped: assert stopped.code == 0\n"
        "heavy = {'numpy', 'torch', 'openvino', 'pandas', 'matplotlib', 'pydantic', 'rich'}\n"
        "print(sorted(heavy & set(sys.modules)))"
    )
    done = ran(script)
    assert done.returncode == 0
    assert done.stdout.endswith("[]\n")
    for verb in VERBS:
        assert f" {verb} " in done.stdout
    assert "..." not in done.stdout.partition("Commands:")[2]


@pytest.mark.parametrize(("lab", "ended"), [("", ""), ("import torch;", "in order\n")])
def test_its_end_is_the_end_of_the_process_unless_torch_has_something_to_close(
    lab: str, ended: str
) -> None:
    script = (
        f"import atexit, sys; {lab} from hilum.cli import command\n"
        "atexit.register(print, 'in order')\n"
        "sys.argv = ['hilum', 'audit', 'nowhere.csv']\n"
        "print('told', end=' ')\n"
        "command()"
    )
    done = ran(script)
    assert (done.returncode, done.stdout) == (2, f"told {ended}")
    assert done.stderr.startswith("hilum: ")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full here")
def test_what_the_disk_did_not_take_is_no_success() -> None:
    hilum = Path(sys.executable).with_name("hilum")
    with Path("/dev/full").open("w") as full:
        done = subprocess.run([hilum, "--help"], stdout=full, stderr=subprocess.PIPE, check=False)
    assert done.returncode != 0
    assert done.stderr


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_explains_itself(said: Callable[..., tuple[int, str, str]], verb: str) -> None:
    code, out, err = said(verb, "--help")
    assert (code, err) == (0, "")
    assert f"hilum {verb}" in out


def test_every_verb_of_the_design_is_there() -> None:
    promised = (
        *("demo", "phantom", "check", "cache", "train", "import", "calibrate", "evaluate"),
        *("compare", "errors", "audit", "rule-out", "readers", "probe", "upgrade", "worklist"),
        *("localize", "bundle", "export", "predict", "plan", "merge", "export-table"),
        *("deidentify", "fetch", "report"),
        "doctor",
    )
    assert promised == VERBS


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("frobnicate", "No such command 'frobnicate'"),
        ("predict", "Missing argument"),
        ("phantom nih", "Missing option"),
        ("phantom nih -o new --patients 0", "Invalid value for '--patients'"),
        ("phantom nih -o new --seed -1", "seed >= 0"),
        ("phantom vindr -o new", "layout must be one of nih, chexpert; got 'vindr'"),
        ("phantom nih -o file", "cannot write .*file/images: Not a directory"),
        ("train demmo --data . -o new", r"no preset 'demmo', .* Did you mean 'demo'\?"),
        ("train none.yaml --data . -o new", "a configuration must be readable"),
        ("train demo --data nowhere -o new", "a dataset must be a folder or a table"),
        ("train demo --data . -o new", r"no dataset was recognized in \."),
        (
            "train demo --data . -o new --set sed=1",
            r"demo: sed: no such field\. Did you mean 'seed'",
        ),
        ("train demo --data .", "a run must have a folder; name it with -o"),
        ("train demo --data . -o finished", "a run is trained in a new folder; finished holds"),
        ("calibrate nowhere", r"a finished run must have run\.json; nowhere has none"),
        ("evaluate nowhere", r"a finished run must have run\.json; nowhere has none"),
        ("evaluate nowhere.csv", "a predictions CSV is evaluated with --labels DATASET and -o"),
        ("evaluate run --resamples 5", "Invalid value for '--resamples'"),
        ("bundle nowhere -o new", r"a finished run must have run\.json"),
        ("predict nowhere file -o new", "a bundle must be a folder or one of starter; nowhere is"),
        ("predict . *.bmp -o new", r"a pattern must match something; '\*\.bmp'"),
        ("upgrade nowhere starter x -o new", r"bundle.json must be there|must be a folder or one"),
        ("upgrade starter starter x -o new --policy no.yaml", "a policy must be a file of YAML"),
        ("probe nowhere x -o new", "a bundle must be a folder or one of starter; nowhere is"),
        ("probe starter none.png -o new", r"two films or more .*; got 0 of 1 \(FILE_NOT_FOUND 1\)"),
        ("train demo --data . -o finished --seeds 2", r"folders of their own; finished is a run"),
        ("worklist nowhere", "a list is of the results of `hilum predict`; nowhere has none"),
        ("worklist --reading-minutes 9", "readers must keep up with the films"),
        ("demo -o finished", "the demo needs a new folder; finished is not empty"),
    ],
)
def test_a_mistake_is_one_line_and_code_2(
    said: Callable[..., tuple[int, str, str]],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    arguments: str,
    message: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").touch()
    (tmp_path / "finished").mkdir()
    (tmp_path / "finished" / "run.json").touch()
    code, out, err = said(*arguments.split())
    assert (code, out) == (2, "")
    assert err.startswith("hilum: ")
    assert err.count("\n") == 1
    assert re.search(message, err), err
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize(
    ("error", "code", "line"),
    [
        (KeyboardInterrupt(), 75, "stopped; what was finished is kept"),
        (MemoryError(), 75, "out of memory; use smaller batches or a machine with more"),
        (OSError(errno.ENOSPC, "No space left", "out.csv"), 75, "cannot write out.csv: No space"),
        (FileExistsError(errno.EEXIST, "File exists", "out"), 2, "cannot write out: File exists"),
    ],
)
def test_what_the_machine_or_the_user_stops_may_be_run_again(
    said: Callable[..., tuple[int, str, str]],
    monkeypatch: pytest.MonkeyPatch,
    error: BaseException,
    code: int,
    line: str,
) -> None:
    def stopped(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr("hilum.phantom.nih.write_nih", stopped)
    got = said("phantom", "nih", "-o", "never")
    assert got[0] == code
    assert got[2].startswith(f"hilum: {line}")
    assert got[2].count("\n") == 1


def test_a_bug_of_ours_is_a_traceback(
    said: Callable[..., tuple[int, str, str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object, **__: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr("hilum.phantom.nih.write_nih", broken)
    monkeypatch.setattr(sys, "argv", ["hilum", "phantom", "nih", "-o", "never"])
    with pytest.raises(ZeroDivisionError):
        main()


def test_the_command_itself_ends_with_the_code(hilum: Hilum, tmp_path: Path) -> None:
    done = hilum("predict", tmp_path, tmp_path / "a.png", "-o", tmp_path / "out", code=2)
    assert done.stderr == f"hilum: bundle.json must be there; {tmp_path} has none\n"
    assert "phantom" in hilum("--help").stdout


# train, with the long part left out


def test_a_leak_in_the_dataset_is_refused_before_anything_is_trained(
    said: Callable[..., tuple[int, str, str]], tmp_path: Path
) -> None:
    films = tmp_path / "films"
    assert said("phantom", "nih", "-o", films, "--patients", 8)[0] == 0
    test, rest = films / "test_list.txt", films / "train_val_list.txt"
    listed = test.read_text().splitlines()
    patients = [name.split("_")[0] for name in listed]
    moved = next(name for name in listed if patients.count(name.split("_")[0]) > 1)
    test.write_text("".join(f"{name}\n" for name in listed if name != moved))
    rest.write_text(f"{rest.read_text()}{moved}\n")
    code, _, err = said("train", "demo", "--data", films, "-o", tmp_path / "run")
    assert code == 2
    assert "patients must not cross splits: 1 patient" in err
    assert f"first: {moved.split('_')[0].lstrip('0')}. Give all films of a patient one" in err
    assert err.count("\n") == 1
    test.write_text("".join(f"{name}\n" for name in listed))
    code, _, err = said("train", "demo", "--data", films, "-o", tmp_path / "run")
    assert code == 2
    assert f"on both train_val_list.txt and test_list.txt: 1 ({moved})" in err
    assert not (tmp_path / "run" / "checkpoints").exists()
