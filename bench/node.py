"""`python -m bench node`: the node beside storescp and Orthanc, and beside hilum without it.

Objects of 1 MB come from `storescu` on loopback, over one association and over four, in turn to
the node, to `storescp` of dcmtk and to Orthanc (with `SyncStorageArea`); the node syncs each before
it answers. Then films go through the node to a peer, in turn with a batch that makes the same
objects, and one at a time for the latency. What is not installed is left out. Run it on a quiet
machine; ratios of one run are what counts.
"""

from __future__ import annotations

import argparse
import json
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Generator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import numpy as np
import yaml
from pydicom.dataset import FileDataset, FileMetaDataset
from pydicom.uid import UID, ComputedRadiographyImageStorage, ExplicitVRLittleEndian

from bench.clock import busy
from hilum.batch.dicom_objects import DicomRequest
from hilum.batch.run import run_batch
from hilum.batch.score import BatchRequest
from hilum.bundle import Bundle
from hilum.interchange import usual_kinds
from hilum.phantom.corpus import PhantomCorpus

ROUNDS = 3
SIDE = 724
"""Rows and columns of 16 bits that make 1 MB."""
BARS = {("storescp", 1): 2.0, ("Orthanc", 1): 2.0, ("Orthanc", 4): 1.2}
FSYNC, END_TO_END, LATENCY, SLOPE = 0.5, 0.7, (2.0, 4.0), 1.0
"""Bars: rate with fsync beside that without; films/s beside a batch; median and p95 of the latency
beside its parts; MB of memory a thousand instances."""
UNSYNCED = """
import os, sys
os.fsync = lambda _file: None
from hilum.files.database import Database
opened = Database._open
def unsynced(self):
    made = opened(self)
    made.execute("PRAGMA synchronous=OFF")
    return made
Database._open = unsynced
from hilum.cli import command
sys.argv = ["hilum", *sys.argv[1:]]
command()
"""
UID_ROOT = "1.2.826.0.1.3680043.8.498."
_NUMBERS = count(1)


def main(words: Sequence[str] = ()) -> None:
    """Measure, and print the ratios."""
    parser = argparse.ArgumentParser(prog="python -m bench node")
    parser.add_argument("--count", type=int, default=100, help="objects of a round")
    parser.add_argument("--films", type=int, default=40, help="films of a round, end to end")
    parser.add_argument("--memory", type=int, default=0, help="objects sent to see the memory")
    parser.add_argument("--only", choices=("receive", "results", "memory"))
    given = parser.parse_args(list(words))
    print(busy())
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        if given.only in (None, "receive") and _installed("storescu"):
            receiving(root, given.count)
        if given.only in (None, "results"):
            results(root, given.films)
        if given.memory and _installed("storescu"):
            memory(root, given.memory)


def receiving(root: Path, number: int) -> None:
    """Instances a second of each contender, in turn."""
    with ExitStack() as stack:
        places = {"node": stack.enter_context(node(root / "node")).port}
        command = (sys.executable, "-c", UNSYNCED)
        places["unsynced"] = stack.enter_context(node(root / "unsynced", command)).port
        for name, start in (("storescp", storescp), ("Orthanc", orthanc)):
            if _installed(name):
                places[name] = stack.enter_context(start(root / name))
        for associations in (1, 4):
            rates: dict[str, list[float]] = {name: [] for name in places}
            for turn in range(ROUNDS + 1):
                for name, port in places.items():
                    found = rate(root / "sent", port, number, associations)
                    if turn:  # the first warms up
                        rates[name].append(found)
            compare(rates, associations)


def compare(rates: dict[str, list[float]], associations: int) -> None:
    """Print what each contender did, and the node's ratios to it."""
    own = statistics.median(rates["node"])
    words = ", ".join(f"{name} {statistics.median(one):.0f}" for name, one in rates.items())
    print(f"{associations} association(s), instances/s: {words}")
    for name, found in rates.items():
        if name == "node":
            continue
        ratio = statistics.median(a / b for a, b in zip(rates["node"], found, strict=True))
        bar = FSYNC if name == "unsynced" else BARS.get((name, associations))
        print(f"  node {own:.0f}: {ratio:.2f} x {name}" + (f" (at least {bar})" if bar else ""))


