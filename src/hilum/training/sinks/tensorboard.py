"""TensorBoard: one event file in the run folder; `tensorboard --logdir RUN/tensorboard`."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from hilum.runs.recipe import TrainingConfig
from hilum.training.sinks import Sink, numbers

if TYPE_CHECKING:
    from torch.utils.tensorboard import SummaryWriter

__all__ = ["SINK", "start"]


class _TensorBoard:
    def __init__(self, writer: SummaryWriter) -> None:
        self.writer = writer

    def line(self, line: Mapping[str, Any]) -> None:
        epoch = int(line["epoch"])
        for name, value in numbers(line):
            if name != "epoch":
                self.writer.add_scalar(name, value, epoch)
        self.writer.flush()

    def close(self, finished: bool) -> None:  # noqa: ARG002 - an event file has no word for it
        self.writer.close()


def start(run: Path, config: TrainingConfig, place: str, done: int) -> _TensorBoard:
    """Event files in `place`, or in `RUN/tensorboard`; the configuration as text beside them.

    A resumed run hides what an earlier process wrote of epochs that are trained again.
    """
    from torch.utils.tensorboard import SummaryWriter

    folder = Path(place) if place else run / "tensorboard"
    writer = SummaryWriter(str(folder), purge_step=done + 1 if done else None)
    text = yaml.safe_dump(config.model_dump(mode="json"), sort_keys=False)
    writer.add_text("config", "".join(f"    {line}\n" for line in text.splitlines()), done)
    return _TensorBoard(writer)


SINK: Sink = Sink("tensorboard", start)
