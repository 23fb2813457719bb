"""Readers with less without help: the two tests beside each other, margins, and bad panels."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from hilum.domain.documents.readers import AidedTest, ReaderStudy
from hilum.domain.errors import DatasetError, UsageError
from hilum.metrics.delong import delong
from hilum.metrics.mrmc import obuchowski_rockette
from hilum.report.readers import aided_sentence, markdown, printed
from hilum.stages.readers import ReadersRequest, measure_readers

CASES, READERS = 200, 4


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """200 films of as many patients; four readers who find more with help, and alarm no less."""
    folder = tmp_path_factory.mktemp("aided")
    rng = np.random.default_rng(6)
    truth = np.arange(CASES) % 3 == 0
    hard = 0.5 * rng.normal(size=CASES)
    base = pd.DataFrame({"image_id": [f"{row:03d}.png" for row in range(CASES)]})
    base.assign(Mass=truth * 1, patient_id=np.arange(CASES)).to_csv(
        folder / "labels.csv", index=False
    )
    base.assign(Mass=truth * 1, patient_id=np.arange(CASES) // 2).to_csv(
        folder / "pairs.csv", index=False
    )
    score = 1 / (1 + np.exp(1 - 2 * truth - hard - rng.normal(size=CASES)))
    base.assign(Mass=score).to_csv(folder / "scores.csv", index=False)
    for way, gain in (("first", 0.0), ("second", 0.8)):
        (folder / way).mkdir()
        rows = []
        for reader in range(READERS):
            x = (1.0 + gain) * truth + hard + rng.normal(size=CASES) - 0.7
            own = base.assign(Mass=(1 / (1 + np.exp(-x))).round(2))
            own.to_csv(folder / way / f"r{reader}.csv", index=False)
            rows.append(own.assign(reader=f"r{reader}"))
        pd.concat(rows).to_csv(folder / f"{way}.csv", index=False)
    return folder


def studied(
    corpus: Path, first: str, second: str | None, labels: str = "labels.csv"
) -> ReaderStudy:
    aided = None if second is None else corpus / second
    request = ReadersRequest(resamples=100, aided=aided)
    return measure_readers(corpus / "scores.csv", corpus / first, corpus / labels, request)


@pytest.fixture(scope="module")
def study(corpus: Path) -> ReaderStudy:
    return studied(corpus, "first", "second")


def named(study: ReaderStudy) -> dict[str, AidedTest]:
    return {test.what: test for test in study.findings["Mass"].aided}


def ratings(corpus: Path, way: str) -> np.ndarray:
    files = [corpus / way / f"r{reader}.csv" for reader in range(READERS)]
    return np.stack([pd.read_csv(file)["Mass"].to_numpy() for file in files])


def test_aurocs_are_compared_by_obuchowski_and_rockette(study: ReaderStudy, corpus: Path) -> None:
    truth = pd.read_csv(corpus / "labels.csv")["Mass"].to_numpy() == 1
    rows = np.concatenate([ratings(corpus, "first"), ratings(corpus, "second")])
    found = delong(truth, rows)
    wanted = obuchowski_rockette(found.values.reshape(2, READERS), found.covariance)
    own = named(study)["AUROC"]
    assert (own.readers, own.n) == (READERS, CASES)
    for name in ("difference", "low", "high", "df", "p"):
        assert getattr(own, name) == pytest.approx(getattr(wanted, name))
    assert own.better
    assert own.no_worse


def test_shares_are_those_of_calls(study: ReaderStudy, corpus: Path) -> None:
    truth = pd.read_csv(corpus / "labels.csv")["Mass"].to_numpy() == 1
    calls = [ratings(corpus, way) >= 0.5 for way in ("first", "second")]
    sensitivity, specificity = named(study)["sensitivity"], named(study)["specificity"]
    assert sensitivity.first == pytest.approx(calls[0][:, truth].mean())
    assert sensitivity.second == pytest.approx(calls[1][:, truth].mean())
    assert specificity.difference == pytest.approx(
        calls[0][:, ~truth].mean() - calls[1][:, ~truth].mean()
    )
    assert specificity.n == int((~truth).sum())


def test_u_statistics_agree_with_it(study: ReaderStudy) -> None:
    for test in named(study).values():
        own = test.u_statistics
        assert own is not None
        assert own.difference == pytest.approx(test.difference)
        assert (own.low, own.high) == pytest.approx((test.low, test.high), abs=0.02)
    model = study.findings["Mass"].auroc_test
    assert model.u_statistics is not None
    assert model.u_statistics.difference == pytest.approx(model.difference)
    assert set(model.u_statistics.moments) >= {"---", "r--", "rpn"}


def test_one_table_with_ratings_is_the_folder(corpus: Path, study: ReaderStudy) -> None:
    tables = studied(corpus, "first.csv", "second.csv")
    assert tables.findings == study.findings


def test_patients_with_several_films_get_no_u_statistics(corpus: Path) -> None:
    test = named(studied(corpus, "first", "second", "pairs.csv"))["AUROC"]
    assert test.p is not None
    assert test.u_statistics is not None
    assert "some patients have several cases" in test.u_statistics.reason


def test_skipped_cases_count_for_u_statistics_alone(corpus: Path, tmp_path: Path) -> None:
    for file in (corpus / "second").iterdir():
        rows = pd.read_csv(file)
        rows = rows.iloc[:150] if file.stem == "r0" else rows
        rows.to_csv(tmp_path / file.name, index=False)
    request = ReadersRequest(resamples=100, aided=tmp_path)
    labels = corpus / "labels.csv"
    found = measure_readers(corpus / "scores.csv", corpus / "first", labels, request)
    own = named(found)["AUROC"]
    assert own.n == 150
    assert own.u_statistics is not None
    assert own.u_statistics.difference != pytest.approx(own.difference, abs=1e-9)


def test_it_is_printed_with_its_margin(study: ReaderStudy) -> None:
    for text in (printed(study, 80), markdown(study)):
        assert "help" in text
        assert "U-statistics" in text
    specificity = named(study)["specificity"]
    assert "no worse with help, by the margin of 0.05" in aided_sentence(specificity)
    one = specificity.model_copy(update={"no_worse": False, "readers_needed": None})
    assert "no panel would show it" in aided_sentence(one)


def test_decisions_have_no_auroc(corpus: Path, tmp_path: Path) -> None:
    for way in ("first", "second"):
        (tmp_path / way).mkdir()
        for file in (corpus / way).iterdir():
            rows = pd.read_csv(file)
            rows["Mass"] = (rows["Mass"] >= 0.5) * 1
            rows.to_csv(tmp_path / way / file.name, index=False)
    request = ReadersRequest(resamples=100, aided=tmp_path / "second")
    labels = corpus / "labels.csv"
    found = measure_readers(corpus / "scores.csv", tmp_path / "first", labels, request)
    assert named(found)["AUROC"].reason == "readers gave decisions, not ratings"
    assert named(found)["sensitivity"].better


def test_bad_panels_are_one_line(corpus: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="--aided must name a folder or a table"):
        studied(corpus, "first", "nobody")
    (tmp_path / "else").mkdir()
    (tmp_path / "else/other.csv").write_text((corpus / "first/r0.csv").read_text("utf-8"))
    request = ReadersRequest(resamples=100, aided=tmp_path / "else")
    labels = corpus / "labels.csv"
    with pytest.raises(DatasetError, match="must be those without, by name"):
        measure_readers(corpus / "scores.csv", corpus / "first", labels, request)
    (tmp_path / "one").mkdir()
    (tmp_path / "one/r0.csv").write_text((corpus / "second/r0.csv").read_text("utf-8"))
    request = ReadersRequest(resamples=100, aided=tmp_path / "one")
    alone = measure_readers(corpus / "scores.csv", corpus / "first", labels, request)
    assert "two readers or more" in named(alone)["sensitivity"].reason
    assert any("without a second reading: r1, r2, r3" in note for note in alone.notes)


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ("000.png,high,r0", "a rating must be a number, or blank; got 'high'"),
        ("000.png,0.123,r0", "a reader must rate a film once"),
    ],
)
def test_bad_ratings_are_one_line(corpus: Path, tmp_path: Path, row: str, message: str) -> None:
    path = tmp_path / "panel.csv"
    path.write_text((corpus / "first.csv").read_text("utf-8") + row + "\n", "utf-8")
    with pytest.raises(DatasetError, match=message) as refused:
        measure_readers(corpus / "scores.csv", path, corpus / "labels.csv", ReadersRequest())
    assert "\n" not in str(refused.value)
    assert "row 802" in str(refused.value)


def test_the_verb_compares_them(corpus: Path, tmp_path: Path, said: Any) -> None:
    words = [str(corpus / "scores.csv"), "--readers", str(corpus / "first.csv"), "--labels"]
    words += [str(corpus / "labels.csv"), "--aided", str(corpus / "second"), "--resamples", "100"]
    code, out, _ = said("readers", *words, "-o", str(tmp_path / "out"), "-q")
    assert code == 0
    assert "Readers with the model's help less without" in out
