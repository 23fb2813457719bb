"""A bundle in memory: load it, ask it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Self

import numpy as np
from numpy.typing import NDArray

from hilum.bundle.golden import check_golden
from hilum.bundle.manifest import Manifest, read_evaluation
from hilum.bundle.shipped import locate
from hilum.domain.errors import BundleError
from hilum.domain.evaluation import Evaluation
from hilum.domain.findings import LabelSet
from hilum.domain.radiograph import Radiograph
from hilum.domain.result import FindingResult
from hilum.domain.seal import file_sha256, read_sealed, seal
from hilum.imaging.gate import screen
from hilum.imaging.preprocess import Preprocessing
from hilum.imaging.read import read
from hilum.inference.engine import Engine, Precision

__all__ = ["Bundle", "Prediction"]


@dataclass(frozen=True, eq=False)
class Prediction:
    """What a bundle says of one film.

    Attributes:
        film: the film, with the codes met while reading it.
        findings: finding to probability, threshold and decision.
    """

    film: Radiograph
    findings: dict[str, FindingResult]
    _heatmaps: NDArray[np.float32]
    _labels: LabelSet
    _preprocessing: Preprocessing

    @property
    def positives(self) -> list[str]:
        """Findings at or above their threshold, most probable first."""
        found = [name for name, finding in self.findings.items() if finding.positive]
        return sorted(found, key=lambda name: -self.findings[name].probability)

    def heatmap(self, finding: str) -> NDArray[np.float32]:
        """(H, W) float32 on the film, >= 0: which regions raised the finding's score.

        All zero says "no evidence". Maps of two findings share one scale. It is supporting
        evidence, not the location of disease.

        Raises:
            UsageError: when the bundle does not have the finding.
        """
        heatmap = self._heatmaps[self._labels.index(finding)]
        return self._preprocessing.to_film(heatmap, self.film.shape)


class Bundle:
    """A loaded bundle: network, calibrator and operating points, checked and ready.

    Example:
        >>> Bundle.load("starter").manifest.labels[:2]
        ('Atelectasis', 'Cardiomegaly')
        >>> Bundle.load(Path("runs/nowhere"))
        Traceback (most recent call last):
        ...
        hilum.domain.errors.BundleError: bundle.json must be there; runs/nowhere has none
    """

    def __init__(self, root: Path, manifest: Manifest, engine: Engine) -> None:
        self.root = root
        self.manifest = manifest
        self.engine = engine
        self.id = seal(manifest.model_dump(mode="json"))[:12]

    @classmethod
    def load(cls, path: Path | str, threads: int = 2) -> Self:
        """Load and check a bundle: seal, hashes, bond of the operating points, self-test.

        Args:
            path: the bundle's folder, or the name of one that comes with hilum, such as "starter".
            threads: of the processor.

        Raises:
            BundleError: when anything is missing, edited, or does not answer as it must.
            UsageError: when this processor cannot compute in the bundle's precision.
        """
        root = locate(path)
        manifest = read_sealed(Manifest, root / "bundle.json")
        for name, expected in manifest.files.items():
            file = root / name
            if not file.is_file():
                raise BundleError(f"a bundle must be whole; {root} lacks {name}")
            if file_sha256(file) != expected:
                raise BundleError(
                    f"a bundle's files must be as they were written; {file} was changed since. "
                    "Restore it or make the bundle again"
                )
        for part, held, bound in (
            ("model.onnx", manifest.files.get("model.onnx"), manifest.calibration.model_sha256),
            (
                "preprocessing",
                manifest.preprocessing.sha256(),
                manifest.calibration.preprocessing_sha256,
            ),
        ):
            if held != bound:
                raise BundleError(
                    f"calibrator and operating points must belong to the bundle's {part}; they "
                    "were fitted on another. Run `hilum calibrate` again"
                )
        engine = Engine(
            root / "model.onnx",
            manifest.preprocessing,
            manifest.label_set_of_outputs,
            manifest.calibration.precision,
            threads,
        )
        check_golden(engine, root / "golden.npz")
        bundle = cls(root, manifest, engine)
        bundle.evaluation()
        return bundle

    @property
    def labels(self) -> LabelSet:
        """The findings it knows."""
        return self.engine.labels

    @property
    def precision(self) -> Precision:
        """What the network computes in: that of its calibration."""
        return self.engine.precision

    def evaluation(self) -> Evaluation | None:
        """Its numbers on test; None where it was never evaluated."""
        if "evaluation.json" not in self.manifest.files:
            return None
        return read_evaluation(self.root / "evaluation.json", self.manifest.calibration)

    def predict(self, source: Radiograph | Path | str) -> Prediction:
        """Probabilities, decisions and heatmaps of one film.

        Args:
            source: a film in memory, or a PNG, JPEG, TIFF or DICOM file.

        Raises:
            FilmError: when the film cannot be read or is outside the bundle's use.
        """
        film = source if isinstance(source, Radiograph) else read(Path(source))
        screen(film)
        return self.predict_many([film])[0]

    def predict_many(self, films: list[Radiograph]) -> list[Prediction]:
        """The same for several films that were read and screened; each is scored on its own."""
        rasters = np.stack([self.manifest.preprocessing.raster(film) for film in films])
        output = self.engine.run(rasters)
        calibrator = self.manifest.calibration.calibrator
        probabilities = calibrator.apply(output.logits)
        thresholds = self.manifest.calibration.thresholds()
        predictions: list[Prediction] = []
        for row, film in enumerate(films):
            findings = {
                name: _decide(
                    float(probabilities.values[row, column]),
                    thresholds.get(name),
                    calibrator.findings[name].calibrated,
                )
                for column, name in enumerate(self.labels)
            }
            predictions.append(
                Prediction(
                    film, findings, output.heatmaps[row], self.labels, self.manifest.preprocessing
                )
            )
        return predictions


def _decide(probability: float, threshold: float | None, calibrated: bool) -> FindingResult:
    positive = None if threshold is None else probability >= threshold
    return FindingResult(
        probability=probability, threshold=threshold, positive=positive, calibrated=calibrated
    )
