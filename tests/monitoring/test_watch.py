"""Days of drawn patients against a reference: false alarms as requested, and faults found."""

from __future__ import annotations

import dataclasses
import json
import re
from pathlib import Path

import numpy as np
import pytest

from hilum.bundle.bundle import locate
from hilum.bundle.manifest import Manifest
from hilum.domain.documents.results import FindingResult, GrayFacts, ImageResult
from hilum.domain.documents.watch import AlarmKind, WatchCheck, WatchReference
from hilum.domain.errors import BundleError, DatasetError, Status, UsageError
from hilum.files.sealed import read_seal, read_sealed, write_sealed
from hilum.imaging.grays import gray_facts
from hilum.imaging.preprocess import Placement
from hilum.monitoring.channels import channel_values, counted_by, quantities_of
from hilum.monitoring.check import CheckedDay, check_films, days_of
from hilum.monitoring.days import DayLimits, Tails, day_limits, drawn_days, limits_for, z_of
from hilum.monitoring.films import ALL_LOGITS, CORRECTED, FilmNote, WatchedFilms, watched_films
from hilum.monitoring.reference import ReferenceRequest, fit_reference, weekday_of
from hilum.monitoring.words import effect_of
from hilum.report.batch.results_jsonl import line_of, result_of
from hilum.report.watch import printed_check, printed_reference, watch_page
from hilum.stages.watch import CheckRequest, check_results, fit_results, rate_of
from hilum.stages.watch_table import FilmTables, film_notes, tables_notes

FINDINGS = ("Effusion", "Mass", "Nodule", "Edema", "Hernia", "Infiltration")
SHARES = np.array([0.12, 0.05, 0.06, 0.02, 0.01, 0.18])
CLUSTERS = np.repeat([1, 2, 3, 4, 6, 9, 14, 25, 60], [55, 15, 8, 6, 6, 4, 3, 2, 1])
"""Films of a patient, about as NIH's: half have one, some have dozens."""
DATE = "2026-01-02"
DAY = 57
"""Patients of a day of about 200 films."""


def drawn(
    patients: int,
    seed: int,
    shift: float = 0.0,
    sites: tuple[str, ...] = ("A", "B", "C"),
    ap: float = 0.39,
    noise: float = 0.0,
    infiltration: float = 0.18,
) -> WatchedFilms:
    """Films of patients whose films are alike: intraclass correlation about 0.5."""
    rng = np.random.default_rng(seed)
    count = rng.choice(CLUSTERS, patients)
    patient = np.repeat(np.arange(patients), count)
    own = rng.normal(size=(patients, 9))[patient] * 0.7
    each = own + rng.normal(size=own.shape) * 0.714
    shares = np.where(np.array(FINDINGS) == "Infiltration", infiltration, SHARES)
    line = np.array(
        [np.quantile(np.random.default_rng(0).normal(size=9999), 1 - s) for s in shares]
    )
    truth = each[:, :6] > line
    logits = -3 + 1.6 * truth + own[:, 6:7] * 0.5 + rng.normal(size=truth.shape) * 0.9 + shift
    p = 1 / (1 + np.exp(-logits))
    n = len(patient)
    numbers = {f"logit {name}": logits[:, k] for k, name in enumerate(FINDINGS)}
    numbers[ALL_LOGITS] = logits.mean(axis=1)
    numbers["gray sharpness"] = 0.1 + 0.02 * each[:, 7] + noise
    flags = {
        f"positive {name}": (p[:, k] > 0.15).astype(np.float64) for k, name in enumerate(FINDINGS)
    }
    site = np.array(sites)[rng.integers(0, len(sites), patients)][patient]
    view = np.where(each[:, 8] > np.quantile(each[:, 8], 1 - ap), "AP", "PA")
    return WatchedFilms(
        names=tuple(f"film{row:06d}.png" for row in range(n)),
        patients=patient,
        days=np.array([""] * n),
        numbers=numbers,
        words={"view": view, "site": site},
        flags=flags,
        probabilities={name: p[:, k] for k, name in enumerate(FINDINGS)},
        thresholds=dict.fromkeys(FINDINGS, 0.15),
    )


def by_day(films: WatchedFilms, size: int = DAY) -> list[CheckedDay]:
    """Days of so many patients, each patient in one."""
    day = films.patients // size
    return [CheckedDay(f"day {k}", np.flatnonzero(day == k)) for k in range(day.max() + 1)]


@pytest.fixture(scope="module")
def reference() -> WatchReference:
    request = ReferenceRequest(date=DATE, false_alarms=0.02, drawn=4000, deals=1, rule_sha256="r9")
    return fit_reference(drawn(1500, 1), request)


