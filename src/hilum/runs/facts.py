"""run.json and quantisation.json: what a finished run says of its network."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from hilum.domain.documents import SplitFacts
from hilum.domain.documents.evaluation import CONTAMINATED
from hilum.domain.findings import LabelSet
from hilum.domain.policy import LabelPolicy
from hilum.domain.record import Cohort, Split
from hilum.imaging.preprocess import Preprocessing

if TYPE_CHECKING:
    from hilum.splits import SplitTable

__all__ = [
    "BUNDLE",
    "BoundFilms",
    "Design",
    "Imported",
    "NetworkFacts",
    "NetworkOrigin",
    "PhaseRecord",
    "Quantization",
    "RunFacts",
    "SeenFilms",
    "Trained",
]


class _Facts(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class PhaseRecord(_Facts):
    """Proof of what one training phase did: every trained tensor changed, no frozen one did."""

    phase: str
    rates: dict[str, float]
    """Peak learning rate of each part."""
    trained: dict[str, int]
    """Number of trained tensors of each part."""
    frozen: int
    """Number of parameters and buffers that stayed as they were, to the bit."""
    backbone_before: str
    """Hash of the backbone's parameters and buffers at the start of the phase."""
    backbone_after: str
    """The same at the end of the phase: equal where the backbone was frozen."""
    head_before: str
    """Hash of the findings' linear layer at the start of the phase."""
    head_after: str
    """The same at the end of the phase."""


class Design(_Facts):
    """Parts of the network by name, with which its stored tensors become a torch network again."""

    backbone: str
    """Backbone of hilum, or timm/NAME."""
    options: dict[str, int] = {}
    """Options of the backbone."""
    pooling: str = "average"
    """What lies between the feature map and the head."""
    steps: tuple[str, ...] = ("linear",)
    """Layers of the head: linear, norm or relu, in order."""
    epsilon: float | None = None
    """Epsilon of the backbone's norms; None for that of the backbone."""


class NetworkFacts(_Facts):
    """The network as it is served: outputs, input, limits and hashes, wherever it came from."""

    name: str
    """Name that the bundle, its card and every report show."""
    label_set: str
    """Name of the label set."""
    labels: tuple[str, ...]
    """Findings of the network's outputs, in order."""
    preprocessing: Preprocessing
    """The way from a film to the network's input."""
    architecture: str = ""
    """Backbone, pooling and head in words; empty in bundles made before this field existed."""
    design: Design | None = None
    """Parts of the network by name; None where they are not known, as for an imported graph."""
    limits: str = ""
    """Uses the network must not have, shown first among the limits on the card."""
    model_sha256: str
    """Hash of the exported network: calibrator and thresholds are bound to it."""
    seen_sha256: str = ""
    """Hash of the patients that the network has seen; empty where they are not known."""
    train_prevalence: dict[str, float] = {}
    """Share of positives of each finding among the labeled training films, in [0, 1]."""
    parity: dict[str, float] = {}
    """Largest absolute difference of the exported graph from torch, by output."""
    notes: tuple[str, ...] = ()
    """Notes for the reader of its numbers."""
    provenance: dict[str, str] = {}
    """Code and libraries that made the network."""

    @property
    def outputs(self) -> LabelSet:
        """Label set of the network's outputs, in order."""
        return LabelSet(self.label_set, self.labels)


class Trained(_Facts):
    """Origin of a network that hilum trained."""

    kind: Literal["trained"] = "trained"
    config_sha256: str
    """Hash of the resolved configuration, config.yaml."""
    seed: int | None = None
    """Seed of the run; none in bundles made before this field existed."""
    state_weights: dict[str, tuple[float, float]] = {}
    """Factors of the loss for each finding's negative and positive films."""
    chosen_by: str = "auroc"
    """Selection metric of the epoch: auroc, average_precision or loss, on tune."""
    best_epoch: int
    """The selected epoch, counted from 1; the last one where tune could not choose."""
    best_tune: float | None = None
    """Selection metric of the best epoch on tune; optimistic, since the epoch was chosen by it."""
    best_tune_auroc: float | None
    """Macro AUROC of the best epoch on tune; optimistic likewise."""
    phases: tuple[PhaseRecord, ...] = ()
    """Proof of what each phase trained and left as it was."""

    def hashes(self) -> dict[str, str]:
        """Return what identifies the origin in the provenance of an evaluation."""
        return {"config_sha256": self.config_sha256}


class SeenFilms(_Facts):
    """Films that others trained a network on, as far as they published it."""

    dataset: str
    """Name of the dataset, that of its reader in hilum where it has one, such as nih."""
    films: str
    """Films of it, in words, such as "patients that no list names"."""


BUNDLE = "hilum bundle"
"""Format of a network that was imported from a bundle."""


