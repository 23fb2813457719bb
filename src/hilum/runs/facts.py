"""run.json and quantisation.json: what a finished run says of its network."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict

from hilum.domain.documents.base import SplitFacts

__all__ = ["PhaseRecord", "Quantisation", "RunFacts"]


class PhaseRecord(BaseModel):
    """What a phase was proved to have done: every trained tensor changed, no frozen one did."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    phase: str
    rates: dict[str, float]
    """Part to its peak learning rate."""
    trained: dict[str, int]
    """Part to the number of its tensors that trained."""
    frozen: int
    """Number of parameters and buffers that stayed as they were, to the bit."""
    backbone_before: str
    """Hash of the backbone's parameters and buffers at the phase's start."""
    backbone_after: str
    head_before: str
    """Hash of the findings' linear layer, at the phase's start."""
    head_after: str


class RunFacts(BaseModel):
    """run.json: what the later stages must agree with."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    schema_version: int = 2
    dataset: str
    data: str
    """Folder of the dataset, as it was named; another may be named later if its records agree."""
    label_set: str
    labels: tuple[str, ...]
    records_sha256: str
    config_sha256: str
    split_name: str
    split_sha256: dict[str, str]
    """Split to the hash of its film names."""
    patients_sha256: dict[str, str] = {}
    """Split to the hash of its patients' names."""
    seen_sha256: str = ""
    """Hash of the patients seen, those of the starting weights included."""
    train_prevalence: dict[str, float]
    state_weights: dict[str, tuple[float, float]] = {}
    """What the loss multiplied each finding's negative and positive films by."""
    chosen_by: str = "auroc"
    """What the kept epoch is best in, on tune."""
    best_epoch: int
    """The last, where tune could not choose."""
    best_tune: float | None = None
    """Of the kept epoch, in what it was chosen by; optimistic, since it was."""
    best_tune_auroc: float | None
    """Macro AUROC on tune of the kept epoch."""
    model_sha256: str
    """Of the exported network: calibrator and thresholds are bound to it."""
    parity: dict[str, float]
    """Largest difference of the exported graph from torch."""
    phases: tuple[PhaseRecord, ...] = ()
    """What each phase was proved to have trained, and to have left as it was."""
    synthetic: bool = False
    """The films were drawn, not taken."""
    notes: tuple[str, ...] = ()
    provenance: dict[str, str] = {}


class Quantisation(BaseModel):
    """Everything in quantisation.json but the seal."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    model_sha256: str
    """Of the network that was quantised."""
    quantised_sha256: str
    """Of what came of it."""
    convolutions: int
    """How many of them are in 8 bits."""
    films: SplitFacts
    """Whose values set the ranges; no label was used."""
    provenance: dict[str, str] = {}