def delay(reference: WatchReference, films: WatchedFilms) -> int | None:
    """The first day that alarms, from 1."""
    check = check_films(films, by_day(films), reference, "s")
    days = [k for k, one in enumerate(check.days, start=1) if one.verdict.value == "alarm"]
    return days[0] if days else None


def test_undisturbed_days_are_quiet_and_disturbed_ones_are_named(reference: WatchReference) -> None:
    films = drawn(DAY * 20, 2)
    check = check_films(films, by_day(films), reference, "s")
    assert sum(day.verdict.value == "alarm" for day in check.days) <= 3
    assert reference.held_back.low is not None
    assert reference.held_back.low <= 0.02
    moved = check_films(
        drawn(DAY * 3, 3, ap=0.75), by_day(drawn(DAY * 3, 3, ap=0.75)), reference, "s"
    )
    view = next(alarm for alarm in moved.alarms if alarm.quantity == "view")
    assert view.now > view.reference or view.aspect == "PA"
    assert re.search(r"view (AP|PA): [\d.]+ % of films in the reference, [\d.]+ % now", view.words)
    assert "Rule r9 is void: refer every film" in view.effect
    assert moved.rule_void
    assert view.films
    assert "accuracy fell" not in view.words + view.effect


@pytest.mark.parametrize(
    "fault", [{"shift": -0.5}, {"ap": 0.7}, {"noise": 0.02}, {"sites": ("A", "B")}]
)
def test_a_fault_is_found_within_days(reference: WatchReference, fault: dict[str, object]) -> None:
    found = [delay(reference, drawn(DAY * 8, seed, **fault)) for seed in (4, 5, 6)]  # pyright: ignore[reportArgumentType]
    assert sorted(99 if one is None else one for one in found)[1] <= 4


def test_a_slow_change_is_found_with_the_day_it_began(reference: WatchReference) -> None:
    quiet, moved = drawn(DAY * 5, 7), drawn(DAY * 20, 8, shift=-0.3)
    films = drawn(DAY * 20, 8, shift=-0.3)
    check = check_films(films, by_day(moved), reference, "s")
    slow = [alarm for alarm in check.alarms if alarm.kind is AlarmKind.SLOW]
    assert slow, "small shifts add up"
    assert int(slow[0].since.split()[1]) <= int(slow[0].day.split()[1])
    assert delay(reference, quiet) in (None, 1, 2, 3, 4, 5)


def test_limits_by_film_would_alarm_too_often() -> None:
    """What clusters are about: films taken for independent make limits that are too narrow."""
    films = drawn(1500, 9)
    q = quantities_of(films)
    values = channel_values(films, q)
    clustered = counted_by(values, films.patients)
    alone = counted_by(values, np.arange(len(films)))
    rng = np.random.default_rng(0)
    wrong = alone.residuals(alone.centers)
    limits = day_limits(drawn_days([wrong], 200, 4000, rng), 200, 0.01)
    other = drawn(DAY * 60, 10)
    days = by_day(other)
    new = channel_values(other, q)
    spread = np.maximum(np.sqrt((wrong**2).mean(axis=0)), 0.05)
    z = np.stack(
        [(new[d.rows] - alone.centers).sum(axis=0) / (spread * d.rows.size**0.5) for d in days]
    )
    assert (limits.tails.scores(z, -z).max(axis=1) > limits.limit).mean() > 0.1
    assert clustered.values.shape[0] == 1500


def test_the_reference_holds_no_film_and_no_patient(reference: WatchReference) -> None:
    text = reference.model_dump_json()
    assert "film0" not in text
    lonely = drawn(220, 11)
    words = np.where(lonely.patients == 7, "Dr Rare", lonely.words["site"])
    named = dataclasses.replace(lonely, words={**lonely.words, "site": words})
    request = ReferenceRequest(date=DATE, false_alarms=0.05, drawn=1000, deals=1)
    assert "Rare" not in fit_reference(named, request).model_dump_json()
    logits = {repr(float(x)) for x in lonely.numbers["logit Mass"]}
    assert not logits & set(re.findall(r"-?\d+\.\d{6,}", text))


def test_the_same_seed_gives_the_same_reference() -> None:
    films = drawn(220, 12)
    request = ReferenceRequest(date=DATE, false_alarms=0.05, drawn=1000, deals=1)
    first = fit_reference(films, request)
    assert fit_reference(films, request) == first


