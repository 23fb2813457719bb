"""Extension folders: every member keeps the contract, and one more is one more file."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import torch

from hilum.calibration import FittedCalibrator, fit
from hilum.calibration.curves import Curve, curve_type
from hilum.cli.terminal import form_of
from hilum.datasets import DatasetReader, open_dataset, reader
from hilum.domain.errors import UsageError
from hilum.domain.findings import LabelSet
from hilum.domain.members import member, members
from hilum.domain.scores import Logits
from hilum.interchange import ObjectKind, check_kinds, object_kind, usual_kinds
from hilum.model.backbones import Backbone, backbone
from hilum.report.batch import Report, reports
from hilum.report.parts.results import BatchResults, BundleFacts
from hilum.report.printed import Printed, printed
from hilum.runs.recipe import load_config
from hilum.training.data.samplers import Sampler, sampler
from hilum.training.losses import Loss, loss
from hilum.training.sinks import Sink, check, sink

EMPTY = BatchResults((), LabelSet("one", ("Mass",)), BundleFacts("b", "1", "f32", "sigmoid"))
NEW = "fresh"
"""Name of the member that is added."""


@dataclass(frozen=True)
class Folder:
    """An extension folder, and what a new member of it is and does.

    Attributes:
        package: dotted name.
        kind: type of its members.
        find: finds a member by name.
        text: file of the new member.
        use: names the new member as a user would, and uses it.
    """

    package: str
    kind: type
    find: Callable[[str], object]
    text: str
    use: Callable[[Path], None]


DATASET = """
from pathlib import Path
from hilum.datasets import Card, DatasetReader
from hilum.domain.findings import LabelSet, LabelState
from hilum.domain.record import Cohort, Record

CARD = Card("fresh", "Fresh", 1, 1, "read", "fresh.csv", "none", "none", "https://x.org", ("one",))


def recognize(place: Path) -> bool:
    return (place / "fresh.csv").exists()


def read(place: Path) -> Cohort:
    record = Record(image_id="a", patient_id="p", states=(LabelState.POSITIVE,))
    return Cohort("fresh", LabelSet("fresh", ("Mass",)), (record,), None, ("drawn",), True)


def write_example(folder: Path) -> Path:
    (folder / "fresh.csv").touch()
    return folder


DATASET: DatasetReader = DatasetReader(CARD, recognize, read, write_example)
"""


def use_dataset(folder: Path) -> None:
    place = reader(NEW).write_example(folder)
    assert open_dataset(place).dataset == open_dataset(place, NEW).dataset == NEW


CURVE = """
from hilum.calibration.curves import Curve
from hilum.calibration.curves.platt import Platt


class Fresh(Platt):
    pass


CURVE: type[Curve] = Fresh
"""


def use_curve(_folder: Path) -> None:
    logits = Logits(np.array([[-2.0], [0.5], [-0.5], [2.0]]), LabelSet("one", ("Mass",)))
    fitted = fit(NEW, logits, np.array([[0], [0], [1], [1]], np.int8))
    assert fitted.findings["Mass"].method == NEW
    assert FittedCalibrator.from_json(fitted.to_json()) == fitted


REPORT = """
from dataclasses import dataclass
from hilum.report.batch import Report


@dataclass(frozen=True)
class Fresh(Report):
    filename: str = "fresh.txt"

    def pieces(self, batch):
        yield f"{len(batch.results)} films"


REPORT: Report = Fresh()
"""


def use_report(_folder: Path) -> None:
    assert reports()[NEW].render(EMPTY) == "0 films"


PRINTED = """
from hilum.report.printed import Printed

PRINTED: Printed = Printed(lambda batch: f"{len(batch.results)} films")
"""


def use_printed(_folder: Path) -> None:
    form = form_of(NEW)
    assert form is not None
    assert form.render(EMPTY) == "0 films"


BACKBONE = """
from torch import nn
from hilum.model.backbones import Backbone, Features


def build(channels, options, drop_path=0.0):
    return Features(nn.Conv2d(channels, 4, 3), 4)


BACKBONE: Backbone = Backbone(build)
"""


def use_backbone(_folder: Path) -> None:
    name = load_config("demo", (f"model.backbone={NEW}",)).model.backbone
    assert backbone(name).build(1, {}).channels == 4


LOSS = """
from hilum.training.losses import Loss, full_precision, weighted


def value(logits, y, mask, weights, config):
    p = full_precision(logits).sigmoid()
    return weighted((p.square(), (1.0 - p).square()), y, mask, weights)


LOSS: Loss = Loss(value)
"""


def use_loss(_folder: Path) -> None:
    config = load_config("demo", (f"loss.name={NEW}",)).loss
    one = torch.ones(1, 1)
    brier = loss(config.name).value(torch.zeros(1, 1), one, one, torch.ones(1, 2), config)
    assert brier.mean == 0.25


SAMPLER = """
import numpy as np
from hilum.training.data.samplers import Sampler

