"""The engine of a cluster: the parts of every other engine, and each known trap of Ray.

Workers are real processes of a cluster on this machine; films are drawn, and the network is small.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from hilum.batch.archive.order import Order
from hilum.batch.archive.part import Part, part_path
from hilum.batch.archive.plan import PLAN, PlannedFilm, write_plan
from hilum.batch.archive.run import run_archive
from hilum.batch.archive.worker import ChunkWorker
from hilum.batch.engines.base import ClusterWords, find_engine
from hilum.batch.engines.ray import RayActors, RayWorker
from hilum.domain.errors import ReasonCode, UsageError

ray = pytest.importorskip("ray", reason="Ray is not installed: pip install 'hilum[ray]'")
pytest.importorskip("pyarrow", reason="pyarrow is not installed")
pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore::FutureWarning"),
]
CHUNK = 3


class Killer(ChunkWorker):
    """A worker that ends with a film, as one does that the system kills for its memory."""

    def _input(self, film: PlannedFilm) -> Any:
        if "killer" in film.name:
            os.kill(os.getpid(), signal.SIGKILL)
        return super()._input(film)

    def killed(self, chunk: int, at: int) -> Any:
        """Without looking at it."""
        self._input = super()._input
        return super().killed(chunk, at)


class Slow(ChunkWorker):
    """A worker that takes its time, and says which process it is."""

    def score_chunk(self, chunk: int) -> Path:
        """Wait, and score."""
        note = self._order.place / f"worker-{os.getpid()}"
        note.touch()
        time.sleep(0.4)
        return super().score_chunk(chunk)


class Stuck(ChunkWorker):
    """A worker that never ends a chunk."""

    def score_chunk(self, chunk: int) -> Path:
        """Wait for ever."""
        time.sleep(3600)
        return super().score_chunk(chunk)


class KillerRay(RayWorker):
    """Actor of it."""

    make = Killer


class SlowRay(RayWorker):
    """Actor of it."""

    make = Slow


class StuckRay(RayWorker):
    """Actor of it."""

    make = Stuck


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """A cluster of two processors, for all tests of the file; its token is in nobody's home."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HOME", str(tmp_path_factory.mktemp("home")))
        patch.setenv("RAY_USAGE_STATS_ENABLED", "0")
        ray.init(
            "local",
            num_cpus=2,
            include_dashboard=False,
            log_to_driver=False,
            logging_level="ERROR",
            object_store_memory=100 << 20,
        )
        ray.cloudpickle.register_pickle_by_value(sys.modules[__name__])
        yield
        ray.shutdown()


