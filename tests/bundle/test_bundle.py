"""What a bundle says of a film, and how it is written."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import numpy as np
import onnx
import pytest

import hilum
from hilum import Bundle
from hilum.bundle.analysis import ScreenedFilm
from hilum.bundle.prediction import Prediction
from hilum.bundle.write import BundleParts, write_bundle
from hilum.cli.bundle import write
from hilum.domain.errors import BundleError, FilmError, ReasonCode, UsageError
from hilum.domain.findings import nih14
from hilum.domain.radiograph import Radiograph
from hilum.files.sealed import seal
from hilum.imaging.read import read
from hilum.runs.folder import RunFolder


@pytest.fixture
def bundle(toy: Path) -> Bundle:
    return Bundle.load(toy / "bundle")


@pytest.fixture
def films(toy: Path) -> list[Path]:
    return sorted((toy / "films" / "images").iterdir())


@pytest.fixture
def run(toy: Path, tmp_path: Path) -> RunFolder:
    return RunFolder(Path(shutil.copytree(toy / "run", tmp_path / "run")))


def test_a_film_is_the_same_by_path_by_name_and_in_memory(
    bundle: Bundle, films: list[Path]
) -> None:
    first = bundle.predict(films[0])
    assert first.findings == bundle.predict(str(films[0])).findings
    assert first.findings == bundle.predict(read(films[0])).findings
    assert list(first.findings) == list(nih14())


def test_films_together_are_each_as_they_are_alone(bundle: Bundle, films: list[Path]) -> None:
    together = bundle.predict_many([read(path) for path in films[:7]])
    for path, prediction in zip(films, together, strict=False):
        alone = bundle.predict(path)
        assert alone.findings == prediction.findings
        np.testing.assert_array_equal(alone.heatmap("Mass"), prediction.heatmap("Mass"))


def test_probabilities_are_the_calibrated_logits_and_decisions_their_comparison(
    bundle: Bundle, films: list[Path]
) -> None:
    prediction = bundle.predict(films[3])
    raster = bundle.manifest.preprocessing.raster(read(films[3]))[None]
    logits = bundle.engine.run(raster).logits
    for name, finding in prediction.findings.items():
        curve = bundle.manifest.calibration.calibrator.findings[name].curve
        assert finding.probability == curve.apply(logits.of(name))[0]
        cut = bundle.manifest.calibration.thresholds()[name]
        assert finding.threshold == cut
        assert finding.positive == (None if cut is None else finding.probability >= cut)


def test_positives_come_most_probable_first(bundle: Bundle, films: list[Path]) -> None:
    predictions = [bundle.predict(path) for path in films[:12]]
    assert any(len(prediction.positives) > 1 for prediction in predictions)
    for prediction in predictions:
        named = prediction.positives
        scores = [prediction.findings[name].probability for name in named]
        assert scores == sorted(scores, reverse=True)
        assert set(named) == {n for n, f in prediction.findings.items() if f.positive}


@pytest.mark.parametrize("shape", [(128, 128), (300, 150), (129, 500)])
def test_heatmaps_lie_on_the_film_whatever_its_shape(
    bundle: Bundle, shape: tuple[int, int]
) -> None:
    pixels = np.random.default_rng(0).random(shape, np.float32)
    film = Radiograph(pixels, source="noise")
    raster = bundle.manifest.preprocessing.raster(film)
    analysis = bundle.analyze(ScreenedFilm(raster, film.shape, film.view))
    prediction = Prediction(film, analysis, bundle.manifest.preprocessing)
    for finding in bundle.labels:
        heatmap = prediction.heatmap(finding)
        assert heatmap.shape == shape
        assert heatmap.dtype == np.float32
        assert (heatmap >= 0).all()
    assert any(prediction.heatmap(finding).max() > 0 for finding in bundle.labels)


def test_a_heatmap_is_asked_for_by_name_or_alias(bundle: Bundle, films: list[Path]) -> None:
    prediction = bundle.predict(films[0])
    np.testing.assert_array_equal(
        prediction.heatmap("Pleural Effusion"), prediction.heatmap("Effusion")
    )
    with pytest.raises(UsageError, match=r"no finding 'Efusion' in NIH-14\. Did you mean 'Effu"):
        prediction.heatmap("Efusion")


def test_a_film_outside_its_use_is_refused(bundle: Bundle, tmp_path: Path) -> None:
    with pytest.raises(FilmError) as caught:
        bundle.predict(Radiograph(np.zeros((64, 64), np.float32), source="small.png"))
    assert caught.value.code is ReasonCode.TOO_SMALL
    (tmp_path / "a.png").write_bytes(b"")
    with pytest.raises(FilmError, match="0 bytes"):
        bundle.predict(tmp_path / "a.png")


def test_a_bundle_carries_names_numbers_and_no_patient(bundle: Bundle, toy: Path) -> None:
    assert re.fullmatch("[0-9a-f]{12}", bundle.id)
    assert bundle.labels.findings == nih14().findings
    evaluation = bundle.evaluation()
    assert evaluation is not None
    assert set(evaluation.findings) == set(nih14())
    names = [path.stem for path in (toy / "films" / "images").iterdir()]
    for name in ("bundle.json", "CARD.md", "evaluation.json"):
        text = (bundle.root / name).read_text()
        assert not [stem for stem in names if stem in text]


def test_the_package_offers_the_bundle_and_nothing_by_mistake() -> None:
    assert hilum.Bundle is Bundle
    with pytest.raises(AttributeError, match="'hilum' has no attribute 'Bundel'"):
        hilum.Bundel  # noqa: B018


# writing


def test_the_same_run_gives_the_same_bytes(run: RunFolder, tmp_path: Path) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    assert write(run.root, first) == write(run.root, second)
    for path in first.iterdir():
        assert path.read_bytes() == (second / path.name).read_bytes(), path.name


def test_a_run_that_was_not_evaluated_says_so(run: RunFolder, tmp_path: Path) -> None:
    run.evaluation.unlink()
    write(run.root, tmp_path / "bundle")
    assert Bundle.load(tmp_path / "bundle").evaluation() is None
    assert "Not evaluated. Nothing is known of it." in (tmp_path / "bundle/CARD.md").read_text()


def test_the_card_holds_thresholds_and_the_notice(bundle: Bundle) -> None:
    card = (bundle.root / "CARD.md").read_text()
    assert "not a medical device" in card
    for point in bundle.manifest.calibration.operating_points:
        cut = "none" if point.threshold is None else f"{point.threshold:.3f}"
        assert f"| {point.finding} | {cut} | f1 |" in card


def refused(run: RunFolder, out: Path, kind: type[Exception], message: str) -> None:
    """Nothing is left behind either."""
    before = sorted(out.parent.iterdir())
    with pytest.raises(kind, match=message) as caught:
        write(run.root, out)
    assert "\n" not in str(caught.value)
    assert sorted(out.parent.iterdir()) == before


def test_parts_of_two_runs_make_no_bundle(run: RunFolder, tmp_path: Path, network: object) -> None:
    out = tmp_path / "bundle"
    model, calibration = run.model.read_bytes(), run.calibration.read_bytes()
    evaluation = json.loads(run.evaluation.read_text())
    other = evaluation | {"provenance": {"bond": "of another"}}
    run.evaluation.write_text(json.dumps(other))
    refused(run, out, BundleError, r"evaluation\.json must be as hilum wrote it")
    run.evaluation.write_text(json.dumps(other | {"seal": seal(other)}))
    refused(run, out, BundleError, "an evaluation must be of this network")
    onnx.save(network(seed=1), run.model)
    refused(run, out, BundleError, r"model\.onnx must be the one training exported")
    run.model.unlink()
    refused(run, out, BundleError, r"model\.onnx must be the one training exported")
    run.model.write_bytes(model)
    run.calibration.write_bytes(calibration.replace(b"0", b"1", 1))
    refused(run, out, BundleError, r"calibration\.json must be as hilum wrote it")
    run.calibration.unlink()
    refused(run, out, BundleError, r"calibration\.json must be there")


def test_a_folder_is_never_written_over(run: RunFolder, tmp_path: Path) -> None:
    (tmp_path / "bundle").mkdir()
    with pytest.raises(UsageError, match="a bundle is written to a new folder"):
        write_bundle(BundleParts.from_run(run), [], tmp_path / "bundle")


# what it takes for a film


def test_the_rules_of_the_gate_are_chosen_with_the_bundle_and_travel_in_it(
    toy: Path, tmp_path: Path
) -> None:
    write(toy / "run", tmp_path / "bundle", ["min_age_years=0", "pixel_model=false"])
    bundle = Bundle.load(tmp_path / "bundle")
    assert (bundle.manifest.gate.min_age_years, bundle.manifest.gate.pixel_model) == (0.0, False)
    noise = np.random.default_rng(0).random((200, 200)).astype(np.float32)
    assert bundle.predict(noise).findings  # without the model nobody sees that it is no chest
    with pytest.raises(FilmError) as refused:
        Bundle.load(toy / "bundle").predict(noise)
    assert refused.value.code is ReasonCode.OOD


@pytest.mark.parametrize(
    ("word", "message"),
    [
        ("min_age_year=0", "Did you mean 'min_age_years'?"),
        ("min_age_years", "must read RULE=value"),
        ("min_side=[", "must read RULE=value"),
        ("min_side=8", "min_side: Input should be greater than or equal to 32"),
    ],
)
def test_a_rule_that_is_none_is_refused_in_a_line(
    toy: Path, tmp_path: Path, word: str, message: str
) -> None:
    with pytest.raises(UsageError) as refused:
        write(toy / "run", tmp_path / "bundle", [word])
    assert message in str(refused.value)
    assert "\n" not in str(refused.value)
