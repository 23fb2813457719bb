"""A simulated reading list: queue formulas as oracle, and what a policy may and may not do."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from hilum import api
from hilum.domain.documents.results import FindingResult, ImageResult
from hilum.domain.documents.rule_out import FilmTriage, TriageWay
from hilum.domain.documents.worklist import WORKLIST, ListPolicy, WorklistRun
from hilum.domain.errors import DatasetError, Status, UsageError
from hilum.files.sealed import read_sealed
from hilum.queueing.room import turnarounds
from hilum.queueing.simulate import ListFilms, Scenario, example_films, simulate
from hilum.report.batch.results_jsonl import line_of
from hilum.report.worklist import markdown, printed


def waits(load: float, readers: int, urgent: float) -> tuple[float, float, float]:
    """Mean waits in units of the mean reading time: of all (M/M/c), of the urgent, of the others.

    Erlang's C gives the chance to wait at all; with two classes that are read alike and never
    interrupted, `W_k = C / (c mu) / ((1 - s_{k-1}) (1 - s_k))`, where s_k is the load of the first
    k classes (Cobham 1954; Kella and Yechiali 1985 for several servers).
    """
    offered = load * readers
    last = offered**readers / math.factorial(readers) / (1 - load)
    chance = last / (sum(offered**k / math.factorial(k) for k in range(readers)) + last)
    base = chance / readers
    first = load * urgent
    return base / (1 - load), base / (1 - first), base / ((1 - first) * (1 - load))


def simulated(load: float, readers: int, urgent: float, films: int) -> tuple[float, float, float]:
    rng = np.random.default_rng(3)
    came = np.cumsum(rng.exponential(1 / (load * readers), films))
    takes = rng.exponential(1.0, films)
    ranks = (rng.random(films) >= urgent).astype(np.int8)
    plain = turnarounds(came, takes, np.zeros(films, np.int8), readers) - takes
    own = turnarounds(came, takes, ranks, readers) - takes
    return float(plain.mean()), float(own[ranks == 0].mean()), float(own[ranks == 1].mean())


@pytest.mark.parametrize(("load", "readers", "urgent"), [(0.7, 1, 0.3), (0.7, 3, 0.5)])
def test_waits_are_near_those_of_the_formulas(load: float, readers: int, urgent: float) -> None:
    found = simulated(load, readers, urgent, 120_000)
    assert found == pytest.approx(waits(load, readers, urgent), rel=0.06)


@pytest.mark.exhaustive
@pytest.mark.parametrize(
    ("load", "readers", "urgent"), [(0.5, 1, 0.3), (0.8, 1, 0.2), (0.8, 2, 0.5), (0.85, 5, 0.3)]
)
def test_waits_are_those_of_the_formulas(load: float, readers: int, urgent: float) -> None:
    found = simulated(load, readers, urgent, 6_000_000)
    assert found == pytest.approx(waits(load, readers, urgent), rel=0.02)


SHORT = Scenario(days=1.0, runs=4, seed=1)


@pytest.fixture(scope="module")
def films() -> ListFilms:
    return example_films(np.random.default_rng(0))


def test_first_come_against_itself_is_exactly_nothing(films: ListFilms) -> None:
    run = simulate(films, replace(SHORT, policy=ListPolicy.FIRST_COME))
    assert {one.change.value for one in run.groups} == {0.0}
    assert all(one.mean == one.mean_first_come for one in run.groups)


def test_ruled_out_films_wait_and_the_others_gain(films: ListFilms) -> None:
    run = simulate(films, replace(SHORT, days=2.0, runs=10))
    change = {one.group: one.change for one in run.groups}
    assert (change["Effusion"].high or 0.0) < 0.0 < (change["ruled out"].low or 0.0)
    again = simulate(films, replace(SHORT, days=2.0, runs=10))
    assert again == run
    assert simulate(films, replace(SHORT, seed=2)) != run
    one = replace(SHORT, policy=ListPolicy.PRIORITY, first=("Pneumothorax",), reading_spread=0.0)
    first = {g.group: g.change for g in simulate(films, one).groups}
    assert (first["Pneumothorax"].value or 0.0) < 0.0
    # with equal reading times nobody's gain is for nothing: the mean over all films stays
    assert first["all films"].value == pytest.approx(0.0, abs=1e-9)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"readers": 1, "reading_minutes": 9.0}, "readers must keep up .* busy 269% of the time"),
        ({"readers": 0}, "needs a reader"),
        ({"runs": 1}, "two runs or more"),
        ({"reading_minutes": 0.0}, "must be greater than 0"),
        ({"days": float("nan")}, "must be greater than 0"),
        ({"by_hour": (0.0,)}, "films must arrive"),
        ({"policy": ListPolicy.PRIORITY, "first": ("Hernia",)}, "must be called; got Hernia"),
    ],
)
def test_a_room_that_cannot_be_is_refused_in_a_line(
    films: ListFilms, change: dict[str, object], message: str
) -> None:
    with pytest.raises(UsageError, match=message) as refusal:
        simulate(films, replace(SHORT, **change))  # pyright: ignore[reportArgumentType]
    assert "\n" not in str(refusal.value)


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """results.jsonl of 40 films, every fourth called, every second ruled out; labels and times."""
    folder = tmp_path_factory.mktemp("listed")
    lines: list[str] = []
    for number in range(40):
        found = FindingResult.called(0.9 if number % 4 == 0 else 0.1, 0.5, calibrated=True)
        way = TriageWay.RULE_OUT if number % 2 else TriageWay.REFER
        result = ImageResult(
            input=f"in/{number:02d}.png",
            image_id=f"{number:02d}.png",
            sha256=f"{number:064d}",
            status=Status.OK,
            findings={"Effusion": found},
            triage=FilmTriage(way=way, reason="as drawn", rule="0" * 64),
            bundle="none",
            precision="f32",
        )
        lines.append(line_of(result))
    (folder / "results.jsonl").write_text("".join(f"{line}\n" for line in lines))
    rows = [f"{n:02d}.png,{n},{int(n % 5 == 0)}" for n in range(39)]
    (folder / "labels.csv").write_text("\n".join(["image_id,patient_id,Effusion", *rows]) + "\n")
    times = [f"2026-01-05T{8 + n // 30:02d}:{2 * n % 60:02d},{n:02d}.png" for n in range(40)]
    (folder / "times.csv").write_text("\n".join(["time,image_id", *times[::-1], times[0]]) + "\n")
    return folder


def test_results_are_a_list_with_labels_or_with_times(results: Path, tmp_path: Path) -> None:
    called = api.worklist(results, days=0.5, runs=3, out=tmp_path / "out")
    assert read_sealed(WorklistRun, tmp_path / "out" / WORKLIST) == called
    assert called.groups[1].group == "Effusion"
    assert not called.synthetic
    labeled = api.worklist(results, days=0.5, runs=3, labels=results / "labels.csv")
    assert labeled.source.startswith("39 films, with the labels of")
    assert "1 film has no label: left out" in labeled.notes
    timed = api.worklist(results, arrivals=results / "times.csv", runs=3, readers=3)
    assert timed.groups[0].films == 41
    assert any("not in order of time: sorted" in note for note in timed.notes)
    assert timed.arrivals == "as in the table, 41 films"


def test_input_that_is_no_list_is_refused(results: Path, tmp_path: Path) -> None:
    (tmp_path / "none.csv").write_text("when,image_id\n1,a\n")
    (tmp_path / "bad.csv").write_text("time\nyesterday\n")
    with pytest.raises(DatasetError, match="arrivals must have a column time"):
        api.worklist(results, arrivals=tmp_path / "none.csv")
    with pytest.raises(DatasetError, match="line 2 has 'yesterday'"):
        api.worklist(results, arrivals=tmp_path / "bad.csv")
    with pytest.raises(UsageError, match="has none"):
        api.worklist(tmp_path)
    with pytest.raises(UsageError, match="name a folder of results first"):
        api.worklist(arrivals=tmp_path / "bad.csv")
    text = (results / "results.jsonl").read_text()
    (tmp_path / "ruleless").mkdir()
    bare = [line.partition('"triage":')[0] for line in text.splitlines()]
    rest = [line.partition('},"heatmaps"')[2] for line in text.splitlines()]
    lines = [f'{a}"triage":null,"heatmaps"{b}\n' for a, b in zip(bare, rest, strict=True)]
    (tmp_path / "ruleless" / "results.jsonl").write_text("".join(lines))
    with pytest.raises(UsageError, match="rule-out-last needs films that a rule was tried on"):
        api.worklist(tmp_path / "ruleless")
    assert api.worklist(tmp_path / "ruleless", policy="priority", days=0.5, runs=2).groups


def test_the_command_says_that_its_example_is_invented(
    said: Callable[..., tuple[int, str, str]], tmp_path: Path
) -> None:
    words = ("worklist", "--seed", "1", "--days", "0.5", "--runs", "3")
    code, out, err = said(*words, "--policy", "rule-out-last")
    assert (code, err) == (0, "")
    assert out.startswith("SYNTHETIC EXAMPLE. Turnaround in minutes under rule-out-last")
    assert max(map(len, out.splitlines())) <= 80
    assert "normal" not in out
    code, out, err = said(*words, "--json", "-o", tmp_path / "out")
    run = WorklistRun.model_validate_json(out)
    assert (code, err) == (0, f"{tmp_path / 'out' / WORKLIST}\n")
    page = (tmp_path / "out" / "worklist.md").read_text()
    assert page == markdown(run)
    assert run.notice in page
    assert printed(run, 60)
