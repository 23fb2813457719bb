"""A bundle in memory: load it from a folder, or by the name of one that ships; ask it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from enum import StrEnum
from importlib.resources import files
from pathlib import Path
from typing import Self, TypeVar

from hilum.bundle.analysis import POSITIVES, Analysis, ScreenedFilm, analyze
from hilum.bundle.golden import check_golden
from hilum.bundle.manifest import Manifest, read_evaluation
from hilum.bundle.prediction import Explanation, Prediction
from hilum.bundle.reference import read_reference
from hilum.bundle.source import Source, film_of, films_of
from hilum.bundle.triage import read_rule
from hilum.domain.documents.evaluation import Evaluation
from hilum.domain.documents.rule_out import RULE_OUT, RuleOut
from hilum.domain.documents.watch import WATCH_REFERENCE, WatchReference
from hilum.domain.errors import BundleError, FilmError, UsageError, choice, suggestion
from hilum.domain.findings import LabelSet
from hilum.explain.ramp import Style
from hilum.explain.request import HeatmapRequest
from hilum.files.sealed import file_sha256, read_seal, read_sealed
from hilum.imaging.gate import screened
from hilum.inference.engine import Engine, Library, Precision

__all__ = ["Bundle", "Explanation", "Prediction", "locate", "shipped"]

E = TypeVar("E", bound=StrEnum)


class Bundle:
    """A loaded bundle: network, calibrator and operating points, checked and ready.

    Load it once; several threads may ask it at once.

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
        self.id = read_seal(root / "bundle.json")[:12]
        self._rule = (
            read_rule(root / RULE_OUT, manifest.calibration) if RULE_OUT in manifest.files else None
        )

    @classmethod
    def load(
        cls,
        path: Path | str,
        threads: int = 2,
        precision: Precision | str | None = None,
        runtime: Library | str | None = None,
        views: int = 1,
    ) -> Self:
        """Load and check a bundle: seal, hashes, bond of the operating points, self-test.

        Args:
            path: the bundle's folder, or the name of one that comes with hilum, such as "starter".
            threads: of the processor, each for one film at a time.
            precision: to compute in, `f32` or `bf16`, or of a bundle that was calibrated in 8
                bits `int8` or `int8-bf16`; None for that of the calibration, which is the one
                whose numbers were measured.
            runtime: `openvino` or `onnxruntime`; None for OpenVINO, or ONNX Runtime where there
                is none. Their scores agree to about 1e-5 in f32.
            views: of each film whose logits are averaged: itself, and itself moved a little. The
                bundle was not calibrated for more than 1, so then no finding counts as calibrated.

        Raises:
            BundleError: when anything is missing, edited, or does not answer as it must.
            UsageError: when the runtime is not installed, or cannot compute in the precision here.
        """
        root = locate(path)
        manifest = read_sealed(Manifest, root / "bundle.json")
        _check_files(root, manifest)
        engine = Engine(
            root / "model.onnx",
            manifest.preprocessing,
            manifest.label_set_of_outputs,
            _precision(manifest, _member(Precision, precision, "precision")),
            threads,
            _member(Library, runtime, "runtime"),
        )
        check_golden(engine, root / "golden.npz", manifest.calibration.precision)
        bundle = cls(root, manifest, engine.augmented(views))
        bundle.evaluation()
        return bundle

    @property
    def labels(self) -> LabelSet:
        """The findings it knows."""
        return self.engine.labels

    @property
    def precision(self) -> Precision:
        """What the network computes in."""
        return self.engine.precision

    @property
    def calibrated_in(self) -> Precision:
        """What the network computed in when calibrator and operating points were fitted."""
        return self.manifest.calibration.precision

    @property
    def views(self) -> int:
        """Views of a film that are scored and averaged; 1 is the film alone."""
        return self.engine.views

    def evaluation(self) -> Evaluation | None:
        """Its numbers on test; None where it was never evaluated."""
        if "evaluation.json" not in self.manifest.files:
            return None
        return read_evaluation(self.root / "evaluation.json", self.manifest.calibration)

    @property
    def rule(self) -> RuleOut | None:
        """Its rule-out rule; None where it carries none, and then no film has a triage."""
        return self._rule

    @property
    def reference(self) -> WatchReference | None:
        """What its films and scores were, for `hilum watch`; None where it carries none.

        Raises:
            BundleError: for a reference of a different bundle.
        """
        if WATCH_REFERENCE not in self.manifest.files:
            return None
        return read_reference(self.root / WATCH_REFERENCE, self.manifest, self._rule)

    def predict(self, source: Source, threshold: float | None = None) -> Prediction:
        """Score one film: probabilities, decisions and heatmaps. Several threads may call it.

        Args:
            source: a film in memory; a PNG, JPEG, TIFF or DICOM file; or an (H, W) array of
                uint8, uint16 or floats in [0, 1], bright is dense.
            threshold: one threshold in [0, 1] for every finding, in place of the bundle's
                operating points.

        Raises:
            FilmError: when the film cannot be read or is outside the bundle's use.
            UsageError: for a source that is no film, or a threshold outside [0, 1].
        """
        film = screened(film_of(source), self.manifest.gate)
        raster = self.manifest.preprocessing.raster(film)
        reduced = ScreenedFilm(
            raster, film.shape, film.view, film.codes, film.header, film.sex, film.age_years
        )
        return Prediction(film, self.analyze(reduced, threshold), self.manifest.preprocessing)

    def predict_many(
        self, sources: Iterable[Source], progress: bool = False
    ) -> list[Prediction | FilmError]:
        """Score several films; a film that cannot be scored stops nothing.

        Each film is scored on its own, several at a time.

        Args:
            sources: films as `predict` takes them.
            progress: show a bar on standard error.

        Returns:
            One item a source, in order: its prediction, or the `FilmError` that says why there is
            none. Predictions hold their films in memory; for an archive use `hilum predict`.

        Raises:
            UsageError: for a source that is no film.
        """

        def one(source: Source) -> Prediction | FilmError:
            try:
                return self.predict(source)
            except FilmError as error:
                return error

        films = films_of(sources)
        with ThreadPoolExecutor(self.engine.threads) as threads:
            scored = threads.map(one, films)
            if progress:
                from rich.console import Console
                from rich.progress import track

                console = Console(stderr=True)
                return list(track(scored, "scoring films", len(films), console=console))
            return list(scored)

    def analyze(
        self,
        film: ScreenedFilm,
        threshold: float | None = None,
        explain: HeatmapRequest = POSITIVES,
    ) -> Analysis:
        """Analyze a film that was read, screened and reduced, here or in a confined process.

        Args:
            film: with the square of `manifest.preprocessing.raster`.
            threshold: one threshold in [0, 1] for every finding; None for the operating points.
            explain: findings that get regions beside the positive ones.
        """
        calibration = self.manifest.calibration
        return analyze(film, self.engine, calibration, threshold, explain, self._rule)

    def explain(
        self,
        source: Source | Prediction,
        findings: str | Sequence[str] = "positives",
        style: Style | str = Style.PLASMA,
    ) -> dict[str, Explanation]:
        """Where on the film the scores of some findings came from, by finding, in order.

        Args:
            source: a film as `predict` takes it, or what was predicted of one.
            findings: `positives` (most probable first), `top`, `all`, or names.
            style: of the pictures: `plasma`, `hot`, `jet` or `triptych`.

        Raises:
            FilmError: when the film cannot be read or is outside the bundle's use.
            UsageError: for a finding the bundle does not have, an unknown style, or an array that
                is no film.
        """
        wanted = HeatmapRequest.parse(findings if isinstance(findings, str) else ",".join(findings))
        wanted.check(self.labels)
        drawn = _member(Style, style, "style") or Style.PLASMA
        prediction = source if isinstance(source, Prediction) else self.predict(source)
        return {
            name: prediction.explain(name, drawn) for name in wanted.select(prediction.findings)
        }


