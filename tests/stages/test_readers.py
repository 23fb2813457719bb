"""A model beside readers: places, kappas, majorities, and panels that cannot be measured."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import cohen_kappa_score

from hilum.domain.documents.readers import Place, ReaderStudy
from hilum.domain.errors import DatasetError
from hilum.files.sealed import read_sealed
from hilum.report.readers import markdown, printed
from hilum.stages.readers import ReadersRequest, compare_with_readers

CASES = 400
REQUEST = ReadersRequest(resamples=200)


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """400 films of 200 patients, a fair model, and three readers: poor, good, and one who skips."""
    folder = tmp_path_factory.mktemp("panel")
    rng = np.random.default_rng(4)
    truth = np.arange(CASES) % 3 == 0
    films = [f"{row:03d}.png" for row in range(CASES)]
    base = pd.DataFrame({"image_id": films})
    labels = base.assign(Mass=truth.astype(int), patient_id=np.arange(CASES) // 2)
    labels.to_csv(folder / "labels.csv", index=False)
    score = 1 / (1 + np.exp(-(1.5 * truth - 1 + rng.normal(size=CASES))))
    base.assign(Mass=score).to_csv(folder / "scores.csv", index=False)
    (folder / "panel").mkdir()
    (folder / "ratings").mkdir()
    rows = []
    for name, skill in (("poor", 0.3), ("good", 4.0), ("skips", 1.5)):
        rating = skill * truth + rng.normal(size=CASES) - skill / 2
        own = base.assign(Mass=(rating > 0).astype(int))
        rated = base.assign(Mass=1 / (1 + np.exp(-rating)))
        if name == "skips":
            own = own.iloc[:300]
        own.to_csv(folder / "panel" / f"{name}.csv", index=False)
        rated.to_csv(folder / "ratings" / f"{name}.csv", index=False)
        rows.append(own.assign(reader=name))
    pd.concat(rows).to_csv(folder / "panel.csv", index=False)
    return folder


def studied(corpus: Path, readers: Path, out: Path) -> ReaderStudy:
    table, labels = corpus / "scores.csv", corpus / "labels.csv"
    return compare_with_readers(table, readers, labels, out, REQUEST)


@pytest.fixture(scope="module")
def study(corpus: Path) -> ReaderStudy:
    return studied(corpus, corpus / "panel", corpus / "out")


def test_readers_lie_where_their_skill_puts_them(study: ReaderStudy) -> None:
    found = study.findings["Mass"]
    places = {name: one.place for name, one in found.readers.items()}
    assert places == {"good": Place.ABOVE, "poor": Place.BELOW, "skips": Place.ON}
    assert (found.above, found.on, found.below) == (1, 1, 1)
    skips = found.readers["skips"]
    assert (skips.n, skips.skipped, skips.patients) == (300, 100, 150)
    assert skips.auroc.value is None  # decisions, no ratings
    assert found.auroc_test.reason == "readers gave decisions, not ratings"
    test = found.sensitivity_test
    assert (test.readers, test.n) == (3, 300)
    assert test.low is not None
    assert test.high is not None
    assert test.low < 0 < test.high  # three readers so unlike tell nothing of readers at large


def test_numbers_are_those_of_the_tables(study: ReaderStudy, corpus: Path) -> None:
    truth = pd.read_csv(corpus / "labels.csv")["Mass"].to_numpy() == 1
    calls = {n: pd.read_csv(corpus / "panel" / f"{n}.csv")["Mass"] == 1 for n in ("good", "poor")}
    found = study.findings["Mass"]
    good = found.readers["good"]
    assert good.sensitivity.value == pytest.approx(calls["good"][truth].mean())
    assert good.specificity.value == pytest.approx((~calls["good"])[~truth].mean())
    kappas = {(k.first, k.second): k for k in found.kappas}
    assert len(kappas) == 6
    assert kappas["good", "poor"].kappa == pytest.approx(
        cohen_kappa_score(calls["good"], calls["poor"])
    )
    scores = pd.read_csv(corpus / "scores.csv")["Mass"].to_numpy()
    spared = good.specificity.value or 0.0
    allowed = [t for t in (*scores, 2.0) if (scores < t)[~truth].mean() >= spared - 1e-12]
    assert good.model_sensitivity.value == pytest.approx((scores >= min(allowed))[truth].mean())
    assert [m.without for m in found.majority] == ["", "good", "poor", "skips"]
    assert (found.majority[1].sensitivity.value or 0) < (found.majority[2].sensitivity.value or 0)


def test_a_table_of_readers_says_the_same(study: ReaderStudy, corpus: Path) -> None:
    other = studied(corpus, corpus / "panel.csv", corpus / "other")
    assert other.findings == study.findings
    assert read_sealed(ReaderStudy, corpus / "other" / "readers.json") == other


def test_ratings_are_compared_by_auroc(corpus: Path) -> None:
    found = studied(corpus, corpus / "ratings", corpus / "rated").findings["Mass"]
    assert found.readers["good"].auroc.value == pytest.approx(0.997, abs=0.005)
    test = found.auroc_test
    assert (test.readers, test.n, test.reason) == (3, CASES, "")
    assert test.df is not None


def test_the_words_fit_the_terminal(study: ReaderStudy) -> None:
    text = printed(study, 80)
    assert max(map(len, text.splitlines())) <= 80
    assert "Of 3 readers 1 lie above the model's curve" in text
    assert "are no expert truth" in markdown(study)


def test_panels_that_are_refused(corpus: Path, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(DatasetError, match="a folder of readers must hold a table for each"):
        studied(corpus, tmp_path / "empty", tmp_path / "o")
    with pytest.raises(DatasetError, match="must have a column 'reader'"):
        studied(corpus, corpus / "labels.csv", tmp_path / "o")
    (tmp_path / "twice").mkdir()
    (tmp_path / "twice" / "a.csv").write_text("image_id,Mass\n000.png,1\n001.png,0\n000.png,0\n")
    with pytest.raises(DatasetError, match=r"a.csv lists 000.png again with another rating"):
        studied(corpus, tmp_path / "twice", tmp_path / "o")
    (tmp_path / "alone").mkdir()
    text = (corpus / "panel" / "good.csv").read_text()
    (tmp_path / "alone" / "good.csv").write_text(text)
    one = studied(corpus, tmp_path / "alone", tmp_path / "o")
    assert one.findings["Mass"].sensitivity_test.reason.startswith("two readers or more")
    assert any("one reader" in note for note in one.notes)
    (tmp_path / "few").mkdir()
    (tmp_path / "few" / "a.csv").write_text("image_id,Mass\n001.png,1\n002.png,0\n")
    with pytest.raises(DatasetError, match="a reader study needs a finding with readings and"):
        studied(corpus, tmp_path / "few", tmp_path / "o")
