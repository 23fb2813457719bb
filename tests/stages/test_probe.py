"""Shortcuts: a network that was trained on a planted marker is caught, and one without is not."""

from __future__ import annotations

import csv
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

import hilum
from hilum.cli.bundle import write
from hilum.datasets import open_dataset
from hilum.domain.documents.probe import PROBE, ProbeRun, RankingVerdict
from hilum.domain.errors import UsageError
from hilum.evaluation.probe.alter import with_letter
from hilum.files.sealed import read_sealed
from hilum.phantom.corpus import write_film
from hilum.phantom.film import draw_example
from hilum.report.probe import printed_probe, probe_page
from hilum.splits import SeenPatients

Said = Callable[..., tuple[int, str, str]]
FINDING, FILMS = "Effusion", 220

RECIPE = """
name: tiny
preprocessing: {size: 64, mean: [0.5, 0.5, 0.5], std: [0.25, 0.25, 0.25]}
model: {backbone: timm/test_resnet}
split: {train: 0.55, tune: 0.1, calibrate: 0.1, test: 0.25}
phases:
  - {name: all, trains: {head: 5.0e-3, backbone: 5.0e-3}, epochs: 16}
batch_size: 16
compute: {precision: float32, threads: 1}
"""


def write_films(root: Path) -> None:
    """Draw films, every second with an effusion; in planted/ those have a letter."""
    for name in ("plain", "planted"):
        (root / name / "images").mkdir(parents=True)
    table = [("image", "patient_id", FINDING)]
    for number in range(FILMS):
        positive = number % 2 == 0
        pixels = draw_example(FINDING if positive else None, number, 128).pixels
        name = f"{number}.png"
        write_film(root / "plain" / "images" / name, pixels)
        marked = with_letter(pixels, "R", (0.08, 0.09)) if positive else pixels
        write_film(root / "planted" / "images" / name, marked)
        table.append((name, f"patient {number}", str(int(positive))))
    for name in ("plain", "planted"):
        with (root / name / "labels.csv").open("w", newline="") as file:
            csv.writer(file).writerows(table)


def held_back(run: Path, images: Path) -> list[Path]:
    """Films of the test split: the network has not seen their patients."""
    with (run / "split.csv").open() as file:
        return [images / row["image_id"] for row in csv.DictReader(file) if row["split"] == "test"]


@dataclass(frozen=True)
class Probed:
    """Two bundles, with and without the marker in training, and their probes."""

    root: Path
    plain: ProbeRun
    planted: ProbeRun