@pytest.fixture(scope="module")
def inbox(toy: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("inbox")
    films = sorted((toy / "films" / "images").iterdir())
    for number in range(11):
        shutil.copyfile(films[number], folder / f"{number:02}.png")
    (folder / "cut.png").write_bytes(films[0].read_bytes()[:300])
    return folder


Make = Callable[..., Order]


@pytest.fixture
def order(toy: Path, inbox: Path, tmp_path: Path) -> Make:
    def make(name: str = "out", films: Path = inbox) -> Order:
        place = tmp_path / name
        write_plan([str(films)], place / PLAN, CHUNK)
        words = {"bundle": str(toy / "bundle"), "plan": str(place / PLAN), "out": str(place)}
        made = Order(precision=None, lanes=1, **words)
        return made.model_copy(update={"expected": made.identity(made.load(), made.request())})

    return make


def parts_of(place: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted((place / "parts").iterdir())}


@pytest.fixture
def expected(order: Make) -> dict[str, bytes]:
    made = order("expected")
    run_archive(made, find_engine("lanes"))
    return parts_of(made.place)


def test_workers_on_a_cluster_write_the_parts_of_one_machine(
    cluster: None, order: Make, expected: dict[str, bytes]
) -> None:
    made = order()
    done = run_archive(made, find_engine("ray"), cluster=ClusterWords(least=2, most=2))
    assert (done.scored, done.missing, done.killers) == (4, 0, 0)
    assert parts_of(made.place) == expected


def test_more_workers_than_processors_do_not_hang(
    cluster: None, order: Make, expected: dict[str, bytes]
) -> None:
    """Ray's own pools wait for ever where workers take all processors (ray #44687)."""
    made = order()
    run_archive(made, find_engine("ray"), cluster=ClusterWords(least=6, most=6, patience_s=120))
    assert parts_of(made.place) == expected


@pytest.mark.parametrize("killed", [1, 3])
def test_a_worker_that_is_killed_costs_no_row(
    cluster: None, order: Make, expected: dict[str, bytes], killed: int
) -> None:
    made, victims = order(), set[str]()

    def kill(done: int, _: int) -> None:
        for note in made.place.glob("worker-*"):
            if len(victims) < killed and note.name not in victims:
                victims.add(note.name)
                os.kill(int(note.name.removeprefix("worker-")), signal.SIGKILL)
                return

    run_archive(made, RayActors(SlowRay), cluster=ClusterWords(least=2, most=2), advance=kill)
    assert victims
    assert parts_of(made.place) == expected


def test_a_run_that_was_closed_goes_on_from_its_parts(
    cluster: None, order: Make, expected: dict[str, bytes]
) -> None:
    made = order()
    with closing(RayActors().finish(made, range(4), ClusterWords(least=1, most=1))) as finished:
        next(finished)
    left = len(parts_of(made.place))
    done = run_archive(made, find_engine("ray"))
    assert done.scored == 4 - left < 4
    assert parts_of(made.place) == expected


def test_a_film_that_kills_its_worker_costs_only_its_own_row(
    cluster: None, order: Make, inbox: Path, tmp_path: Path
) -> None:
    films = tmp_path / "films"
    shutil.copytree(inbox, films)
    shutil.copyfile(films / "01.png", films / "03-killer.png")
    expected, made = order("expected", films), order("out", films)
    run_archive(expected, find_engine("lanes"))
    done = run_archive(made, RayActors(KillerRay), cluster=ClusterWords(least=2, most=2))
    assert done.killers == 1
    for chunk in range(done.chunks):
        mine, theirs = (
            [entry.result for entry in Part(part_path(one.place, chunk)).entries()]
            for one in (made, expected)
        )
        for one, other in zip(mine, theirs, strict=True):
            if "killer" in one.image_id:
                assert one.codes == (ReasonCode.DECODER_CRASHED,)
                assert one.findings is None
            else:
                assert one == other


def test_a_run_without_a_finished_chunk_ends_and_says_so(cluster: None, order: Make) -> None:
    words = ClusterWords(least=1, most=1, patience_s=6.0)
    with pytest.raises(ChildProcessError, match=r"a chunk must be finished every 0\.1 minutes"):
        run_archive(order(), RayActors(StuckRay), cluster=words)


def test_a_node_that_has_other_code_refuses_to_work(cluster: None, order: Make) -> None:
    made = order()
    assert made.expected is not None
    other = made.expected.model_copy(update={"code_sha256": "0" * 64})
    with pytest.raises(UsageError, match="every worker must have the same plan, bundle, code"):
        run_archive(made.model_copy(update={"expected": other}), find_engine("ray"))


def test_no_key_is_sent_to_a_worker(order: Make, tmp_path: Path) -> None:
    key = tmp_path / "phi.key"
    key.write_bytes(b"canary-secret-key-canary-secret-key")
    key.chmod(0o600)
    made = order().model_copy(update={"phi": "pseudonym", "phi_key": str(key)})
    made = made.model_copy(update={"expected": made.identity(made.load(), made.request())})
    assert "canary-secret" not in made.model_dump_json()


def test_importing_the_engine_does_not_import_ray() -> None:
    heavy = "[m for m in ('ray', 'pyarrow') if m in sys.modules]"
    code = f"import hilum.batch.engines.ray, sys; print({heavy})"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.stdout, done.stderr) == ("[]\n", "")
