"""From a file to a run, a bundle and a score: one network through everything."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml

from hilum import Bundle
from hilum.cli.bundle import write
from hilum.model.backbones import backbone
from hilum.runs.folder import RunFolder

Said = Callable[..., tuple[int, str, str]]
pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore"),
    pytest.mark.usefixtures("traced_once"),
]

PROFILE: dict[str, Any] = {
    "name": "small",
    "backbone": "densenet121",
    "options": {"growth_rate": 2},
    "head": ["linear fc.0", "relu", "linear fc.2"],
    "findings": ["Effusion", "", "Mass", "Fracture"],
    "input": {
        "size": 64,
        "fit": "crop",
        "channels": 1,
        "mean": [0.5],
        "std": [0.25],
        "resize": "skimage",
        "depth": "float",
    },
    "thresholds": {"Effusion": 0.3},
    "seen": [{"dataset": "nih", "films": "all of them"}],
    "license": "CC-BY-NC-4.0",
    "terms": "no commercial use",
    "citation": "A paper, 2020",
    "url": "https://example.org",
}
EXCHANGED = (
    "features.denseblock4.denselayer1.norm2.weight",
    "features.denseblock4.denselayer2.norm2.weight",
)


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A file of weights with hidden layers in its head, and its profile."""
    folder = tmp_path_factory.mktemp("weights")
    torch.manual_seed(0)
    features = backbone("densenet121").build(1, {"growth_rate": 2})
    state = dict(features.extractor.state_dict())
    for name, tensor in state.items():
        if name.endswith(("norm.weight", "running_var")) or ".norm" in name:
            state[name] = torch.rand_like(tensor.float()) + 0.5
    state = {f"module.{name}": tensor for name, tensor in state.items()}
    for name, shape in (("0", (16, features.channels)), ("2", (4, 16))):
        state[f"module.fc.{name}.weight"] = torch.randn(shape)
        state[f"module.fc.{name}.bias"] = torch.randn(shape[0])
    torch.save({"state_dict": state, "epoch": 3}, folder / "net.pth.tar")
    (folder / "profile.yaml").write_text(yaml.safe_dump(PROFILE), "utf-8")
    return folder / "net.pth.tar", folder / "profile.yaml"


def test_a_file_becomes_a_bundle(
    files: tuple[Path, Path], toy: Path, said: Said, tmp_path: Path
) -> None:
    weights, profile = files
    given = ("import", weights, "--profile", profile, "-o", tmp_path / "run")
    code, _, err = said(*given)
    assert code == 2
    assert "the license CC-BY-NC-4.0 of small must be accepted by name: no commercial use" in err
    code, out, err = said(*given, "--accept-license", "CC-BY-NC-4.0")
    assert (code, out) == (0, f"{tmp_path / 'run'}\n")
    assert "license: CC-BY-NC-4.0. no commercial use" in err
    run = RunFolder(tmp_path / "run")
    facts = run.facts()
    assert facts.network.labels == ("Effusion", "Mass", "Fracture")
    tree = json.loads((run.root / "import.json").read_text("utf-8"))
    assert tree["left"]["epoch"] == "carried unread, no tensor"

    write(run.root, tmp_path / "first")
    bundle = Bundle.load(tmp_path / "first")
    film = next((toy / "films" / "images").iterdir())
    frame = bundle.predict(film).to_frame()
    assert not frame["calibrated"].any()
    card = (tmp_path / "first" / "CARD.md").read_text("utf-8")
    for words in ("uncalibrated", "CC-BY-NC-4.0", "A paper, 2020", "nih (all of them)"):
        assert words in card

    code, _, err = said("calibrate", run.root, "--data", toy / "films", "--quiet")
    assert (code, err) == (0, "")
    write(run.root, tmp_path / "second")
    # so few drawn films have too few positives for a curve; what was fitted on is written
    second = Bundle.load(tmp_path / "second")
    assert second.manifest.calibration != bundle.manifest.calibration
    code, out, err = said("evaluate", run.root, "--resamples", "100", "--quiet")
    assert (code, err) == (0, "")
    assert "CONTAMINATED" not in out  # the films are drawn


def test_two_exchanged_tensors_are_found_by_the_golden_scores(
    files: tuple[Path, Path], said: Said, tmp_path: Path
) -> None:
    weights, profile = files
    accepted = ("--accept-license", "CC-BY-NC-4.0", "--quiet")
    assert said("import", weights, "--profile", profile, "-o", tmp_path / "a", *accepted)[0] == 0
    golden = json.loads((tmp_path / "a" / "import.json").read_text("utf-8"))["golden"]
    pinned = tmp_path / "pinned.yaml"
    pinned.write_text(yaml.safe_dump({**PROFILE, "golden": golden}), "utf-8")
    assert said("import", weights, "--profile", pinned, "-o", tmp_path / "b", *accepted)[0] == 0
    held = torch.load(weights, weights_only=True)
    one, two = (f"module.{name}" for name in EXCHANGED)
    held["state_dict"][one], held["state_dict"][two] = (
        held["state_dict"][two],
        held["state_dict"][one],
    )
    assert np.abs(held["state_dict"][one] - held["state_dict"][two]).max() > 0
    torch.save(held, tmp_path / "net.pth.tar")
    code, _, err = said(
        "import", tmp_path / "net.pth.tar", "--profile", pinned, "-o", tmp_path / "c", *accepted
    )
    assert code == 2
    assert "must give the golden scores of profile small" in err
    assert not (tmp_path / "c").exists()


def test_the_catalog_and_a_draft_are_printed(files: tuple[Path, Path], said: Said) -> None:
    code, out, _ = said("import", "--list")
    assert code == 0
    assert "xrv-densenet121-res224-all: 18 findings; Apache-2.0; seen chexpert, google" in out
    code, out, _ = said("import", files[0], "--print-profile")
    assert code == 0
    assert "backbone: densenet121" in out
    assert "# seen:" in out
    for given, word in (
        ((), "needs a file of weights"),
        ((files[0],), "needs a folder for the run"),
        ((files[0], "-o", "x"), "name the profile"),
        ((files[0], "-o", "x", "--profile", "nobody"), "no profile 'nobody'"),
    ):
        code, _, err = said("import", *given)
        assert code == 2
        assert word in err