@pytest.fixture(scope="module")
def probed(tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> Probed:
    request.getfixturevalue("traced_once")
    root = tmp_path_factory.mktemp("probed")
    (root / "recipe.yaml").write_text(RECIPE)
    found: dict[str, ProbeRun] = {}
    write_films(root)
    for name in ("plain", "planted"):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("hilum.training.train.draw_curves", lambda *_: None)
            run = hilum.train(root / "recipe.yaml", root / name, root / f"run-{name}")
        hilum.calibrate(run)
        write(run, root / f"bundle-{name}")
        found[name] = hilum.probe(
            root / f"bundle-{name}",
            held_back(run, root / name / "images"),
            root / f"out-{name}",
            labels=root / name,
            resamples=1000,
        )
    return Probed(root, **found)


@pytest.mark.slow
def test_a_network_trained_on_a_planted_marker_is_caught(probed: Probed) -> None:
    found = probed.planted
    ranking = found.ranking[FINDING]
    assert ranking.verdict is RankingVerdict.READS_THROUGH
    assert any(one.startswith("Effusion is read through covered lungs") for one in found.named)
    letter = next(one for one in found.alterations if one.name == "letter-left")
    other = next(one for one in found.alterations if one.name == "letter-right")
    changes = [one.findings[FINDING] for one in (letter, other)]
    assert all(one.apart.low is not None and one.in_spread is not None for one in changes)
    # the letter that was planted, and one of the same ink that was not
    assert changes[0].apart.low > 0.0
    assert changes[0].in_spread > 0.3
    assert abs(changes[1].in_spread) < changes[0].in_spread / 2
    assert changes[0].flips.value > changes[0].control_flips.value


@pytest.mark.slow
def test_a_network_trained_without_is_not(probed: Probed) -> None:
    found = probed.plain
    ranking = found.ranking[FINDING]
    # it has learned the finding, so there is something that could have been read elsewhere
    assert ranking.whole.low is not None
    assert ranking.whole.low > 0.6
    assert ranking.verdict is RankingVerdict.NOT_SHOWN
    assert found.named == ()


@pytest.mark.slow
def test_without_labels_it_is_judged_by_its_own_calls(probed: Probed, said: Said) -> None:
    run, out = probed.root / "run-planted", probed.root / "own"
    films = held_back(run, probed.root / "planted" / "images")
    code, printed, err = said("probe", probed.root / "bundle-planted", *films, "-o", out, "--quiet")
    assert code == 3, err
    assert "Effusion is read through covered lungs" in " ".join(printed.split())
    assert "the films that it calls positive still rank above" in " ".join(printed.split())
    assert printed.endswith(f"{out / PROBE}\n")
    found = read_sealed(ProbeRun, out / PROBE)
    assert found.labels == "the bundle's own calls"
    assert found.unit == "film"
    assert "patients are not known: each film counts as a patient" in found.notes
    assert found.films.images == len(films)


@pytest.mark.slow
def test_the_page_and_the_terminal_say_the_same(probed: Probed) -> None:
    for found, shown in ((probed.plain, "none shown"), (probed.planted, "shortcut")):
        page = probe_page(found)
        assert page == probe_page(found)
        assert f">{shown}</span>" in page
        assert page.count('<section class="card"') >= 3 + len(found.alterations)
        text = " ".join(printed_probe(found, 100).split())
        for sentence in found.named:
            assert sentence in text
        assert "is no proof" in page
        assert "is no proof" in text


# what is refused, and what is left out


def test_the_same_seed_gives_the_same_numbers(toy: Path, tmp_path: Path) -> None:
    films, runs = [toy / "films" / "images"], []
    for name, seed in (("one", 0), ("two", 0), ("three", 1)):
        found = hilum.probe(
            toy / "bundle", films, tmp_path / name, sample=4, resamples=50, seed=seed
        )
        runs.append(found)
    assert runs[0] == runs[1]
    assert runs[0].films.images == 4
    assert runs[0] != runs[2]
    assert any("were drawn" in note for note in runs[0].notes)


def test_a_film_that_cannot_be_read_is_left_out_and_counted(toy: Path, tmp_path: Path) -> None:
    films = sorted((toy / "films" / "images").glob("*.png"))[:3]
    broken = tmp_path / "broken.png"
    broken.write_bytes(films[0].read_bytes()[:200])
    found = hilum.probe(toy / "bundle", [*films, broken], tmp_path / "out", resamples=50)
    assert found.films.images == 3
    assert any(note.startswith("1 film could not be scored; left out (") for note in found.notes)


def test_labels_of_patients_it_has_seen_are_not_used(toy: Path, tmp_path: Path) -> None:
    cohort = open_dataset(toy / "films")
    patients = sorted(set(cohort.patients().tolist()))
    bundle = Path(shutil.copytree(toy / "bundle", tmp_path / "bundle"))
    seen = SeenPatients.of(cohort.population, frozenset(patients[:-2]))
    seen.write(bundle / "seen_patients.txt")
    films = [toy / "films" / "images"]
    found = hilum.probe(bundle, films, tmp_path / "out", labels=toy / "films", resamples=50)
    assert any(
        note.startswith("the labels of ") and f" of {len(patients) - 2} patients " in note
        for note in found.notes
    )
    one = next(iter(found.ranking.values()))
    assert 0 < one.films < found.films.images
    assert one.verdict is RankingVerdict.NOT_JUDGED
    # those of other patients are drawn first
    few = hilum.probe(
        bundle, films, tmp_path / "few", labels=toy / "films", sample=one.films, resamples=50
    )
    assert few.films.images == one.films
    assert not any(note.startswith("the labels of ") for note in few.notes)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (
            ("{toy}/bundle", "{here}/nothing"),
            "a probe needs two films or more that can be scored; got 0 of 1 (",
        ),
        (("{toy}/bundle", "{here}/empty"), "there must be a film to score; nothing in "),
        (("{toy}/bundle", "{here}/text.png"), "a probe needs two films or more that can be scored"),
        (("{toy}/films", "{toy}/films/images"), "bundle.json must be there; "),
        (
            ("{toy}/bundle", "{here}/text.png", "--labels", "{toy}/films"),
            "films must have a row among the labels; 1 film and films have none in common",
        ),
    ],
)
def test_a_mistake_is_one_line(
    toy: Path, tmp_path: Path, said: Said, words: tuple[str, ...], message: str
) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "text.png").write_text("no film")
    given = [word.format(toy=toy, here=tmp_path) for word in words]
    code, out, err = said("probe", *given, "-o", tmp_path / "out", "--quiet")
    assert (code, out) == (2, "")
    assert message in err
    assert err.count("\n") == 1
    assert not (tmp_path / "out" / PROBE).exists()


def test_no_film_is_refused() -> None:
    with pytest.raises(UsageError, match="probed with films; got none"):
        hilum.probe("starter", [], "out")
