"""A plan: the list that `list_films` would make, with its names, in a file and in little memory."""

from __future__ import annotations

import os
import string
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hilum.batch.archive import plan as planning
from hilum.batch.archive.listing import arranged, decoded, encoded
from hilum.batch.archive.plan import PLAN, Plan, is_plan, write_plan
from hilum.batch.inputs import Listed, image_ids, list_films, output_names
from hilum.batch.walk import PassedOver
from hilum.domain.errors import FilmError, ReasonCode, Status, UsageError

pytest.importorskip("pyarrow", reason="pyarrow is not installed")

PART = st.one_of(
    st.sampled_from(["I1", "I2", "S1", "a.png", "A.png", "con.png", "x-0123456789abcdef0123.png"]),
    st.text(string.ascii_letters + string.digits + " ._-é\udcff,'\"", min_size=1, max_size=6),
)
PATHS = st.lists(st.lists(PART, min_size=1, max_size=4).map("/".join), min_size=1, max_size=12)


def planned(paths: list[str], work: Path) -> list[tuple[str, str, str]]:
    films = arranged([Listed(Path(path)) for path in paths], work)
    found = [(film.name, film.image_id, film.stem) for film in films]
    work.unlink()
    return found


@settings(max_examples=150, deadline=None)
@given(PATHS)
def test_names_and_order_are_those_of_a_list_in_memory(
    tmp_path_factory: pytest.TempPathFactory, paths: list[str]
) -> None:
    work = tmp_path_factory.mktemp("work") / "films.db"
    known: dict[str, Path] = {}
    for path in map(Path, paths):
        known.setdefault(os.path.abspath(path), path)  # noqa: PTH100 (links stay links)
    films = sorted(known.values(), key=str)
    expected = list(zip(map(str, films), image_ids(films), output_names(films), strict=True))
    assert planned(paths, work) == expected


@given(st.text(max_size=8), st.text(max_size=8))
def test_bytes_of_names_sort_as_names_do(one: str, other: str) -> None:
    assert (encoded(one) < encoded(other)) == (one < other)
    assert decoded(encoded(one)) == one


def test_a_film_that_gets_the_mark_of_another_is_marked_itself(tmp_path: Path) -> None:
    marked = output_names([Path("b/y z.png")])[0]
    paths = ["b/y z.png", f"a/{marked}.png"]
    films = sorted(map(Path, paths), key=str)
    assert [row[2] for row in planned(paths, tmp_path / "w")] == output_names(films)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    films = tmp_path / "films"
    for name in ("b/I1.png", "a/I1.png", "a/I2.png", "c.png"):
        (films / name).parent.mkdir(parents=True, exist_ok=True)
        (films / name).write_bytes(name.encode())
    (films / "out.png").symlink_to("/etc/hostname")
    (films / "notes.doc").write_bytes(b"no film")
    return films


def test_a_plan_lists_what_a_batch_would(folder: Path, tmp_path: Path) -> None:
    passed = PassedOver()
    facts = write_plan([str(folder), str(folder / "c.png")], tmp_path / PLAN, 2, passed)
    plan = Plan(tmp_path / PLAN)
    films = [film for chunk in range(facts.chunks) for film in plan.films(chunk)]
    expected = sorted(list_films([str(folder)]), key=lambda film: str(film.path))
    assert [film.listed.path for film in films] == [film.path for film in expected]
    assert [film.refusal and film.refusal.code for film in films] == [
        film.refusal and film.refusal.code for film in expected
    ]
    assert (facts.films, facts.chunks, facts.absent) == (5, 3, 1)
    assert facts.size == sum((folder / name).stat().st_size for name in ("c.png", "a/I2.png")) + 16
    assert passed.suffixes == {".doc": 1}
    assert [len(plan.ordinals(chunk)) for chunk in range(3)] == [2, 2, 1]


def test_a_link_that_is_refused_may_be_named_by_itself(tmp_path: Path) -> None:
    refused = FilmError(Status.REJECT, ReasonCode.SYMLINK_OUTSIDE_ROOT, "it leads out")
    films = [Listed(Path("a.png"), refused), Listed(Path("a.png")), Listed(Path("b.png"), refused)]
    found = list(arranged(films, tmp_path / "w"))
    assert [film.refusal and film.refusal.message for film in found] == [None, "it leads out"]


