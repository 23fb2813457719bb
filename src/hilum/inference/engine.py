"""The exported network, running: rasters in, logits and heatmaps out."""

from __future__ import annotations

import copy
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from hilum.domain.errors import BundleError, UsageError
from hilum.domain.findings import LabelSet
from hilum.domain.scores import Logits
from hilum.imaging.preprocess import Preprocessing
from hilum.inference.augment import views
from hilum.inference.onnxruntime import OnnxRuntime
from hilum.inference.openvino import OpenVino
from hilum.inference.runtime import Answer, Library, Precision, Runtime

__all__ = ["Engine", "Library", "Output", "Precision"]

MOST_VIEWS = 64


@dataclass(frozen=True, eq=False)
class Output:
    """The network's output for N films.

    Attributes:
        logits: (N, L).
        heatmaps: (N, L, h, w) float32, >= 0: exact Grad-CAM over the network's square.
        token_shares: (N, L) float32 in [0, 1]: the share of each logit that a class token decided,
            which no heatmap shows; None of a network without one, and of `Engine.run`.
    """

    logits: Logits
    heatmaps: NDArray[np.float32]
    token_shares: NDArray[np.float32] | None = None

    def of(self, row: int) -> Output:
        """Return the output for one film, as `Engine.ask` gives it."""
        rows = slice(row, row + 1)
        shares = None if self.token_shares is None else self.token_shares[rows]
        logits = Logits(self.logits.values[rows], self.logits.labels)
        return Output(logits, self.heatmaps[rows], shares)


class Engine:
    """One exported network, ready for several threads at once.

    Every film is a request of its own, so that a score does not depend on the films beside it, on
    their order, on how many threads ask, or on how many compute.

    Args:
        model: the `.onnx` file, with input `images` and outputs `logits` and `heatmaps`.
        preprocessing: that it was trained with.
        labels: the findings of its outputs, in order.
        precision: to compute in.
        threads: of the processor, each for one film at a time.
        library: what computes; None for OpenVINO, or ONNX Runtime where there is none.

    Attributes:
        views: views of a film that are scored, see `augmented`; 1 is the film alone.

    Raises:
        BundleError: when the file is no such network.
        UsageError: when the library is not installed, or does not have the precision here.
    """

    def __init__(
        self,
        model: Path,
        preprocessing: Preprocessing,
        labels: LabelSet,
        precision: Precision = Precision.F32,
        threads: int = 2,
        library: Library | None = None,
    ) -> None:
        if threads < 1:
            raise UsageError(f"threads must be 1 or more; got {threads}")
        self.preprocessing = preprocessing
        self.labels = labels
        self.precision = precision
        self.views = 1
        self.threads = threads
        self._network = _ready(library, model, preprocessing, precision, threads)
        found = self._network.shape[0]
        if found != len(labels):
            raise BundleError(
                f"{model} must have one output for each of the {len(labels)} findings of "
                f"{labels.name}; it has {found}"
            )

    @property
    def runtime(self) -> str:
        """What computes: library, version and device, such as "openvino 2026.4.1 cpu"."""
        return self._network.name

    def augmented(self, count: int) -> Self:
        """Return the same network for several views of each film: its logits are their mean.

        The views are fixed (`hilum.inference.augment.views`) and the first is the film itself,
        whose heatmaps stay the heatmaps. Asking costs `count` times as much. Mean logits are
        another scale than one film's: operating points and calibrators that were fitted without
        views do not belong to it.

        Raises:
            UsageError: for a number outside 1 to 64.
        """
        if not 1 <= count <= MOST_VIEWS:
            raise UsageError(f"views must be 1 to {MOST_VIEWS}; got {count}")
        other = copy.copy(self)
        other.views = count
        return other

    def ask(self, raster: NDArray[Any]) -> Output:
        """Score one film. Several threads may ask at once, each its own film.

        Args:
            raster: (S, S) from `preprocessing.raster`.

        Raises:
            BundleError: when the network answers with what is no number.
        """
        logits, answer = self._answer(raster)
        shares = None if answer.token_share is None else answer.token_share[None]
        return Output(Logits(logits[None], self.labels), answer.heatmaps[None], shares)

    def run(
        self, rasters: NDArray[Any], advance: Callable[[int, int], None] | None = None
    ) -> Output:
        """Score films as `ask` does, a few at a time.

        Args:
            rasters: (N, S, S) from `preprocessing.raster`.
            advance: called with (done, total).

        Raises:
            BundleError: when the network answers with what is no number.
        """
        total = len(rasters)
        logits = np.empty((total, self._network.shape[0]), np.float64)
        heatmaps = np.empty((total, *self._network.shape), np.float32)
        threads = ThreadPoolExecutor(self._network.width)
        try:
            for row, (mean, answer) in enumerate(threads.map(self._answer, rasters)):
                logits[row], heatmaps[row] = mean, answer.heatmaps
                if advance is not None:
                    advance(row + 1, total)
        finally:
            threads.shutdown(cancel_futures=True)  # an interrupt need not wait for the rest
        return Output(Logits(logits, self.labels), heatmaps)

    def _answer(self, raster: NDArray[Any]) -> tuple[NDArray[np.float64], Answer]:
        """(L,) logits, the mean over the views, and the answer for the film itself."""
        answers = [self._checked(view) for view in views(raster, self.views)]
        logits = np.mean([answer.logits.astype(np.float64) for answer in answers], axis=0)
        return logits, answers[0]

    def _checked(self, raster: NDArray[Any]) -> Answer:
        answer = self._network.ask(self.preprocessing.normalize(raster[None]))
        if not (np.isfinite(answer.logits).all() and np.isfinite(answer.heatmaps).all()):
            raise BundleError(
                "a network must answer with finite numbers; this one gave NaN or infinity. Its "
                "weights are damaged: restore the bundle, or train again"
            )
        return answer


def _ready(
    library: Library | None,
    model: Path,
    preprocessing: Preprocessing,
    precision: Precision,
    threads: int,
) -> Runtime:
    """Load the network in the requested library, or in the first that is installed."""
    runtimes = {Library.OPENVINO: OpenVino, Library.ONNXRUNTIME: OnnxRuntime}
    wanted = list(runtimes) if library is None else [library]
    reason = ""
    for name in wanted:
        try:
            return runtimes[name](model, preprocessing, precision, threads)
        except ImportError as error:
            reason = str(error).splitlines()[0]
    raise UsageError(
        f"a network needs {' or '.join(wanted)} to run; here {reason}. Install it with pip"
    )