def test_days_pages_and_prints(reference: WatchReference) -> None:
    films = drawn(DAY * 4, 13, shift=-0.6)
    days = days_of(films, 200)
    assert sum(day.rows.size for day in days) == len(films)
    patients = [set(films.patients[day.rows].tolist()) for day in days]
    assert not set.intersection(*patients[:2])
    check = check_films(films, days, reference, "s")
    page = watch_page(check, reference)
    assert page.count("not a medical device") == 2
    assert 'class="chip error"' in page
    assert "normal" not in page.partition("<main>")[2].lower()
    assert "every film" in printed_check(check, 80)
    assert "held-back patients" in printed_reference(reference, 80)
    assert WatchCheck.model_validate_json(check.model_dump_json()) == check
    assert all(one.sensitivity.low is not None for one in check.performance[:1])


def test_small_days_count_with_the_next_and_too_few_are_refused(reference: WatchReference) -> None:
    films = drawn(60, 14)
    days = [
        CheckedDay("a", np.flatnonzero(films.patients < 3)),
        CheckedDay("b", np.flatnonzero(films.patients >= 3)),
    ]
    check = check_films(films, days, reference, "s")
    assert check.days[0].verdict.value == "too few patients"
    assert check.days[1].with_earlier == days[0].rows.size
    few = drawn(3, 15)
    with pytest.raises(UsageError, match="a day needs 15 patients or more"):
        check_films(few, days_of(few, None), reference, "s")
    with pytest.raises(UsageError, match="a reference needs 200 patients"):
        fit_reference(few, ReferenceRequest(date=DATE))


def test_one_site_against_a_reference_of_many_is_refused(reference: WatchReference) -> None:
    one = drawn(60, 16, sites=("A",))
    with pytest.raises(UsageError, match=r"a reference of 3 sites .* all of A"):
        check_films(one, by_day(one), reference, "s")
    none = dataclasses.replace(one, words={"view": one.words["view"]})
    with pytest.raises(UsageError, match="these films name none"):
        check_films(none, by_day(none), reference, "s")


def test_weekdays_have_centers_of_their_own_where_there_are_enough() -> None:
    films = drawn(2000, 17)
    day = np.datetime64("2025-01-06") + films.patients % 70
    weekend = np.array([weekday_of(str(one)) in ("Sat", "Sun") for one in day])
    view = np.where(weekend, "AP", films.words["view"])
    films = dataclasses.replace(films, days=day.astype(str), words={"view": view})
    reference = fit_reference(
        films, ReferenceRequest(date=DATE, false_alarms=0.05, drawn=1000, deals=1)
    )
    assert [one.name for one in reference.strata][:2] == ["Mon", "Tue"]
    place = [(c.quantity, c.aspect) for c in reference.channels].index(("view", "AP"))
    centers = {one.name: one.centers[place] for one in reference.strata}
    assert centers["Sun"] == 1.0
    assert centers["Mon"] < 0.6


# rows and tables


