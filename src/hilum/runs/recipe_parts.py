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
    """Preparation of the films for the network."""

    sampler: str = "shuffled"
    """A member of the samplers: shuffled, balanced, inverse_frequency or repeat_factor."""
    repeat_threshold: float = Field(default=0.05, gt=0.0, le=1.0)
    """Threshold of repeat_factor: findings rarer than this fraction of the films are repeated."""
    workers: int = Field(default=1, ge=1)
    """Threads that prepare batches ahead of the network; the result does not depend on it."""
    augment_on: Literal["cpu", "device"] = "cpu"
    """device: films are augmented on the training device, in whole batches."""


class ModelConfig(Part):
    """The network."""

    backbone: str = "densenet121"
    """A member of the backbones, or `timm/NAME` for any network of timm that has a feature map."""
    options: dict[str, int] = Field(default={})
    """Options of the backbone, such as `growth_rate`."""
    weights: Literal["imagenet"] | Path | None = None
    """Backbone weights to start from: `imagenet` fetches timm's, a path reads .safetensors, .pth,
    .pt, .ckpt or .tar; none starts from random weights."""
    weights_trained_on: str | None = None
    """Training data of foreign weights: a family of film lists, such as nih-random, or free text,
    such as ImageNet. Not needed for a checkpoint of a hilum run, which records it."""
    head: Literal["fresh", "inherited"] = "fresh"
    """inherited: findings that a hilum checkpoint has by name start from its head too."""
    half: bool = False
    """Store the exported network in float16: half the bytes. Weights are rounded before anything is
    measured, so what is calibrated is what is served; arithmetic stays float32 or bfloat16."""
    drop_path: float = Field(default=0.0, ge=0.0, lt=1.0)
    """Stochastic depth of backbones that have it (Huang et al. 2016)."""

    def in_words(self) -> str:
        """Return backbone, pooling and head in words, as the card shows them.

        >>> ModelConfig(options={"growth_rate": 4}).in_words()
        'densenet121 (growth_rate 4), global average pooling, linear head'
        """
        options = ", ".join(f"{name} {value}" for name, value in self.options.items())
        listed = f" ({options})" if options else ""
        return f"{self.backbone}{listed}, global average pooling, linear head"


class Weighting(StrEnum):
    """Weights of a finding's positive and negative films, from their numbers n+ and n-."""

    NONE = "none"
    """1 and 1."""
    RATIO = "ratio"
    """n-/n+ and 1: the `pos_weight` of torch."""
    INVERSE_FREQUENCY = "inverse_frequency"
    """N/(2 n+) and N/(2 n-): each state of a finding has the same total weight."""
    EFFECTIVE_NUMBER = "effective_number"
    """(1 - b)/(1 - b^n) for each state, scaled to add up to 2 (Cui et al. 2019)."""
    LOG = "log"
    """log2(1 + n-/n+) and 1: rare findings count slightly more."""


class LossConfig(Part):
    """A loss over the known labels, with each finding's states weighted by their rarity."""

    name: str = "bce"
    """A member of the losses: bce, focal, asymmetric or auc_margin."""
    weights: Weighting = Weighting.RATIO
    """Weighting of rare states, counted on the labeled films of the train split."""
    weights_max: float = Field(default=20.0, ge=1.0)
    """Upper bound of a weight; its inverse is the lower bound. A handful of films then cannot
    dominate the gradient."""
    weights_power: float = Field(default=1.0, ge=0.0, le=1.0)
    """Exponent of the weights before they are bounded: 0.5 takes their square root."""
    effective_number_beta: float = Field(default=0.999, ge=0.0, lt=1.0)
    """b of `effective_number`."""
    focal_gamma: float = Field(default=2.0, ge=0.0, le=10.0)
    """Focusing parameter of focal; 0 is bce."""
    gamma_positive: float = Field(default=0.0, ge=0.0, le=10.0)
    """Focusing parameter of asymmetric for positives."""
    gamma_negative: float = Field(default=4.0, ge=0.0, le=10.0)
    """Focusing parameter of asymmetric for negatives."""
    probability_margin: float = Field(default=0.05, ge=0.0, lt=0.5)
    """Margin of asymmetric: negatives below this probability have no weight. From 0.5 on, an
    undecided network would learn nothing from them."""
    auc_margin: float = Field(default=1.0, gt=0.0)
    """Margin of auc_margin: how far a positive's logit should exceed a negative's."""
    masks: float = Field(default=0.0, ge=0.0)
    """Weight of a second loss, by which heatmaps point at where findings were drawn; needs a corpus
    of `hilum phantom nih`, whose `drawn_masks.csv` has the places. 0 turns it off."""


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
    """Probability of contrast-limited adaptive histogram equalization. To equalize every film, in
    serving too, set `preprocessing.clahe_clip`."""
    blur_sigma_px: float = Field(default=0.0, ge=0.0, le=5.0)
    """Largest sigma of a Gaussian blur. It hides resampling and codec traces that could leak a
    label."""
    jpeg: float = Field(default=0.0, ge=0.0, le=1.0)
    """Probability of JPEG compression at a quality drawn from 35 to 95. Where films of one label
    were stored as JPEG and others were not, the codec then is no evidence of the label."""
    noise: float = Field(default=0.0, ge=0.0, lt=0.5)
    """Largest standard deviation of added noise, on the scale where white is 1."""
    cutout: float = Field(default=0.0, ge=0.0, le=1.0)
    """Probability of one gray square of a tenth to a quarter of the side (DeVries & Taylor
    2017)."""


