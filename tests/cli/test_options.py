"""Options explain themselves: closed lists, defaults, panels, and words that a shell completes."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.main import get_command

from hilum.batch.archive.reports import TABLES
from hilum.batch.patients import Phi
from hilum.cli.app import app
from hilum.domain.documents.rule_out import MissUnit
from hilum.domain.documents.worklist import ListPolicy
from hilum.domain.findings import label_sets
from hilum.domain.members import members
from hilum.domain.policy import Blank, Conflict, Uncertain, Views, Votes
from hilum.explain.files import PictureFormat
from hilum.explain.ramp import Style
from hilum.inference.engine import Precision
from hilum.predictions.levels import Combine, Level
from hilum.stages.calibrate import GOALS

CALIBRATORS = members("hilum.calibration.curves")
LISTS = {
    "--blank": tuple(Blank),
    "--calibrate": CALIBRATORS,
    "--choose-on": ("tune", "test"),
    "--combine": tuple(Combine),
    "--data-set": members("hilum.datasets"),
    "--engine": tuple(one for one in members("hilum.batch.engines") if one != "base"),
    "--format": members("hilum.report.printed"),
    "--label-set": tuple(label_sets()),
    "--level": tuple(Level),
    "--method": CALIBRATORS,
    "--no-finding": tuple(Conflict),
    "--phi": tuple(Phi),
    "--pictures-as": tuple(PictureFormat),
    "--policy": tuple(ListPolicy),
    "--precision": tuple(Precision),
    "--style": tuple(Style),
    "--target": tuple(GOALS),
    "--to": ("onnx", "openvino", "safetensors", "torchscript", "hf", "timm"),
    "--truth": ("experts", "reports"),
    "export-table --to": tuple(TABLES),
    "--uncertain": tuple(Uncertain),
    "--unit": tuple(MissUnit),
    "--views": tuple(Views),
    "--votes": tuple(Votes),
    "layout": ("nih", "chexpert"),
}
"""What each closed list accepts, as the code that refuses other words has it."""
FREE = {
    *("config", "inputs", "--set", "--sink", "--claim", "--label-order", "--prevalence"),
    *("--heatmaps", "--shard", "--gate", "--film", "--host", "--host-name", "--scope", "name"),
    *("weights", "--profile", "--accept-license", "--mirror", "--dicom", "--of", "--within"),
    *("--backbone", "--first", "films", "--keep", "--false-alarms", "models"),
    *("--label-noise", "source", "--rate", "--hours", "--address", "--workers"),
}
"""Text that is no closed list: names, pairs, patterns, or words beside names."""


def words_of(verb: str, option: str) -> tuple[str, ...]:
    """What an option accepts: of a verb's own list, or of that of all verbs."""
    return LISTS.get(f"{verb} {option}") or LISTS[option]


def parameters() -> Iterator[tuple[str, Any]]:
    """Every verb with each of its parameters."""
    for verb, command in verbs(get_command(app).commands):  # pyright: ignore
        for parameter in command.params:
            yield verb, parameter


def verbs(commands: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    """Every verb by its words, those of groups too."""
    for name, command in commands.items():
        below = verbs(getattr(command, "commands", {}))
        yield name, command
        yield from ((f"{name} {word}", one) for word, one in below)


EVERY = [pytest.param(verb, one, id=f"{verb} {one.opts[0]}") for verb, one in parameters()]
CLOSED = [
    pytest.param(verb, one, id=f"{verb} {one.opts[0]}")
    for verb, one in parameters()
    if one.opts[0] in LISTS and one.type_descriptor.is_choice  # `upgrade --policy` is a file
]


@pytest.mark.parametrize(("verb", "parameter"), EVERY)
def test_a_closed_list_is_in_the_type_of_its_option(verb: str, parameter: Any) -> None:
    kind = parameter.type_descriptor
    if kind.is_choice:
        assert tuple(kind.choices) == words_of(verb, parameter.opts[0])
    elif kind.annotation in (str, list[str]):
        assert parameter.opts[0] in FREE


def test_every_list_and_every_free_text_is_still_there() -> None:
    options = {one.opts[0] for _, one in parameters()}
    assert options | {f"{verb} {one.opts[0]}" for verb, one in parameters()} >= {*LISTS, *FREE}


@pytest.mark.parametrize(("verb", "parameter"), CLOSED)
def test_another_word_is_refused_with_the_list(said: Any, verb: str, parameter: Any) -> None:
    option = parameter.opts[0]
    words = [*verb.split(), *([option] if option.startswith("-") else [])]
    code, out, err = said(*words, "no-such-word")
    assert (code, out) == (2, "")
    known = ", ".join(words_of(verb, option))
    assert err == f"hilum: {option} must be one of {known}; got 'no-such-word'.\n"


@pytest.mark.parametrize(("verb", "parameter"), CLOSED)
def test_help_shows_the_words(said: Any, monkeypatch: Any, verb: str, parameter: Any) -> None:
    monkeypatch.setenv("COLUMNS", "500")
    monkeypatch.setattr("typer.rich_utils.MAX_WIDTH", 500)
    assert f"<{'|'.join(words_of(verb, parameter.opts[0]))}>" in said(*verb.split(), "--help")[1]


@pytest.mark.parametrize(
    ("typed", "offered"),
    [
        ("check films --uncertain ", ["ignore", "positive", "negative", "soft"]),
        ("calibrate run --method tem", ["temperature", "temperature_shared"]),
        ("predict starter film.png --format ", ["console", "json", "markdown"]),
        ("phantom ", ["nih", "chexpert"]),
        ("eval", ["evaluate"]),
    ],
)
def test_a_shell_completes_the_words(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    typed: str,
    offered: list[str],
) -> None:
    monkeypatch.setenv("_HILUM_COMPLETE", "complete_bash")
    monkeypatch.setenv("COMP_WORDS", f"hilum {typed}")
    monkeypatch.setenv("COMP_CWORD", str(typed.count(" ") + 1))
    with pytest.raises(SystemExit) as stopped:
        get_command(app).main([], prog_name="hilum")
    assert stopped.value.code == 0
    assert capsys.readouterr().out.split() == offered


@pytest.mark.parametrize(("verb", "parameter"), EVERY)
def test_help_is_a_sentence_with_the_default(verb: str, parameter: Any) -> None:
    text = parameter.help
    assert text.endswith(".")
    assert text[0].isupper()
    assert len(text) <= 100
    # typer itself adds the default where there is a value
    unset = parameter.default is None and not parameter.required
    assert ("(default" in text) == unset


def test_options_of_a_verb_with_many_stand_in_panels() -> None:
    for verb, command in verbs(get_command(app).commands):  # pyright: ignore
        options = [one for one in command.params if one.param_type_name == "option"]
        if len(options) > 8:
            assert [one.opts[0] for one in options if one.rich_help_panel is None] == [], verb


def test_names_of_extension_folders_are_listed_without_loading_them() -> None:
    script = (
        "import sys; from hilum.cli.app import app\n"
        "print(sorted(name for name in sys.modules if name.startswith('hilum.')"
        " and not name.startswith(('hilum.cli', 'hilum.domain'))))"
    )
    environment = {"PATH": os.defpath, "HOME": str(Path.home())}
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True, env=environment
    )
    assert done.stdout == "[]\n"