def row(name: str, bundle: str, precision: str, patient: str = "") -> ImageResult:
    rng = np.random.default_rng(abs(hash(name)) % 2**32)
    finding = FindingResult.called(float(rng.uniform(0.01, 0.6)), 0.3, calibrated=True)
    return ImageResult(
        input=name,
        image_id=name,
        sha256="0" * 64,
        status=Status.OK,
        patient=patient,
        findings={"Mass": finding},
        gray=GrayFacts(
            rows=9, columns=9, mean=0.5, spread=0.2, black=0.0, white=0.0, sharpness=0.1, border=0.0
        ),
        bundle=bundle,
        precision=precision,
    )


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Results of the starter bundle with a table of patients and dates."""
    place = tmp_path_factory.mktemp("watch")
    root = locate("starter")
    bundle = read_seal(root / "bundle.json")[:12]
    precision = read_sealed(Manifest, root / "bundle.json").calibration.precision.value
    for name, count, day in (("old", 300, "2026-01-0"), ("new", 60, "2026-02-0")):
        (place / name).mkdir()
        films = [f"{name}{k}.png" for k in range(count)]
        lines = [line_of(row(film, bundle, precision)) for film in films]
        (place / name / "results.jsonl").write_text("\n".join(lines) + "\n")
        table = [
            f"{film},{name}{k // 2 if name == 'new' else k},{day}{1 + k % 3}"
            for k, film in enumerate(films)
        ]
        (place / f"{name}.csv").write_text("image_id,patient_id,StudyDate\n" + "\n".join(table))
    request = ReferenceRequest(date=DATE, false_alarms=0.05, drawn=1000, deals=1)
    fit_results("starter", place / "old", place / "ref", FilmTables(place / "old.csv"), request)
    return place


def test_results_are_fitted_and_checked_by_date(folder: Path) -> None:
    request = CheckRequest(FilmTables(folder / "new.csv"))
    check = check_results(folder / "ref", folder / "new", folder / "out", request)
    assert [day.name for day in check.days] == ["2026-02-01", "2026-02-02", "2026-02-03"]
    assert (folder / "out" / "watch.html").is_file()
    tree = json.loads((folder / "out" / "watch.json").read_text())
    assert tree["notice"].startswith("hilum is research software")


def test_what_cannot_be_compared_is_one_line(folder: Path, tmp_path: Path) -> None:
    def check(**given: object) -> None:
        words = {"tables": FilmTables(given.pop("films", folder / "new.csv")), **given}  # pyright: ignore[reportArgumentType]
        reference = words.pop("reference", folder / "ref")
        results = words.pop("results", folder / "new")
        request = CheckRequest(**words)  # pyright: ignore[reportArgumentType]
        check_results(reference, results, tmp_path / "o", request)  # pyright: ignore[reportArgumentType]

    with pytest.raises(UsageError, match="60 films of 60 have no patient"):
        check(films=None)
    with pytest.raises(UsageError, match=r"has no results\.jsonl"):
        check(results=tmp_path)
    with pytest.raises(UsageError, match="films must be later than the reference"):
        check(results=folder / "old", films=folder / "old.csv")
    with pytest.raises(UsageError, match="a day to come"):
        check(today="2026-01-31")
    other = tmp_path / "other"
    other.mkdir()
    (other / "results.jsonl").write_text(line_of(row("new0.png", "elsewhere", "f32")) + "\n")
    with pytest.raises(UsageError, match="must be of one bundle"):
        check(results=other)
    broken = (
        (folder / "new" / "results.jsonl")
        .read_text()
        .replace('"probability":0.', '"probability":NaN,"x":0.', 1)
    )
    (other / "results.jsonl").write_text(broken)
    with pytest.raises(UsageError, match="line 1 is not"):
        check(results=other)
    (tmp_path / "t.csv").write_text("image_id,patient_id,date\nnew0.png,p,31/12/2026\n")
    with pytest.raises(DatasetError, match="a day is written as YYYY-MM-DD"):
        check(films=tmp_path / "t.csv")
    (tmp_path / "t.csv").write_text("image_id,patient_id\nnobody.png,p\n")
    with pytest.raises(DatasetError, match="names none of them"):
        check(films=tmp_path / "t.csv")
    frozen = read_sealed(WatchReference, folder / "ref" / "watch_reference.json")
    write_sealed(frozen, tmp_path / "edited.json")
    text = (tmp_path / "edited.json").read_text().replace('"films": 300', '"films": 301')
    (tmp_path / "edited.json").write_text(text)
    with pytest.raises(BundleError, match="must be as hilum wrote it"):
        check(reference=tmp_path / "edited.json")


def test_a_rate_and_a_table_are_read() -> None:
    assert rate_of("1/365d") == pytest.approx(1 / 365)
    for words in ("often", "1/0", "-1/3"):
        with pytest.raises(UsageError, match="a rate of false alarms is written as"):
            rate_of(words)
    with pytest.raises(UsageError, match="between 1/1000 and 1/5"):
        ReferenceRequest(date=DATE, false_alarms=0.5)


def test_notes_fill_what_rows_lack(tmp_path: Path) -> None:
    table = tmp_path / "t.csv"
    table.write_text("Image Index,Patient ID,View Position,Patient Age,Site\na.png,7,AP,57,North\n")
    notes = film_notes(table, ["a.png"])
    assert notes["a.png"] == FilmNote("7", "", {"site": "North", "view": "AP"}, 57.0)
    films = watched_films([row("a.png", "b", "f32")], notes)
    assert films.words["site"].tolist() == ["North"]
    assert films.words["view"].tolist() == ["AP"]
    assert films.numbers["age"].tolist() == [57.0]


def test_gray_levels_are_of_the_film_inside_its_square() -> None:
    square = np.zeros((64, 64), np.uint8)
    square[:, 16:48] = np.arange(64, dtype=np.uint8)[:, None] * 4
    inside = gray_facts(square, (200, 100), Placement(0, 16, 64, 32))
    assert inside.mean == pytest.approx(0.494, abs=0.01)
    assert inside.black < 0.05
    assert gray_facts(square, (200, 100)).black > 0.45
    assert gray_facts((square / 255).astype(np.float32), (200, 100)) == gray_facts(
        square, (200, 100)
    )
    rng = np.random.default_rng(0)
    noisy = np.clip(square + rng.normal(size=square.shape) * 20, 0, 255).astype(np.uint8)
    assert gray_facts(noisy, (200, 100)).sharpness > gray_facts(square, (200, 100)).sharpness


def test_readings_that_come_back_are_watched(folder: Path, tmp_path: Path) -> None:
    """Of films that were read, how often a reader differs from a call of the bundle."""
    rows = [
        json.loads(line) for line in (folder / "old" / "results.jsonl").read_text().split("\n")[:-1]
    ]
    calls = {one["image_id"]: one["findings"]["Mass"]["positive"] for one in rows}
    lines = ["image_id,patient_id,view,reader,Mass,read_at"]
    for k, (name, called) in enumerate(calls.items()):
        if k % 3:  # every third film is not read
            lines.append(f"{name},p,PA,anna,{int(called if k % 5 else not called)},2026")
            lines.append(f"{name},p,PA,ben,,2026")
    (tmp_path / "labels.csv").write_text("\n".join(lines))
    tables = FilmTables(folder / "old.csv", tmp_path)
    notes = tables_notes(tables, list(calls))
    assert notes is not None
    films = watched_films([result_of(json.dumps(one)) for one in rows], notes)
    seen = films.flags[CORRECTED]
    assert np.isnan(seen[::3]).all()
    assert np.nanmean(seen) == pytest.approx(0.2, abs=0.01)
    request = ReferenceRequest(date=DATE, false_alarms=0.05, drawn=1000, deals=1)
    fitted = fit_results("starter", folder / "old", tmp_path / "ref", tables, request)
    quantity = next(one for one in fitted.quantities if one.name == CORRECTED)
    assert quantity.known == pytest.approx(2 / 3, abs=0.01)
    assert not any("agreement with readers" in one for one in fitted.not_watched)
    plain = fit_results(
        "starter", folder / "old", tmp_path / "b", FilmTables(tables.films), request
    )
    assert any("agreement with readers" in one for one in plain.not_watched)
    assert "readers changed" in effect_of(quantity, "")
    for text, words in (
        ("image_id,reader\nold0.png,anna\n", "a column of films and one of a finding"),
        ("image_id,Mass\nnobody.png,1\n", "must be of these films"),
    ):
        (tmp_path / "labels.csv").write_text(text)
        with pytest.raises(DatasetError, match=words):
            tables_notes(tables, list(calls))
    with pytest.raises(DatasetError, match="there is none at"):
        tables_notes(FilmTables(None, tmp_path / "nowhere.csv"), list(calls))


def test_limits_between_two_sizes_lie_between_theirs(reference: WatchReference) -> None:
    """A day of any size alarms about as often: those of the next smaller size did so four times."""
    measured = [
        DayLimits(one.patients, Tails.read(one.tails), one.limit) for one in reference.daily
    ]
    films = drawn(45 * 400, 21)
    values = counted_by(channel_values(films, reference.quantities), films.patients)
    (stratum,) = reference.strata
    centers, spread = np.array(stratum.centers), np.array(stratum.spreads)
    z = z_of(values.residuals(centers).reshape(400, 45, -1).sum(axis=1), 45, spread)

    def rate(limits: DayLimits) -> float:
        return float((limits.tails.scores(z, -z).max(axis=1) > limits.limit).mean())

    between, smaller = limits_for(45, measured), limits_for(30, measured)
    assert smaller.patients == 30
    assert rate(between) < 0.04
    assert rate(smaller) > rate(between)


@pytest.mark.exhaustive
@pytest.mark.parametrize("rate", [1 / 20, 1 / 100, 1 / 365])
def test_undisturbed_streams_alarm_as_often_as_requested(rate: float) -> None:
    """Twelve references, each with 365 days of new patients; the interval is over references."""
    shares: list[float] = []
    for seed in range(12):
        reference = fit_reference(
            drawn(6000, 100 + seed), ReferenceRequest(date=DATE, false_alarms=rate, seed=seed)
        )
        films = drawn(DAY * 365, 200 + seed)
        check = check_films(films, by_day(films), reference, "s")
        shares.append(float(np.mean([day.verdict.value == "alarm" for day in check.days])))
    error = max(np.std(shares, ddof=1), (rate / 365) ** 0.5) / 12**0.5
    assert abs(np.mean(shares) - rate) <= 2.2 * error, (np.mean(shares), error)