def rate(folder: Path, port: int, number: int, associations: int) -> float:
    """Instances a second of fresh objects, sent by as many programs as associations."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    paths = [str(path) for path in fresh(folder, number)]
    begun = time.perf_counter()
    senders = [
        subprocess.Popen(
            ["storescu", "-aec", "HILUM", "127.0.0.1", str(port), *paths[first::associations]],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        for first in range(associations)
    ]
    codes = [sender.wait() for sender in senders]
    seconds = time.perf_counter() - begun
    if any(codes):
        sys.exit(f"storescu ended with {codes} at port {port}")
    return number / seconds


def fresh(folder: Path, number: int) -> list[Path]:
    """Write objects of 1 MB that nobody has seen."""
    pixels = np.random.default_rng(7).integers(0, 4096, (SIDE, SIDE), dtype=np.uint16)
    return [film(folder, pixels, next(_NUMBERS)) for _ in range(number)]


def film(folder: Path, pixels: Any, number: int) -> Path:
    """Write a film of a study of its own."""
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = ComputedRadiographyImageStorage
    meta.MediaStorageSOPInstanceUID = UID(f"{UID_ROOT}3.{number}")
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    one = FileDataset("", {}, bytes(128), meta)
    one.SOPClassUID, one.SOPInstanceUID = meta.MediaStorageSOPClassUID, f"{UID_ROOT}3.{number}"
    one.StudyInstanceUID, one.SeriesInstanceUID = f"{UID_ROOT}1.{number}", f"{UID_ROOT}2.{number}"
    one.PatientName, one.PatientID, one.PatientAge = "Bench", f"B{number}", "055Y"
    one.Modality, one.ViewPosition, one.BodyPartExamined = "CR", "PA", "CHEST"
    one.StudyDate, one.StudyTime, one.AccessionNumber = "20200304", "101112", ""
    one.Rows, one.Columns = pixels.shape
    one.SamplesPerPixel, one.PhotometricInterpretation = 1, "MONOCHROME2"
    one.BitsAllocated, one.BitsStored, one.HighBit, one.PixelRepresentation = 16, 12, 11, 0
    one.PixelData = pixels.tobytes()
    path = folder / f"{number}.dcm"
    one.save_as(path, enforce_file_format=True)
    return path


@dataclass
class Peer:
    """An archive of our own that answers at once: when each object came."""

    port: int
    times: list[float] = field(default_factory=list)

    def start(self) -> Any:
        """Take objects; return the server."""
        from pynetdicom import AE, StoragePresentationContexts, evt

        def store(_event: Any) -> int:
            self.times.append(time.perf_counter())
            return 0x0000

        entity = AE("PEER")
        syntaxes = [ExplicitVRLittleEndian, "1.2.840.10008.1.2.4.80"]
        for one in StoragePresentationContexts:
            entity.add_supported_context(str(one.abstract_syntax), syntaxes)
        handlers: Any = [(evt.EVT_C_STORE, store)]
        return entity.start_server(("127.0.0.1", self.port), block=False, evt_handlers=handlers)


def results(root: Path, number: int) -> None:
    """Films to objects at a peer, beside a batch that makes the same objects; and the latency."""
    corpus = PhantomCorpus(patients=8, seed=7, size=1024)
    drawn = [
        np.rint(np.asarray(corpus.draw(plan).pixels, np.float64) * 4095).astype(np.uint16)
        for plan in corpus.films()[:8]
    ]
    peer = Peer(free_port())
    server = peer.start()
    bundle = Bundle.load("starter")
    request = BatchRequest(pictures=None, dicom=DicomRequest(usual_kinds(), bytes(range(32))))
    quiet_s, ratios = 0.2, list[float]()
    with node(root / "results", peer=peer.port, quiet_s=quiet_s) as one:
        for turn in range(ROUNDS + 1):
            inbox = root / f"inbox-{turn}"
            inbox.mkdir()
            paths = [film(inbox, drawn[at % len(drawn)], next(_NUMBERS)) for at in range(number)]
            begun = time.perf_counter()
            run_batch(bundle, paths, root / f"out-{turn}", request)
            batch = number / (time.perf_counter() - begun)
            objects = len(list((root / f"out-{turn}" / "dicom").glob("*/*.dcm")))
            peer.times.clear()
            begun = time.perf_counter()
            send(one.port, paths)
            while len(peer.times) < objects:
                time.sleep(0.01)
            whole = number / (peer.times[-1] - begun - quiet_s)
            if turn:
                ratios.append(whole / batch)
                print(f"node {whole:.1f} films/s, batch {batch:.1f} films/s")
        print(f"end to end: ratio {statistics.median(ratios):.2f} (at least {END_TO_END})")
        latency(root, one, peer, drawn, quiet_s)
    server.shutdown()


def latency(root: Path, one: Node, peer: Peer, drawn: list[Any], quiet_s: float) -> None:
    """From the answer to a film until its last object is at the peer, beside the parts alone."""
    found: list[float] = []
    before = stages(one.pages)
    (root / "single").mkdir()
    for at in range(30):
        peer.times.clear()
        send(one.port, [film(root / "single", drawn[at % len(drawn)], next(_NUMBERS))])
        answered = time.perf_counter()
        last = settled(peer)
        found.append(last - answered - quiet_s)
    after = stages(one.pages)
    alone = sum(after[name] - before[name] for name in ("read", "score", "build", "send")) / 30
    for name, value, bar in (
        ("median", statistics.median(found), LATENCY[0]),
        ("p95", statistics.quantiles(found, n=20)[-1], LATENCY[1]),
    ):
        print(
            f"latency {name} {value:.2f} s, parts alone {alone:.2f} s, ratio {value / alone:.2f} "
            f"(at most {bar})"
        )


def settled(peer: Peer) -> float:
    """Return when the last object of a film came: none follows for a second."""
    while not peer.times or time.perf_counter() - peer.times[-1] < 1.0:
        time.sleep(0.01)
    return peer.times[-1]


def stages(port: int) -> dict[str, float]:
    """Seconds that each stage took so far."""
    with urlopen(f"http://127.0.0.1:{port}/metrics") as answer:
        lines = answer.read().decode().splitlines()
    start = "hilum_stage_seconds_sum{stage="
    parts = [line.removeprefix(start).split('"') for line in lines if line.startswith(start)]
    return {name: float(value.strip("} ")) for _, name, value in parts}


def send(port: int, paths: Sequence[Path]) -> None:
    """Send films by one association."""
    from pynetdicom import AE

    entity = AE("BENCH")
    entity.add_requested_context(ComputedRadiographyImageStorage, ExplicitVRLittleEndian)
    association = entity.associate("127.0.0.1", port, ae_title="HILUM")
    for path in paths:
        if association.send_c_store(path).Status:
            sys.exit("the node did not take a film")
    association.release()


def memory(root: Path, number: int) -> None:
    """Slope of the node's memory over many instances."""
    with node(root / "memory") as one:
        step, sizes = max(100, number // 20), list[float]()
        for _ in range(0, number, step):
            rate(root / "sent", one.port, step, 1)
            sizes.append(rss_mb(one.pid))
        sizes = sizes[len(sizes) // 4 :]
        slope = float(np.polyfit(np.arange(len(sizes)) * step / 1000, sizes, 1)[0])
        print(
            f"{number} instances: {sizes[-1]:.0f} MB, slope {slope:.2f} MB a thousand "
            f"(at most {SLOPE:g})"
        )


def rss_mb(pid: int) -> float:
    """Resident memory of a process."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith("VmRSS")).split()[1]) / 1024


@dataclass(frozen=True)
class Node:
    """A node in a process of its own."""

    port: int
    pages: int
    pid: int


@contextmanager
def node(
    folder: Path, command: Sequence[str] = (), peer: int = 0, quiet_s: float = 3600.0
) -> Generator[Node]:
    """Start a node, which scores nothing for an hour unless it has a peer."""
    folder.mkdir()
    port, pages = free_port(), free_port()
    place = {"name": "peer", "host": "127.0.0.1", "port": peer, "ae_title": "PEER"}
    rules = {
        "spool": str(folder / "spool"),
        "listen": {"dicom": {"port": port}, "status": {"port": pages}},
        "group": {"quiet_s": quiet_s, "at_most_s": max(quiet_s, 3600.0)},
        "destinations": [place] if peer else [],
        "accept": {"quota_gb": 200},
    }
    (folder / "node.yaml").write_text(yaml.safe_dump(rules))
    program = command or (str(Path(sys.executable).with_name("hilum")),)
    words = [*program, "node", "starter", "--config", str(folder / "node.yaml"), "-q"]
    with (folder / "log").open("w") as log:
        process = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=log, text=True)
    try:
        if process.stdout is None or not process.stdout.readline():
            sys.exit(f"the node did not start: {(folder / 'log').read_text()}")
        yield Node(port, pages, process.pid)
    finally:
        process.terminate()
        process.wait()


@contextmanager
def storescp(folder: Path) -> Generator[int]:
    """Start dcmtk's receiver."""
    folder.mkdir()
    port = free_port()
    words = ["storescp", "-aet", "HILUM", "-od", str(folder), str(port)]
    with running(words, port):
        yield port


@contextmanager
def orthanc(folder: Path) -> Generator[int]:
    """Start Orthanc, which syncs what it stores."""
    folder.mkdir()
    port = free_port()
    rules = {
        **{"StorageDirectory": str(folder), "IndexDirectory": str(folder), "Plugins": []},
        **{"DicomPort": port, "HttpPort": free_port(), "DicomAet": "HILUM"},
        **{"DicomAlwaysAllowStore": True, "SyncStorageArea": True},
        **{"AuthenticationEnabled": False, "DicomThreadsCount": 4},
    }
    (folder / "o.json").write_text(json.dumps(rules))
    with running(["Orthanc", str(folder / "o.json")], port):
        yield port


@contextmanager
def running(words: list[str], port: int) -> Generator[None]:
    """Run a program until its port answers, and end it."""
    quiet: Any = subprocess.DEVNULL
    process = subprocess.Popen(words, stdout=quiet, stderr=quiet)
    try:
        for _ in range(600):
            with socket.socket() as tried:
                if tried.connect_ex(("127.0.0.1", port)) == 0:
                    break
            time.sleep(0.1)
        else:
            sys.exit(f"{words[0]} did not start")
        yield
    finally:
        process.terminate()
        process.wait()


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return int(taken.getsockname()[1])


def _installed(program: str) -> bool:
    found = shutil.which(program) is not None
    if not found:
        print(f"{program} is not installed: left out")
    return found


if __name__ == "__main__":
    main(sys.argv[1:])
