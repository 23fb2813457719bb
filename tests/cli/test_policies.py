"""U-Ignore, U-Ones and U-Zeros trained on the same drawn CheXpert, and compared by the command."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from hilum.domain.documents.comparison import Comparison, PairVerdict
from hilum.domain.findings import label_set
from hilum.files.sealed import read_sealed
from hilum.phantom.chexpert import write_chexpert
from hilum.phantom.corpus import PhantomCorpus

pytestmark = pytest.mark.slow

Said = Callable[..., tuple[int, str, str]]

POLICIES = ("ignore", "positive", "negative")
PRESET = """
name: tiny
preprocessing: {size: 64, channels: 1, mean: [0.5], std: [0.25]}
model: {backbone: timm/test_resnet, options: {zero_init_last: 0}}
split: {train: 0.3, tune: 0.4, calibrate: 0.1, test: 0.2}
phases:
  - {name: all, trains: {all: 2.0e-3}, epochs: 1}
labels: {label_set: CheXpert-5}
batch_size: 16
compute: {precision: float32, threads: 1}
"""


@pytest.mark.usefixtures("traced_once", "uncurved")
def test_policies_of_uncertain_labels_compared(tmp_path: Path, said: Said) -> None:
    films, preset = tmp_path / "films", tmp_path / "tiny.yaml"
    preset.write_text(PRESET)
    write_chexpert(PhantomCorpus(patients=50, seed=0, enrichment=6, size=128), films)
    train = ("train", preset, "--data", films, "--quiet")
    code, _, err = said(*train, "-o", tmp_path / "no")
    assert code == 2
    assert "uncertain labels: what they count as must be set" in err
    for policy in POLICIES:
        change = f"labels.uncertain={policy}"
        code, _, err = said(*train, "-o", tmp_path / policy, "--set", change)
        assert code == 0, err
    runs = [tmp_path / policy for policy in POLICIES]
    code, printed, err = said("compare", *runs, "-o", tmp_path / "out", "--resamples", 100)
    assert code == 0, err

    comparison = read_sealed(Comparison, tmp_path / "out" / "comparison.json")
    facts = {name: model.facts for name, model in comparison.models.items()}
    assert facts == {policy: {"labels.uncertain": policy} for policy in POLICIES}
    assert comparison.labels == label_set("CheXpert-5").findings
    assert comparison.split.name == comparison.chosen_on == "tune"
    areas = {name: model.auroc.value or 0.0 for name, model in comparison.models.items()}
    assert comparison.chosen == max(areas, key=areas.__getitem__)
    assert not (tmp_path / "ignore" / "evaluation.json").exists()

    assert [(pair.first, pair.second) for pair in comparison.pairs] == [
        ("ignore", "positive"),
        ("ignore", "negative"),
    ]
    for pair in comparison.pairs:
        assert pair.macro_auroc.verdict is not PairVerdict.UNKNOWN
        assert pair.words.startswith(f"{pair.second} ")
        assert pair.macro_auroc.verdict.value in pair.words

    table = (tmp_path / "out" / "comparison.md").read_text("utf-8")
    assert table in printed
    assert "| Model | labels.uncertain | AUROC, tune | AP, tune |" in table
    assert f"Chosen on tune: {comparison.chosen}." in table
    assert all(pair.words in table for pair in comparison.pairs)
