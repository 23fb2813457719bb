"""Profiles: what a file of weights does not say, and nobody may guess."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.resources import files
from pathlib import Path
from typing import Any, Literal, Self

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from hilum.domain.errors import UsageError, suggestion
from hilum.domain.findings import LabelSet
from hilum.files.sealed import first_fault
from hilum.imaging.preprocess import Preprocessing
from hilum.runs.facts import SeenFilms

__all__ = [
    "FROM_FILE",
    "HF_PROFILE",
    "NEEDED_INPUT",
    "ONNX",
    "Profile",
    "load_profile",
    "shipped_profiles",
]

HF_PROFILE = "hf-image-classification"
"""Name of the profile that is made from the files of a folder."""
ONNX = "onnx"
"""Backbone of a profile whose file is a graph, which is served as it is."""
FROM_FILE = "as in the file"
"""Head of a profile that takes the steps which the file's own configuration states."""
_NEEDED = ("name", "backbone", "head", "findings", "input", "seen", "license", "citation", "url")
NEEDED_INPUT = ("size", "fit", "channels", "mean", "std", "resize", "depth")
"""Fields of a profile's input that no file says and nobody may guess."""
_LONGEST = 200_000


Naming = Literal[
    "timm",
    "transformers-vit",
    "transformers-deit",
    "transformers-dinov2",
    "transformers-swin",
    "transformers-resnet",
    "transformers-convnext",
]
"""Libraries whose names of tensors are known."""


class Profile(BaseModel):
    """All that is needed to serve a published network, besides its tensors.

    Findings are given by output. An output with an empty name was never trained: it is left out.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    name: str
    summary: str = ""
    """The network in a sentence."""
    backbone: str
    """Backbone of hilum, timm/NAME, or onnx for a graph, which is served as it is."""
    options: dict[str, int] = {}
    """Options of the backbone."""
    key: str | None = None
    """Key under which the tensors stand in the file; None for the only one that fits."""
    naming: Naming = "timm"
    """Names of the tensors: timm's, which are torchvision's too, or those of transformers."""
    pooling: Literal["average", "max", "average+max", "pcam", "token", "token+average"] = "average"
    """What lies between the feature map and the head. `token` is the class token of a transformer,
    `token+average` that and the mean of its patches."""
    epsilon: float | None = Field(default=None, gt=0.0, le=1e-2)
    """Epsilon of the norms of layers; None for that of the backbone."""
    head: tuple[str, ...] = Field(min_length=1)
    """Steps from the pooled map to the logits: `linear NAME`, `norm NAME`, `relu`. Several names
    are heads of one finding each. A sigmoid behind them is left out: logits are read before it."""
    output: Literal["sigmoid", "softmax"] = "sigmoid"
    """Meaning of the outputs: independent, or two that exclude each other."""
    findings: tuple[str, ...] = Field(min_length=1)
    """Finding of each output, in order; empty where it was not trained. For softmax, the one of
    the two that is the absence of the other is called `none`."""
    input: Preprocessing
    """The way from a film to the network's input."""
    thresholds: dict[str, float] = {}
    """Operating points of the authors, on the sigmoid of the logit."""
    unused: dict[str, str] = {}
    """Tensors of the file without a place, by name or the beginning of names, with the reason."""
    seen: tuple[SeenFilms, ...]
    """Datasets, and films of them, that it was trained or tuned on; empty if no chest film."""
    license: str
    """License of the weights."""
    terms: str = ""
    """What the license forbids, in words; it must then be accepted by name."""
    citation: str
    url: str
    download: str = ""
    """HTTPS address of the file itself."""
    size_bytes: int = 0
    """Size of the file; 0 where it is not known."""
    sha256: str = ""
    """Hash of the file; empty where it is not known."""
    golden: tuple[tuple[float, ...], ...] = ()
    """Logits of the drawn test films, as `import.json` of a good import has them."""
    notes: tuple[str, ...] = ()
    """Notes for the reader of its numbers."""

    @property
    def outputs(self) -> LabelSet:
        """Findings of the outputs that were trained, in order."""
        return LabelSet(self.name, tuple(self.findings[row] for row in self.trained))

    @property
    def trained(self) -> tuple[int, ...]:
        """Rows of the head that were trained."""
        return tuple(
            row
            for row, name in enumerate(self.findings)
            if name and not (self.output == "softmax" and name == "none")
        )

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if not self.trained:
            raise ValueError("findings must name one output at least")
        if self.output == "softmax" and (
            len(self.findings) != 2 or self.findings.count("none") != 1
        ):
            raise ValueError(
                "findings of a softmax must be one finding and `none`; more classes that exclude "
                "each other are not findings of one film"
            )
        unknown = self.thresholds.keys() - set(self.outputs)
        if unknown:
            raise ValueError(f"thresholds are for findings of the profile; got {min(unknown)}")
        return self