def test_a_plan_of_the_same_films_is_the_same_file(folder: Path, tmp_path: Path) -> None:
    for name in ("one", "two"):
        write_plan([str(folder)], tmp_path / name, 2)
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()
    (folder / "c.png").write_bytes(b"changed")
    changed = write_plan([str(folder)], tmp_path / "three", 2)
    other = write_plan([str(folder)], tmp_path / "four", 3)
    shas = {Plan(tmp_path / "one").facts.sha256, changed.sha256, other.sha256}
    assert len(shas) == 3


def test_chunks_that_lie_in_two_groups_of_rows_are_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(planning, "_ROWS_A_GROUP", 7)
    (tmp_path / "list.csv").write_text("path\n" + "".join(f"f{n:02}.png\n" for n in range(40)))
    facts = write_plan([str(tmp_path / "list.csv")], tmp_path / PLAN, 9)
    plan = Plan(tmp_path / PLAN)
    names = [Path(film.name).name for n in range(facts.chunks) for film in plan.films(n)]
    assert names == [f"f{n:02}.png" for n in range(40)]
    assert facts.absent == 40


def test_several_threads_read_a_plan_at_once(tmp_path: Path) -> None:
    """A reader of pyarrow alone fails here: "ReadRangeCache did not find matching cache entry"."""
    (tmp_path / "list.csv").write_text("path\n" + "".join(f"f{n:05}.png\n" for n in range(20_000)))
    facts = write_plan([str(tmp_path / "list.csv")], tmp_path / PLAN, 100)
    plan = Plan(tmp_path / PLAN)
    with ThreadPoolExecutor(8) as threads:
        found = list(threads.map(plan.films, range(facts.chunks)))
    names = [Path(film.name).name for films in found for film in films]
    assert names == [f"f{n:05}.png" for n in range(20_000)]


@pytest.mark.parametrize("drives", [False, True])
def test_a_list_is_read_one_name_at_a_time_and_means_the_same(tmp_path: Path, drives: bool) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "1.png").touch()
    names = ["a/1.png", "a/1.jpg", "a\\1.png", "gone.png", *(["D:\\x\\a\\1.png"] * drives)]
    (tmp_path / "list.csv").write_text("\n".join(["film", *names]))
    write_plan([str(tmp_path / "list.csv")], tmp_path / PLAN)
    found = [film.name for film in Plan(tmp_path / PLAN).films(0)]
    films = list_films([str(tmp_path / "list.csv")])
    assert found == sorted(str(film.path) for film in films)
    assert len(found) == 2 + drives


@pytest.mark.parametrize("text", [b"PAR1 and no more", b""])
def test_what_is_not_a_plan_is_said_in_one_line(tmp_path: Path, text: bytes) -> None:
    path = tmp_path / PLAN
    path.write_bytes(text)
    assert not is_plan(path)
    with pytest.raises(UsageError, match=r"must be a file of `hilum plan`; .* Make it again"):
        _ = Plan(path).facts


def test_inputs_without_a_film_leave_nothing(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(UsageError, match="there must be a film to score"):
        write_plan([str(tmp_path / "empty")], tmp_path / "out" / PLAN)
    assert list((tmp_path / "out").iterdir()) == []


@pytest.mark.slow
def test_memory_does_not_grow_with_the_list(tmp_path: Path) -> None:
    """10 times the films, at most 1.2 times the memory; a list in memory takes 914 bytes a film."""
    script = (
        "import sys, resource; from pathlib import Path\n"
        "from hilum.batch.archive.plan import write_plan\n"
        "write_plan([sys.argv[1]], Path(sys.argv[1] + '.parquet'))\n"
        "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)"
    )
    peaks: list[int] = []
    for films in (10_000, 100_000):
        made = tmp_path / f"{films}.csv"
        made.write_text(
            "path\n" + "".join(f"s{n % 97}/{n * 7919 % films}.png\n" for n in range(films))
        )
        done = subprocess.run(
            [sys.executable, "-c", script, str(made)], capture_output=True, text=True, check=True
        )
        peaks.append(int(done.stdout))
    assert peaks[1] <= 1.2 * peaks[0]