def _member(kind: type[E], word: str | None, argument: str) -> E | None:
    """Return the member of an enumeration that an argument names; None for None."""
    return None if word is None else choice(kind, word, argument)


def _precision(manifest: Manifest, requested: Precision | None) -> Precision:
    """What to compute in. Whether convolutions are in 8 bits is in the network itself."""
    own = manifest.calibration.precision
    if requested is not None and requested.quantized != own.quantized:
        can = [one.value for one in Precision if one.quantized == own.quantized]
        raise UsageError(
            f"this bundle's network computes in {' or '.join(can)}; got {requested}. Another "
            f"form of it is made with `hilum calibrate RUN --precision {requested}`, bundled anew"
        )
    return requested or own


def _check_files(root: Path, manifest: Manifest) -> None:
    """Every file as it was written, and the operating points' bond to network and preprocessing."""
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


def shipped() -> dict[str, Path]:
    """Return names and folders of the bundles that ship with hilum.

    An installed package has them beside this file, a checkout in its `models/`.
    """
    here = Path(str(files("hilum.bundle")))
    for home in (here / "shipped", here.parents[2] / "models"):
        if home.is_dir():
            return {path.name: path for path in sorted(home.iterdir()) if path.is_dir()}
    return {}


def locate(bundle: Path | str) -> Path:
    """Return the folder of a bundle: the path itself, or a bundle that ships with hilum, by name.

    A folder of that name in the working directory takes precedence.

    Raises:
        BundleError: when there is neither.

    Example:
        >>> locate("startr")
        Traceback (most recent call last):
        ...
        hilum.domain.errors.BundleError: a bundle must be a folder or one of starter;
        startr is neither. Did you mean 'starter'?
    """
    path = Path(bundle)
    if path.exists() or len(path.parts) != 1:
        return path
    known = shipped()
    if path.name in known:
        return known[path.name]
    names = ", ".join(known) or "none that ship"
    raise BundleError(
        f"a bundle must be a folder or one of {names}; {path} is neither."
        f"{suggestion(path.name, tuple(known))}"
    )