def shipped_profiles() -> dict[str, Profile]:
    """Return the profiles inside the package, by name.

    >>> shipped_profiles()["xrv-densenet121-res224-all"].input.size
    224
    """
    folder = files("hilum.importing").joinpath("profiles")
    found = sorted((p for p in folder.iterdir() if p.name.endswith(".yaml")), key=lambda p: p.name)
    return {p.name[:-5]: parse_profile(p.read_text("utf-8"), p.name, {}) for p in found}


def load_profile(word: str, changes: Mapping[str, Any]) -> Profile:
    """Load a shipped profile by name, a YAML file by path, or `timm:NAME` and `torchvision:NAME`.

    Args:
        word: the name or path.
        changes: fields to set, by dotted name.

    Raises:
        UsageError: for an unknown profile, or one that leaves out what must not be guessed.
    """
    library, colon, network = word.partition(":")
    if colon and library in ("timm", "torchvision"):
        from hilum.importing.draft import library_tree

        return checked(library_tree(library, network), word, changes)
    if word == HF_PROFILE:
        raise UsageError(f"profile {word} is made from the files of a folder; name that folder")
    folder = files("hilum.importing").joinpath("profiles")
    shipped = folder.joinpath(f"{word}.yaml")
    if "/" not in word and shipped.is_file():
        return parse_profile(shipped.read_text("utf-8"), word, changes)
    path = Path(word)
    if not path.is_file():
        known = sorted(p.name[:-5] for p in folder.iterdir() if p.name.endswith(".yaml"))
        raise UsageError(
            f"no profile '{word}'; there are {', '.join(known)}, timm:NAME, torchvision:NAME and "
            f"your own YAML files.{suggestion(word, known)}"
        )
    if path.stat().st_size > _LONGEST:
        raise UsageError(f"a profile must be smaller than {_LONGEST} bytes; {path} is larger")
    return parse_profile(path.read_text("utf-8", "replace"), word, changes)


def parse_profile(text: str, where: str, changes: Mapping[str, Any]) -> Profile:
    """Read a profile's YAML.

    Raises:
        UsageError: for text that is not YAML, or not a profile.
    """
    try:
        tree = yaml.safe_load(text)
    except (yaml.YAMLError, RecursionError, ValueError) as error:
        reason = " ".join(str(error).split())[:200]
        raise UsageError(f"a profile must be plain YAML; {where}: {reason}") from None
    if not isinstance(tree, dict):
        raise UsageError(f"a profile must be a mapping; {where} is none")
    return checked(tree, where, changes)


def checked(tree: dict[str, Any], where: str, changes: Mapping[str, Any]) -> Profile:
    """Return a profile once everything that must not be guessed is there.

    Raises:
        UsageError: naming all that is missing.
    """
    for name, value in changes.items():
        part = tree
        *above, last = name.split(".")
        for key in above:
            part = part.setdefault(key, {})
        part[last] = value
    inputs = tree.get("input")
    missing = [name for name in _NEEDED if tree.get(name) is None]
    missing += [
        f"input.{name}" for name in NEEDED_INPUT if isinstance(inputs, dict) and name not in inputs
    ]
    if missing:
        raise UsageError(
            f"a profile must say what the file does not; {where} lacks {', '.join(missing)}. Set "
            f"each with --set {missing[0]}=VALUE, or write a profile: --print-profile drafts one"
        )
    if isinstance(inputs, dict):
        tree = {**tree, "input": {"version": 2, **inputs}}
    try:
        return Profile.model_validate(tree)
    except ValidationError as error:
        raise UsageError(f"profile {where}: {first_fault(error)}") from None