class OptimizerConfig(Part):
    """The optimizer and its gradient."""

    name: Literal["adam", "adamw", "sgd"] = "adamw"
    weight_decay: float = Field(default=1e-4, ge=0.0)
    """Weight decay of kernels and matrices; biases and norms do not decay. Decoupled in adamw, an
    L2 term in adam and sgd, as in torch."""
    momentum: float = Field(default=0.9, ge=0.0, lt=1.0)
    """Momentum of sgd, with Nesterov's correction."""
    clip_norm: float = Field(default=5.0, ge=0.0)
    """Largest norm of the gradient; 0 turns clipping off."""
    accumulate: int = Field(default=1, ge=1)
    """Number of batches whose gradients are summed into one step."""


class Schedule(StrEnum):
    """Learning rate over a phase, after the warm-up."""

    CONSTANT = "constant"
    COSINE = "cosine"
    """Half a cosine down to zero (Loshchilov & Hutter 2017)."""
    PLATEAU = "plateau"
    """Multiplied by `factor` when tune has not improved for `patience` epochs."""


class ScheduleConfig(Part):
    """Learning-rate schedule of a phase."""

    name: Schedule = Schedule.COSINE
    warmup: float = Field(default=0.1, ge=0.0, lt=1.0)
    """Fraction of the phase over which the rate rises linearly to its peak."""
    factor: float = Field(default=0.1, gt=0.0, lt=1.0)
    """Factor of plateau."""
    patience: int = Field(default=2, ge=0)
    """Patience of plateau: epochs without improvement before the rate falls."""


class PhaseConfig(Part):
    """One phase of training: which parts train, and at which rate."""

    name: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]*$")
    trains: dict[str, Annotated[float, Field(gt=0.0)]] = Field(min_length=1)
    """Part to its peak learning rate; `all`, `head` (the findings' linear layer), `backbone`, or a
    module of the backbone, such as `features.denseblock4`. The longest name that fits a tensor
    applies. All other tensors, with batch-norm statistics, are proved unchanged by hash."""
    epochs: int = Field(ge=1)
    freeze_statistics: bool = False
    """Freeze the batch-norm statistics of the trained parts too, which suits small batches."""


class Criterion(StrEnum):
    """Selection metric of the epoch, on tune."""

    AUROC = "auroc"
    """Macro AUROC over the findings that have both states on tune."""
    AVERAGE_PRECISION = "average_precision"
    """Macro average precision over the same findings."""
    LOSS = "loss"
    """The training loss."""


class ChoiceConfig(Part):
    """Selection of the epoch and early stopping, both on tune."""

    by: Criterion = Criterion.AUROC
    patience: int = Field(default=0, ge=0)
    """Epochs without improvement after which a phase ends early; 0 turns early stopping off."""


class ComputeConfig(Part):
    """Device, precision and threads."""

    device: Literal["auto", "cpu", "cuda"] = "auto"
    """auto: a GPU where there is one."""
    precision: Literal["auto", "float32", "bfloat16", "float16"] = "auto"
    """Precision of convolutions; weights stay float32. auto: bfloat16 where the hardware supports
    it. float16 scales its loss, and needs a GPU."""
    threads: int = Field(default=2, ge=1)
    """CPU threads. Results on a CPU depend on their number, so it is fixed here."""
    channels_last: bool = True
    """Channels-last memory layout, which makes convolutions faster."""
    compile: bool = False
    """Use torch.compile: minutes of compilation first, faster steps afterwards."""
    deterministic: bool = True
    """Use only algorithms that give the same bits again. A CPU always does; a GPU becomes slower.
    float32 is never rounded to TF32."""
    checkpoint_minutes: float = Field(default=10.0, gt=0.0)
    """Minutes between checkpoints within a long epoch; one is always written after an epoch."""
