"""The parts of a recipe: one frozen model each, unknown keys refused."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

__all__ = [
    "AugmentConfig",
    "ChoiceConfig",
    "ComputeConfig",
    "Criterion",
    "DataConfig",
    "LossConfig",
    "ModelConfig",
    "OptimizerConfig",
    "Part",
    "PhaseConfig",
    "Schedule",
    "ScheduleConfig",
    "Weighting",
]


class Part(BaseModel):
    """A frozen part of the configuration."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class DataConfig(Part):
    """How films come to the network."""

    sampler: str = "shuffled"
    """A member of the samplers: shuffled, balanced, inverse_frequency or repeat_factor."""
    repeat_threshold: float = Field(default=0.05, gt=0.0, le=1.0)
    """Of repeat_factor: findings rarer than this fraction of the films are repeated."""
    workers: int = Field(default=1, ge=1)
    """Threads that prepare batches ahead of the network; the result does not depend on it."""
    augment_on: Literal["cpu", "device"] = "cpu"
    """device: films go to it as they are, and are changed there, in whole batches."""


class ModelConfig(Part):
    """The network."""

    backbone: str = "densenet121"
    """A member of the backbones, or `timm/NAME` for any of timm's that has a feature map."""
    options: dict[str, int] = Field(default={})
    """Options of the backbone, such as `growth_rate`."""
    weights: Literal["imagenet"] | Path | None = None
    """Backbone weights to start from: `imagenet` fetches timm's, a path reads .safetensors, .pth,
    .pt, .ckpt or .tar; none starts from random."""
    weights_trained_on: str | None = None
    """What foreign weights have seen: a family of film lists, such as nih-random, or other words,
    such as ImageNet. A run's own checkpoint says it itself."""
    head: Literal["fresh", "inherited"] = "fresh"
    """inherited: the findings that a hilum checkpoint knows by name start from its head too."""
    half: bool = False
    """Store the exported network in float16: half the bytes. Weights are rounded before anything is
    measured, so what is calibrated is what is served; it computes in float32 or bfloat16 still."""
    drop_path: float = Field(default=0.0, ge=0.0, lt=1.0)
    """Stochastic depth of backbones that have it (Huang et al. 2016)."""

    def in_words(self) -> str:
        """Return backbone, pooling and head in words, as the card shows them.

        >>> ModelConfig(options={"growth_rate": 4}).in_words()
        'densenet121 (growth_rate 4), global average pooling, linear head'
        """
        options = ", ".join(f"{name} {value}" for name, value in self.options.items())
        listed = f"({options})" if options else ""
        return f"{self.backbone} {listed}, global average pooling, linear head"


class Weighting(StrEnum):
    """How much a positive and a negative film of a finding count, from their numbers n+ and n-."""

    NONE = "none"
    """1 and 1."""
    RATIO = "ratio"
    """n-/n+ and 1: the `pos_weight` of torch."""
    INVERSE_FREQUENCY = "inverse_frequency"
    """N/(2 n+) and N/(2 n-): each state of a finding has the same say."""
    EFFECTIVE_NUMBER = "effective_number"
    """(1 - b)/(1 - b^n) of either state, scaled to add up to 2 (Cui et al. 2019)."""
    LOG = "log"
    """log2(1 + n-/n+) and 1: rare findings count more, but not by much."""


class LossConfig(Part):
    """A loss over the known labels, each finding's states weighed by how rare they are."""

    name: str = "bce"
    """A member of the losses: bce, focal, asymmetric or auc_margin."""
    weights: Weighting = Weighting.RATIO
    """How rare states are weighed, counted on the labelled films of the train split."""
    weights_max: float = Field(default=20.0, ge=1.0)
    """Upper bound of a weight, and its inverse the lower, so that a handful of films cannot rule
    the gradient."""
    weights_power: float = Field(default=1.0, ge=0.0, le=1.0)
    """Exponent of the weights before they are bounded: 0.5 takes their square root."""
    effective_number_beta: float = Field(default=0.999, ge=0.0, lt=1.0)
    """b of `effective_number`."""
    focal_gamma: float = Field(default=2.0, ge=0.0, le=10.0)
    """Of focal: 0 is bce."""
    gamma_positive: float = Field(default=0.0, ge=0.0, le=10.0)
    """Of asymmetric: focusing of the positives."""
    gamma_negative: float = Field(default=4.0, ge=0.0, le=10.0)
    """Of asymmetric: focusing of the negatives."""
    probability_margin: float = Field(default=0.05, ge=0.0, lt=0.5)
    """Of asymmetric: negatives below this probability count nothing. From 0.5 on, a network that
    is undecided would learn nothing of them."""
    auc_margin: float = Field(default=1.0, gt=0.0)
    """Of auc_margin: by how much a positive's logit should exceed a negative's."""


