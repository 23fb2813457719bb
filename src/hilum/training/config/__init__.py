"""What a training run is, as frozen values: each part of the configuration beside the others."""

from __future__ import annotations

from hilum.training.config.augment import AugmentConfig
from hilum.training.config.choice import ChoiceConfig, Criterion
from hilum.training.config.compute import ComputeConfig
from hilum.training.config.data import DataConfig
from hilum.training.config.loss import LossConfig, Weighting
from hilum.training.config.model import ModelConfig
from hilum.training.config.optimizer import OptimizerConfig, Schedule, ScheduleConfig
from hilum.training.config.phase import PhaseConfig
from hilum.training.config.run import TrainingConfig, load_config, presets

__all__ = [
    "AugmentConfig",
    "ChoiceConfig",
    "ComputeConfig",
    "Criterion",
    "DataConfig",
    "LossConfig",
    "ModelConfig",
    "OptimizerConfig",
    "PhaseConfig",
    "Schedule",
    "ScheduleConfig",
    "TrainingConfig",
    "Weighting",
    "load_config",
    "presets",
]