SAMPLER: Sampler = Sampler(lambda states, config, rng: np.arange(len(states)))
"""


def use_sampler(_folder: Path) -> None:
    config = load_config("demo", (f"data.sampler={NEW}",)).data
    rows = sampler(config.sampler).order(np.zeros((3, 1), np.int8), config, np.random.default_rng())
    assert rows.tolist() == [0, 1, 2]


SINK = """
from hilum.training.sinks import Sink

SINK: Sink = Sink("json", lambda run, config, place, done: None)
"""


def use_sink(_folder: Path) -> None:
    check((f"{NEW}=somewhere",))
    assert sink(NEW).package == "json"


OBJECT = """
from hilum.interchange import ObjectKind

OBJECT: ObjectKind = ObjectKind(lambda film: None, series=9099)
"""


def use_object(_folder: Path) -> None:
    assert check_kinds(f"sr,{NEW}") == ("sr", NEW)
    assert NEW in usual_kinds()


def find_report(name: str) -> Report:
    return member("hilum.report.batch", name, Report, "report")


def find_sink(name: str) -> Sink:
    """Finds a sink whether its package is installed or not."""
    return member("hilum.training.sinks", name, Sink, "sink")


FOLDERS = [
    Folder("hilum.datasets", DatasetReader, reader, DATASET, use_dataset),
    Folder("hilum.calibration.curves", Curve, curve_type, CURVE, use_curve),
    Folder("hilum.report.batch", Report, find_report, REPORT, use_report),
    Folder("hilum.report.printed", Printed, printed, PRINTED, use_printed),
    Folder("hilum.model.backbones", Backbone, backbone, BACKBONE, use_backbone),
    Folder("hilum.training.losses", Loss, loss, LOSS, use_loss),
    Folder("hilum.training.data.samplers", Sampler, sampler, SAMPLER, use_sampler),
    Folder("hilum.training.sinks", Sink, find_sink, SINK, use_sink),
    Folder("hilum.interchange", ObjectKind, object_kind, OBJECT, use_object),
]
every_folder = pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.package)

Add = Callable[[str, str, str], None]


@pytest.fixture
def add(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Add]:
    """Adds a file to an extension folder until the test ends: package, name, text."""
    added: list[tuple[str, str]] = []

    def add_file(package: str, name: str, text: str) -> None:
        place = tmp_path / package
        place.mkdir(exist_ok=True)
        text = f'"""A member for a test."""\n\nfrom __future__ import annotations\n{text}'
        (place / f"{name}.py").write_text(text, "utf-8")
        module = importlib.import_module(package)
        monkeypatch.setattr(module, "__path__", [*module.__path__, str(place)])
        importlib.invalidate_caches()
        added.append((package, name))

    yield add_file
    for package, name in added:
        sys.modules.pop(f"{package}.{name}", None)
        vars(sys.modules[package]).pop(name, None)


@every_folder
def test_every_file_is_a_member_of_the_folders_kind(folder: Folder) -> None:
    path = Path(str(importlib.import_module(folder.package).__file__)).parent
    files = {file.stem for file in path.glob("*.py")} - {"__init__"}
    assert set(members(folder.package)) == files
    for name in files:
        found = folder.find(name)
        kinds = found.__mro__ if isinstance(found, type) else type(found).__mro__
        assert folder.kind in kinds


@every_folder
def test_one_more_is_one_more_file(folder: Folder, add: Add, tmp_path: Path) -> None:
    before = members(folder.package)
    assert NEW not in before
    add(folder.package, NEW, folder.text)
    assert members(folder.package) == tuple(sorted((*before, NEW)))
    found = folder.find(NEW)
    assert isinstance(found, folder.kind) or issubclass(found, folder.kind)  # pyright: ignore[reportArgumentType]
    folder.use(tmp_path)


@every_folder
def test_an_unknown_member_is_refused_in_one_line(folder: Folder) -> None:
    known = members(folder.package)[0]
    with pytest.raises(UsageError, match=f"no .* '{known}x'; .* Did you mean '{known}'") as caught:
        folder.find(f"{known}x")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "text",
    [
        "LOSS = 1\n",
        "LOSS: int = 1\n",
        "from hilum.training.losses.bce import LOSS\n",
        "from hilum.training.losses.bce import LOSS as BCE\nONE: object = BCE\nTWO: object = BCE\n",
        "from hilum.training.losses.bce import LOSS as BCE\n_LOSS: object = BCE\n",
    ],
    ids=["not annotated", "another type", "imported", "two", "private"],
)
def test_a_file_must_define_one_constant_of_its_kind(text: str, add: Add) -> None:
    add("hilum.training.losses", NEW, text)
    with pytest.raises(TypeError, match="must define one public annotated constant of Loss"):
        loss(NEW)
