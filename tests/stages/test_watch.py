"""A reference that ships in a bundle: bound by hash, and held against what the bundle scores."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from hilum.bundle.bundle import Bundle
from hilum.domain.documents.results import FindingResult, ImageResult
from hilum.domain.documents.watch import WATCH_REFERENCE, WatchCheck, WatchReference
from hilum.domain.errors import BundleError, Status, UsageError
from hilum.files.sealed import read_sealed, write_sealed
from hilum.monitoring.reference import ReferenceRequest
from hilum.report.batch.results_jsonl import line_of
from hilum.stages.watch import CheckRequest, check_batch, check_results, fit_results
from hilum.stages.watch_table import FilmTables

Said = Callable[..., tuple[int, str, str]]
FILMS = 240


def rows(bundle: Bundle, folder: Path, count: int, shift: float = 0.0, seed: int = 0) -> Path:
    """Results of a bundle on films that nobody has, and their table; each film has its patient."""
    rng = np.random.default_rng(seed)
    points = bundle.manifest.calibration.thresholds()
    lines: list[str] = []
    for number in range(count):
        p = 1 / (1 + np.exp(2 - shift - rng.normal(size=len(bundle.labels))))
        found = {
            name: FindingResult.called(float(one), points[name], calibrated=True)
            for name, one in zip(bundle.labels, p, strict=True)
        }
        film = ImageResult(
            input=f"{seed}-{number}.png",
            image_id=f"{seed}-{number}.png",
            sha256="0" * 64,
            status=Status.OK,
            findings=found,
            bundle=bundle.id,
            precision=bundle.precision.value,
        )
        lines.append(line_of(film))
    folder.mkdir()
    (folder / "results.jsonl").write_text("\n".join(lines) + "\n")
    table = [f"{seed}-{k}.png,P{seed}-{k},2026-03-0{1 + k // 30}" for k in range(count)]
    (folder / "films.csv").write_text("image_id,patient_id,StudyDate\n" + "\n".join(table))
    return folder


def fit(bundle: Path, folder: Path, out: Path) -> Path:
    """A reference without dates, so that any later day is later."""
    table = (folder / "films.csv").read_text().splitlines()
    (folder / "nodates.csv").write_text("\n".join(line.rpartition(",")[0] for line in table))
    request = ReferenceRequest(date="2026-01-02", false_alarms=0.05, drawn=1000, deals=1)
    fit_results(bundle, folder, out, FilmTables(folder / "nodates.csv"), request)
    return out


@pytest.fixture(scope="module")
def shipped(toy: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """old/ (results), reference/ and bundle/ of the toy run, which carries it."""
    from hilum.cli.bundle import write

    place = tmp_path_factory.mktemp("shipped")
    old = rows(Bundle.load(toy / "bundle"), place / "old", FILMS)
    fit(toy / "bundle", old, place / "reference")
    write(toy / "run", place / "bundle", watch=place / "reference")
    return place


def test_a_bundle_carries_its_reference_and_nothing_of_a_patient(shipped: Path, toy: Path) -> None:
    plain, watched = Bundle.load(toy / "bundle"), Bundle.load(shipped / "bundle")
    assert plain.reference is None
    assert watched.reference is not None
    assert watched.reference.bond == watched.manifest.calibration.bond
    assert set(watched.manifest.files) - set(plain.manifest.files) == {WATCH_REFERENCE}
    text = (shipped / "bundle" / WATCH_REFERENCE).read_text()
    assert "P0-" not in text
    assert ".png" not in text


def test_a_reference_of_anything_else_does_not_get_in(
    shipped: Path, toy: Path, tmp_path: Path
) -> None:
    from hilum.cli.bundle import write

    frozen = read_sealed(WatchReference, shipped / "reference" / WATCH_REFERENCE)
    other = {"bond": "calibration", "gate_sha256": "gate", "rule_sha256": "rule-out rule"}
    for field, part in other.items():
        path = tmp_path / f"{field}.json"
        write_sealed(frozen.model_copy(update={field: "f" * 64}), path)
        with pytest.raises(BundleError, match=f"a reference must be of the bundle's {part}"):
            write(toy / "run", tmp_path / "b", watch=path)
    with pytest.raises(BundleError, match="a reference must be of the bundle's gate"):
        write(toy / "run", tmp_path / "b", ("min_age_years=0",), shipped / "reference")
    with pytest.raises(BundleError, match="must be there"):
        write(toy / "run", tmp_path / "b", watch=tmp_path)
    assert not (tmp_path / "b").exists()


def test_the_bundle_itself_is_what_results_are_checked_against(
    shipped: Path, toy: Path, tmp_path: Path
) -> None:
    bundle = Bundle.load(shipped / "bundle")
    new = rows(bundle, tmp_path / "new", 90, shift=1.0, seed=1)
    request = CheckRequest(FilmTables(new / "films.csv"))
    check = check_results(shipped / "bundle", new, tmp_path / "w", request)
    assert [day.verdict.value for day in check.days] == ["alarm"] * 3
    with pytest.raises(UsageError, match="or name the bundle that ships it"):
        check_results(shipped / "reference", new, tmp_path / "w", request)
    with pytest.raises(BundleError, match="a bundle must carry a reference to be watched"):
        check_results(toy / "bundle", new, tmp_path / "w", request)


def test_a_check_goes_on_from_the_one_before(shipped: Path, tmp_path: Path) -> None:
    """The slow test adds up days of several checks as it does those of one."""
    bundle = Bundle.load(shipped / "bundle")
    new = rows(bundle, tmp_path / "new", 150, shift=0.05, seed=2)
    table = (new / "films.csv").read_text().splitlines()
    lines = (new / "results.jsonl").read_text().splitlines()
    whole = check_results(
        shipped / "bundle", new, tmp_path / "w", CheckRequest(FilmTables(new / "films.csv"))
    )
    scores: list[tuple[float | None, float | None]] = []
    before: Path | None = None
    for day in range(5):
        part = tmp_path / f"day{day}"
        part.mkdir()
        own = slice(30 * day, 30 * day + 30)
        (part / "results.jsonl").write_text("\n".join(lines[own]) + "\n")
        (part / "films.csv").write_text("\n".join([table[0], *table[1:][own]]))
        request = CheckRequest(FilmTables(part / "films.csv"), after=before)
        check = check_results(shipped / "bundle", part, part, request)
        scores += [(one.score, one.slow_score) for one in check.days]
        before = part
    assert np.allclose(
        np.array(scores, float), [(one.score, one.slow_score) for one in whole.days], atol=2e-3
    )
    assert before is not None
    first = CheckRequest(FilmTables(tmp_path / "day0" / "films.csv"), after=before)
    with pytest.raises(UsageError, match="films must be later than the check before"):
        check_results(shipped / "bundle", tmp_path / "day0", tmp_path / "w", first)
    stale = read_sealed(WatchCheck, before / "watch.json")
    for changed, words in (
        ({"reference_sha256": "0" * 64}, "must be against the same reference"),
        ({"state": None}, "is of an older hilum"),
    ):
        write_sealed(stale.model_copy(update=changed), tmp_path / "stale.json")
        request = CheckRequest(FilmTables(new / "films.csv"), after=tmp_path / "stale.json")
        with pytest.raises(UsageError, match=words):
            check_results(shipped / "bundle", new, tmp_path / "w", request)


def test_predict_checks_what_it_scored_in_one_line(
    shipped: Path, toy: Path, tmp_path: Path, said: Said
) -> None:
    images = toy / "films" / "images"
    names = sorted(path.name for path in images.iterdir())
    table = tmp_path / "films.csv"
    table.write_text(
        "image_id,patient_id\n" + "\n".join(f"{name},{k}" for k, name in enumerate(names))
    )
    out = tmp_path / "out"
    code, _, errors = said(
        *("predict", shipped / "bundle", images, "-o", out, "--tables-only", "-q"),
        *("--watch-films", table),
    )
    assert code in (0, 3)
    (line,) = [one for one in errors.splitlines() if one.startswith("watch: ")]
    assert "1 of 1 day alarmed" in line
    assert "It does not say that accuracy fell" in line
    assert json.loads((out / "watch.json").read_text())["films"] == len(names)
    assert (out / "watch.html").is_file()
    # drawn films have no patient: nothing of the last check stays where this one is none
    code, _, errors = said("predict", shipped / "bundle", images, "-o", out, "--tables-only", "-q")
    assert code in (0, 3)
    assert "watch: not checked: a day is some patients with all their films" in errors
    assert not (out / "watch.json").exists()
    assert not (out / "watch.html").exists()


def test_without_a_reference_nothing_changes(toy: Path, tmp_path: Path, said: Said) -> None:
    images, out = toy / "films" / "images", tmp_path / "out"
    _, _, errors = said("predict", toy / "bundle", images, "-o", out, "--tables-only")
    assert "watch" not in errors
    assert not list(out.glob("watch*"))
    code, _, errors = said(
        *("predict", toy / "bundle", images, "-o", tmp_path / "no", "--watch-every", 20)
    )
    assert code == 2
    assert "a bundle without a reference is not watched; got --watch-every" in errors
    assert not (tmp_path / "no").exists()


def test_a_batch_that_cannot_be_checked_says_why(shipped: Path, tmp_path: Path) -> None:
    bundle = Bundle.load(shipped / "bundle")
    few = rows(bundle, tmp_path / "few", 3, seed=3)
    outcome = check_batch(bundle.root, few, CheckRequest(FilmTables(few / "films.csv")))
    assert outcome.words.startswith("not checked: a day needs 15 patients or more")
    assert outcome.loud
    quiet = rows(bundle, tmp_path / "quiet", 60, seed=4)
    fine = check_batch(bundle.root, quiet, CheckRequest(FilmTables(quiet / "films.csv")))
    assert fine.checked
    assert "60 films of 60 patients" in fine.words
