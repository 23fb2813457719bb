"""The order of an archive: what each worker needs to know to score a chunk as all others do."""

from __future__ import annotations

from functools import cached_property
from pathlib import Path

from hilum.batch.archive.plan import Plan
from hilum.batch.patients import Patients, Phi, read_key
from hilum.batch.score import BatchRequest
from hilum.bundle import Bundle
from hilum.domain.documents import Document
from hilum.domain.errors import UsageError
from hilum.domain.findings import LabelSet
from hilum.domain.provenance import SCORING, code_sha256
from hilum.explain.files import PictureFormat
from hilum.explain.ramp import Style
from hilum.explain.request import HeatmapRequest, Pictures
from hilum.reading.process import Limits

__all__ = ["DrawingWords", "Identity", "Order"]


class DrawingWords(Document):
    """The pictures of an order, in the words of the command line."""

    heatmaps: str = "positives"
    overlays: bool = False
    style: str = Style.PLASMA.value
    panel: bool = False
    stored: str = PictureFormat.PNG.value

    def pictures(self) -> Pictures:
        """Return what these words mean."""
        return Pictures(
            HeatmapRequest.parse(self.heatmaps),
            self.overlays,
            Style(self.style),
            self.panel,
            PictureFormat(self.stored),
        )


class Identity(Document):
    """Everything that the bytes of a part depend on, but for its ordinals."""

    schema_version: int = 1
    plan: str
    """SHA-256 of the plan."""
    bundle: str
    """Short id of the bundle."""
    precision: str
    code_sha256: str
    options: dict[str, str]
    """Options that change results or pictures; of a key there is a fingerprint alone."""
    label_set: str
    findings: tuple[str, ...]

    @property
    def labels(self) -> LabelSet:
        """The findings that were scored."""
        return LabelSet(self.label_set, self.findings)

    def differing(self, other: Identity) -> list[str]:
        """Return the names of what differs in another identity."""
        mine, theirs = (_flat(one) for one in (self, other))
        return sorted(key for key in {*mine, *theirs} if mine.get(key) != theirs.get(key))


def _flat(identity: Identity) -> dict[str, object]:
    fields = identity.model_dump(exclude={"options"})
    return {**fields, **identity.options}


class Order(Document):
    """An order as it goes to a worker: words and paths, no key and no data of a film."""

    bundle: str
    """Folder of the bundle, on each node the same."""
    precision: str | None
    """Arithmetic; None for the bundle's own."""
    plan: str
    """Path of the plan."""
    out: str
    """Folder of the results."""
    drawings: DrawingWords | None = None
    """None for tables alone."""
    threshold: float | None = None
    phi: str = Phi.NONE.value
    phi_key: str = ""
    """Path of the key of the pseudonyms: each worker reads it, and it is sent to none."""
    timeout_s: int = 30
    threads: int = 1
    """Threads of the network in each worker."""
    lanes: int | None = None
    expected: Identity | None = None
    """What the bundle, code and options of each worker must be; None where it is not known yet."""

    @property
    def place(self) -> Path:
        """Folder of the results."""
        return Path(self.out)

    @cached_property
    def films(self) -> Plan:
        """The plan."""
        return Plan(Path(self.plan))

    def request(self) -> BatchRequest:
        """Return the options of the scoring; the key of pseudonyms is read here.

        Raises:
            UsageError: for a key that cannot be used.
        """
        patients = (
            Patients(Phi(self.phi))
            if self.phi != Phi.PSEUDONYM.value
            else Patients(Phi.PSEUDONYM, read_key(Path(self.phi_key), self.place))
        )
        return BatchRequest(
            pictures=None if self.drawings is None else self.drawings.pictures(),
            threshold=self.threshold,
            patients=patients,
            limits=Limits(timeout_s=self.timeout_s),
            lanes=self.lanes,
        )

    def load(self) -> Bundle:
        """Load the bundle."""
        return Bundle.load(Path(self.bundle), threads=self.threads, precision=self.precision)

    def identity(self, bundle: Bundle, request: BatchRequest) -> Identity:
        """Return what the parts of this order depend on, as this machine has it."""
        return Identity(
            plan=self.films.facts.sha256,
            bundle=bundle.id,
            precision=bundle.precision.value,
            code_sha256=code_sha256(*SCORING),
            options=request.options(),
            label_set=bundle.labels.name,
            findings=tuple(bundle.labels),
        )

    def check(self, bundle: Bundle, request: BatchRequest) -> Identity:
        """Return this machine's identity; refuse to work where it is not the expected one.

        Raises:
            UsageError: naming what differs.
        """
        mine = self.identity(bundle, request)
        if self.expected is not None and (differ := self.expected.differing(mine)):
            raise UsageError(
                f"every worker must have the same plan, bundle, code and options; one has a "
                f"different {', '.join(differ)}. Install the same hilum and bundle on each node"
            )
        return mine