class Imported(_Facts):
    """Origin of a network whose weights were published by others."""

    kind: Literal["imported"] = "imported"
    file: str
    """Name of the imported file, without its folder."""
    sha256: str
    """Hash of the imported file; of a bundle, the seal of its bundle.json."""
    format: str
    """Format of the file, such as safetensors, pytorch or onnx."""
    profile: str
    """Name of the profile that says how its names, order of findings and input are read."""
    seen: tuple[SeenFilms, ...] = ()
    """Films that the authors trained it on."""
    license: str = ""
    """License of the weights."""
    citation: str = ""
    """Publication to cite for the weights."""
    url: str = ""
    """Where the weights are published."""

    def contamination(self, dataset: str) -> str:
        """Return the warning that the network has seen films of a dataset; empty if it has not.

        Args:
            dataset: name of the dataset's reader.
        """
        met = [one.films for one in self.seen if one.dataset == dataset]
        if not met:
            return ""
        return (
            f"{CONTAMINATED}the authors trained this network on {dataset} ({'; '.join(met)}). Its "
            f"numbers on {dataset} are no evidence of how it does on new patients"
        )

    def hashes(self) -> dict[str, str]:
        """Return what identifies the origin in the provenance of an evaluation."""
        return {"imported_sha256": self.sha256}


NetworkOrigin = Annotated[Trained | Imported, Field(discriminator="kind")]
"""Origin of a network, distinguished by `kind`."""


class BoundFilms(_Facts):
    """The films that a run is bound to: its dataset, labels and split, by their hashes."""

    dataset: str
    """Name of the dataset's reader, such as nih."""
    data: str
    """Folder of the dataset as it was named; empty in a bundle. A folder with the same records
    may be named instead."""
    policy: LabelPolicy | None = None
    """Policy of uncertain, blank and contradicting labels; none in bundles made before this
    field existed."""
    records_sha256: str
    """Hash of films, patients and labels, after the policy."""
    split_name: str
    """Name of the split table."""
    split_sha256: dict[str, str]
    """Hash of the film names of each split."""
    patients_sha256: dict[str, str] = {}
    """Hash of the patients' names of each split."""
    synthetic: bool = False
    """True if the films were drawn."""

    @classmethod
    def from_splits(
        cls, cohort: Cohort, splits: SplitTable, data: Path | str, policy: LabelPolicy
    ) -> Self:
        """Bind to a cohort and its split table.

        Args:
            cohort: all films, with labels as the policy left them.
            splits: the split of each film.
            data: the dataset's folder.
            policy: the policy that the cohort was settled by.
        """
        return cls(
            dataset=cohort.dataset,
            data=str(data),
            policy=policy,
            records_sha256=cohort.sha256(),
            split_name=splits.name,
            split_sha256={split.value: splits.sha256(split) for split in Split},
            patients_sha256={split.value: splits.patients_sha256(split) for split in Split},
            synthetic=cohort.synthetic,
        )


class RunFacts(_Facts):
    """run.json: what the later stages must agree with."""

    schema_version: int = 3
    network: NetworkFacts
    """The network itself."""
    origin: NetworkOrigin
    """Origin of the network: trained here, or imported."""
    films: BoundFilms | None = None
    """The films it is bound to; none for an imported network that is not calibrated yet."""

    @model_validator(mode="before")
    @classmethod
    def _lift(cls, tree: Any) -> Any:
        """Sort the flat facts of schema 2 and earlier, all of trained runs, into their parts.

        They lack what stood in config.yaml only; `RunFolder.facts` and the bundle's manifest add
        what they have of it. Unknown keys are left where they are, and so refused.
        """
        if not isinstance(tree, dict) or "network" in tree or "model_sha256" not in tree:
            return tree
        rest = {key: value for key, value in tree.items() if key != "schema_version"}
        parts: dict[str, dict[str, Any]] = {}
        kinds = {"network": NetworkFacts, "origin": Trained, "films": BoundFilms}
        for part, kind in kinds.items():
            parts[part] = {key: rest.pop(key) for key in kind.model_fields if key in rest}
        parts["origin"]["kind"] = "trained"
        return {**rest, **parts}

    @model_validator(mode="after")
    def _bound(self) -> Self:
        if isinstance(self.origin, Trained) and self.films is None:
            raise ValueError("a trained run must say which films it was trained on (films)")
        return self

    def for_bundle(self) -> Self:
        """Return the facts without the path of the dataset, which stays in the lab."""
        films = self.films and self.films.model_copy(update={"data": ""})
        return self.model_copy(update={"films": films})


class Quantization(_Facts):
    """Everything in quantisation.json but the seal."""

    model_sha256: str
    """Hash of the network that was quantized."""
    quantized_sha256: str
    """Hash of the network in 8 bits."""
    convolutions: int
    """Number of convolutions in 8 bits."""
    films: SplitFacts
    """The films whose values set the ranges; no label was used."""
    provenance: dict[str, str] = {}
    """Code and libraries that quantized it."""