class AugmentConfig(Part):
    """Bounds of the random changes to a training film."""

    rotation_degrees: float = Field(default=8.0, ge=0.0, le=45.0)
    scale: float = Field(default=0.10, ge=0.0, lt=0.5)
    stretch: float = Field(default=0.0, ge=0.0, lt=0.5)
    """Change of the ratio of width to height."""
    shift: float = Field(default=0.05, ge=0.0, lt=0.5)
    """Fraction of the side."""
    horizontal_flip: float = Field(default=0.0, ge=0.0, le=1.0)
    """Probability. Off: a mirrored film has its heart on the wrong side. Refused where a finding
    names a side."""
    brightness: float = Field(default=0.08, ge=0.0, lt=0.5)
    contrast: float = Field(default=0.20, ge=0.0, lt=1.0)
    gamma: float = Field(default=0.15, ge=0.0, lt=1.0)
    clahe: float = Field(default=0.0, ge=0.0, le=1.0)
    """Probability of contrast-limited adaptive histogram equalisation. To equalise every film, in
    serving too, set `preprocessing.clahe_clip`."""
    blur_sigma_px: float = Field(default=0.0, ge=0.0, le=5.0)
    """Largest Gaussian blur. Hides resampling and codec traces that could stand in for a label."""
    jpeg: float = Field(default=0.0, ge=0.0, le=1.0)
    """Probability of a pass through JPEG, at a quality drawn from 35 to 95: where films of one
    label were JPEG once and others not, it makes the codec no evidence."""
    noise: float = Field(default=0.0, ge=0.0, lt=0.5)
    """Largest standard deviation of added noise, in grey levels of 1."""
    cutout: float = Field(default=0.0, ge=0.0, le=1.0)
    """Probability of one grey square of a tenth to a quarter of the side (DeVries & Taylor
    2017)."""


class OptimizerConfig(Part):
    """The optimiser and what it is fed."""

    name: Literal["adam", "adamw", "sgd"] = "adamw"
    weight_decay: float = Field(default=1e-4, ge=0.0)
    """Of kernels and matrices; biases and norms do not decay. Decoupled in adamw, an L2 term in
    adam and sgd, as in torch."""
    momentum: float = Field(default=0.9, ge=0.0, lt=1.0)
    """Of sgd, with Nesterov's look ahead."""
    clip_norm: float = Field(default=5.0, ge=0.0)
    """Largest norm of the gradient; 0 clips nothing."""
    accumulate: int = Field(default=1, ge=1)
    """Batches whose gradients make one step."""


class Schedule(StrEnum):
    """How the learning rate goes over a phase, after the warm-up."""

    CONSTANT = "constant"
    COSINE = "cosine"
    """Half a cosine down to zero (Loshchilov & Hutter 2017)."""
    PLATEAU = "plateau"
    """Times `factor` when tune has not improved for `patience` epochs."""


class ScheduleConfig(Part):
    """How the learning rate goes over a phase."""

    name: Schedule = Schedule.COSINE
    warmup: float = Field(default=0.1, ge=0.0, lt=1.0)
    """Fraction of the phase over which the rate rises linearly to its peak."""
    factor: float = Field(default=0.1, gt=0.0, lt=1.0)
    """Of plateau."""
    patience: int = Field(default=2, ge=0)
    """Of plateau: epochs without improvement that are forgiven."""


class PhaseConfig(Part):
    """One stretch of training: what trains in it, and how fast."""

    name: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]*$")
    trains: dict[str, Annotated[float, Field(gt=0.0)]] = Field(min_length=1)
    """Part to its peak learning rate; `all`, `head` (the findings' linear layer), `backbone`, or a
    module of the backbone, such as `features.denseblock4`. The longest name that fits a tensor
    rules it. All else, batch-norm statistics too, is proved unchanged by hash."""
    epochs: int = Field(ge=1)
    freeze_statistics: bool = False
    """Keep the batch-norm statistics of the trained parts too, as small batches call for."""


class Criterion(StrEnum):
    """What the kept epoch is best in, on tune."""

    AUROC = "auroc"
    """Macro AUROC over the findings that have both states on tune."""
    AVERAGE_PRECISION = "average_precision"
    """Macro average precision over the same."""
    LOSS = "loss"
    """The training loss."""


class ChoiceConfig(Part):
    """Which epoch is kept, and when to stop; both on tune."""

    by: Criterion = Criterion.AUROC
    patience: int = Field(default=0, ge=0)
    """Epochs without improvement after which a phase ends early; 0 never stops early."""


class ComputeConfig(Part):
    """Where and how the numbers are computed."""

    device: Literal["auto", "cpu", "cuda"] = "auto"
    """auto: a GPU where there is one."""
    precision: Literal["auto", "float32", "bfloat16", "float16"] = "auto"
    """Of convolutions; weights stay float32. auto: bfloat16 where the hardware computes in it.
    float16 scales its loss, and needs a GPU."""
    threads: int = Field(default=2, ge=1)
    """Pinned on a CPU, since results depend on it."""
    channels_last: bool = True
    """Channels last in memory: what fast convolutions want."""
    compile: bool = False
    """Through torch.compile: minutes of waiting first, faster steps after."""
    deterministic: bool = True
    """Only algorithms that give the same bits again. A CPU always does; a GPU is slower by it.
    float32 is never rounded to TF32."""
    checkpoint_minutes: float = Field(default=10.0, gt=0.0)
    """Minutes after which the state is written within a long epoch too; it always is after one."""
