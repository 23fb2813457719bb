"""One film, one analysis: the Python face and a batch agree on every field."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from hilum import Bundle
from hilum.batch.inputs import list_films
from hilum.batch.run import run_batch
from hilum.batch.score import BatchRequest
from hilum.bundle.analysis import REGION_SIDE, ScreenedFilm, analyze, regions_of
from hilum.bundle.prediction import Prediction
from hilum.domain.documents.results import Decision, ImageResult
from hilum.domain.errors import FilmError, ReasonCode, Status
from hilum.domain.radiograph import DicomHeader, ViewPosition
from hilum.explain.request import HeatmapRequest, Pictures
from hilum.imaging.preprocess import Preprocessing
from hilum.phantom.film import draw_example


@pytest.fixture(scope="module")
def bundle(toy: Path) -> Bundle:
    return Bundle.load(toy / "bundle")


@pytest.fixture(scope="module")
def inbox(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """50 drawn films of several shapes, formats and depths, and two that the gate has words for."""
    folder = tmp_path_factory.mktemp("inbox")
    for number in range(50):
        gray = np.rint(draw_example(None, seed=number).pixels * 255).astype(np.uint8)
        picture = Image.fromarray(gray[: 256 - number, :])
        suffix = ("png", "jpg", "tif", "png")[number % 4]
        if number % 4 == 3:
            picture = Image.fromarray(np.asarray(picture).astype(np.uint16) * 257)
        picture.save(folder / f"film{number:02}.{suffix}")
    Image.fromarray(np.full((300, 300), 7, np.uint8)).save(folder / "flat.png")
    Image.fromarray(np.zeros((20, 20), np.uint8)).save(folder / "small.png")
    return folder


@pytest.mark.slow
@pytest.mark.parametrize("threshold", [None, 0.3])
def test_python_and_a_batch_agree_on_every_field(
    bundle: Bundle, inbox: Path, tmp_path: Path, threshold: float | None
) -> None:
    request = BatchRequest(threshold=threshold)
    films = list_films([str(inbox)])
    results = {r.image_id: r for r in run_batch(bundle, films, tmp_path, request).batch.results}
    paths = sorted(inbox.iterdir())
    assert len(results) == len(paths) == 52
    if threshold is None:
        predictions = bundle.predict_many(paths)
    else:
        predictions = [scored(bundle, path, threshold) for path in paths]
    for path, prediction in zip(paths, predictions, strict=True):
        result = results[path.name]
        if isinstance(prediction, FilmError):
            assert (result.status, result.codes) == (prediction.status, (prediction.code,))
            assert (result.findings, result.message) == (None, prediction.message)
            continue
        assert result.findings == prediction.findings
        assert (result.status, result.codes) == (prediction.status, prediction.codes)
        assert result.view == prediction.film.view
        assert result.sha256 == prediction.film.sha256
        assert result.precision == prediction.precision.value
        assert result.bundle == bundle.id
        assert result.positives == prediction.positives
    with_findings = [result for result in results.values() if result.status.scored]
    assert len(with_findings) == 50
    assert len({len(result.positives) for result in with_findings}) > 1


def scored(bundle: Bundle, path: Path, threshold: float) -> Prediction | FilmError:
    try:
        return bundle.predict(path, threshold)
    except FilmError as error:
        return error


def test_findings_that_are_asked_for_get_the_same_regions(
    bundle: Bundle, inbox: Path, tmp_path: Path
) -> None:
    request = BatchRequest(pictures=Pictures(HeatmapRequest.parse("all")), lanes=1)
    path = inbox / "film04.png"
    (result,) = run_batch(bundle, list_films([str(path)]), tmp_path, request).batch.results
    explained = bundle.explain(path, "all")
    assert result.findings == {name: one.result for name, one in explained.items()}


def test_an_empty_map_of_a_positive_finding_has_its_code(bundle: Bundle, inbox: Path) -> None:
    class Blind:
        """The network without its maps."""

        def __getattr__(self, name: str) -> object:
            return getattr(bundle.engine, name)

        def ask(self, raster: np.ndarray) -> object:
            output = bundle.engine.ask(raster)
            return replace(output, heatmaps=np.zeros_like(output.heatmaps))

    film = bundle.predict(inbox / "film00.png").film
    raster = bundle.manifest.preprocessing.raster(film)
    reduced = ScreenedFilm(raster, film.shape, film.view)
    calibration = bundle.manifest.calibration
    blind = analyze(reduced, Blind(), calibration, threshold=0.0)  # type: ignore[arg-type]
    assert blind.codes == (ReasonCode.EMPTY_HEATMAP,)
    assert blind.status is Status.WARN
    assert len(blind.positives) == 14
    seeing = analyze(reduced, bundle.engine, calibration, threshold=0.0)
    assert seeing.codes == ()
    assert seeing.status is Status.OK
    # no finding is positive, so no map has to show anything
    assert analyze(reduced, Blind(), calibration, threshold=1.0).codes == ()  # type: ignore[arg-type]


def test_a_map_that_lies_on_the_black_bars_alone_is_empty() -> None:
    preprocessing = Preprocessing(size=64)
    heatmap = np.zeros((8, 8), np.float32)
    heatmap[0, :] = 1.0  # above a film that is twice as wide as high
    assert regions_of(heatmap, (200, 400), ViewPosition.PA, preprocessing) == ()
    heatmap[4, 4] = 1.0
    assert regions_of(heatmap, (200, 400), ViewPosition.PA, preprocessing) != ()


@pytest.mark.parametrize("shape", [(REGION_SIDE, REGION_SIDE), (4000, 3000), (3, 5)])
def test_regions_are_named_on_films_of_any_size(shape: tuple[int, int]) -> None:
    heatmap = np.zeros((8, 8), np.float32)
    heatmap[3:5, 3:5] = 1.0
    found = regions_of(heatmap, shape, ViewPosition.PA, Preprocessing(size=64))
    assert found == ("central zone",)


def test_the_identity_of_a_film_is_in_no_repr(bundle: Bundle, inbox: Path) -> None:
    film = bundle.predict(inbox / "film01.jpg").film
    header = DicomHeader(patient_name="Nobody^Really", patient_id="UNLIKELY-ID")
    raster = bundle.manifest.preprocessing.raster(film)
    reduced = ScreenedFilm(raster, film.shape, film.view, header=header)
    analysis = bundle.analyze(reduced)
    assert analysis.header is header
    shown = repr((header, reduced, analysis, replace(film, header=header)))
    assert "Nobody" not in shown
    assert "UNLIKELY-ID" not in shown


# results of schema 1 and 2


def finding(**fields: object) -> dict[str, object]:
    return {"probability": 0.5, "threshold": 0.4, "calibrated": True, "regions": [], **fields}


@pytest.mark.parametrize(
    ("positive", "decision"),
    [(True, Decision.POSITIVE), (False, Decision.NEGATIVE), (None, Decision.NOT_CALLED)],
)
def test_a_result_of_schema_1_is_read_with_its_decision(
    positive: bool | None, decision: Decision
) -> None:
    line = {
        "schema_version": 1,
        "input": "a.png",
        "image_id": "a.png",
        "sha256": None,
        "status": "ok",
        "findings": {"Mass": finding(positive=positive)},
        "bundle": "0",
        "precision": "f32",
    }
    found = ImageResult.model_validate(line).findings
    assert found is not None
    assert found["Mass"].decision is decision
    assert found["Mass"].abstention == ""


@pytest.mark.parametrize(
    "fields",
    [
        {"positive": True, "decision": "negative"},
        {"positive": None, "decision": "positive"},
        {"positive": False, "decision": "abstained", "abstention": "low quality"},
        {"positive": None, "decision": "abstained"},
        {"positive": True, "decision": "positive", "abstention": "low quality"},
        {"positive": None, "decision": "maybe"},
    ],
)
def test_a_decision_that_contradicts_itself_is_refused(fields: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=r"decision|abstention"):
        ImageResult.model_validate(
            {
                "input": "a.png",
                "image_id": "a.png",
                "sha256": None,
                "status": "ok",
                "findings": {"Mass": finding(**fields)},
                "bundle": "0",
                "precision": "f32",
            }
        )
