"""Laws of the words that everything else is written in."""

from __future__ import annotations

import ast
import json
import math
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

import hilum
from hilum.domain.documents import Interval
from hilum.domain.documents.results import FindingResult, ImageResult
from hilum.domain.errors import (
    BundleError,
    DatasetError,
    FilmError,
    HilumError,
    LeakError,
    ReasonCode,
    Status,
    UsageError,
)
from hilum.domain.findings import LabelSet, LabelState, catalog, find, nih14
from hilum.domain.provenance import SCORING, TRAINING, code_sha256, provenance
from hilum.domain.radiograph import Radiograph, ViewPosition
from hilum.domain.record import Cohort, Record, Split, digest
from hilum.domain.scores import Logits, Probabilities
from hilum.files.sealed import file_sha256, is_sealed, seal

TWO = LabelSet("two", ("Effusion", "Mass"))
SOURCES = {"public", "padchest", "pydicom"}

documents = st.dictionaries(
    st.text(max_size=5),
    st.recursive(
        st.none()
        | st.booleans()
        | st.integers()
        | st.floats(allow_nan=False)
        | st.text(max_size=5),
        lambda inner: st.lists(inner, max_size=3),
        max_leaves=5,
    ),
    max_size=4,
)

# findings


def test_every_alias_leads_to_its_finding_however_it_is_spelled() -> None:
    for name, finding in catalog().items():
        for word in (name, *finding.aliases):
            for spelled in (word, word.upper(), word.replace(" ", "_"), f" {word}  "):
                assert find(spelled).name == name


def test_no_spelling_means_two_findings() -> None:
    meant: dict[str, str] = {}
    for name, finding in catalog().items():
        for word in (name, *finding.aliases):
            assert meant.setdefault(word.replace("_", " ").casefold(), name) == name


def test_every_finding_says_what_it_is_and_every_code_where_it_is_from() -> None:
    for finding in catalog().values():
        assert finding.text
        for code in finding.codes:
            assert code.source in SOURCES
            assert code.scheme
            assert code.value
            assert code.meaning
    coded = [name for name in nih14() if catalog()[name].codes]
    assert coded == list(nih14())


@given(st.permutations(nih14().findings))
@settings(max_examples=25, deadline=None)
def test_a_label_set_finds_each_name_where_it_stands(order: list[str]) -> None:
    labels = LabelSet("permuted", tuple(order))
    assert list(labels) == order
    assert [labels.index(name) for name in order] == list(range(14))
    assert labels.columns(sorted(order)) == [order.index(name) for name in sorted(order)]
    assert (labels == LabelSet("permuted", nih14().findings)) == (order == list(nih14()))


def test_a_label_set_keeps_our_names_and_refuses_twins_and_strangers() -> None:
    assert LabelSet("x", ("pleural effusion", "INFILTRATE")).findings == (
        "Effusion",
        "Infiltration",
    )
    with pytest.raises(UsageError, match="'x' names a finding twice: Effusion, Effusion"):
        LabelSet("x", ("Effusion", "Pleural_Effusion"))
    with pytest.raises(UsageError, match=r"no finding 'Efusion'.* Did you mean 'Effusion'\?"):
        LabelSet("x", ("Efusion",))
    assert "Hernia" not in TWO
    assert "pleural_effusion" in TWO
    assert 3 not in TWO
    with pytest.raises(UsageError, match="no finding 'Hernia' in two"):
        TWO.index("Hernia")


# records


def record(name: str, *states: int, patient: str = "1") -> Record:
    return Record(name, patient, tuple(LabelState(state) for state in states))


def test_a_cohort_refuses_a_film_twice_and_states_that_do_not_fit() -> None:
    with pytest.raises(DatasetError, match=r"nih: film a\.png is listed twice"):
        Cohort("nih", TWO, (record("a.png", 0, 1), record("a.png", 0, 1)))
    with pytest.raises(DatasetError, match=r"a\.png has 1 label states for the 2 findings of two"):
        Cohort("nih", TWO, (record("a.png", 0),))


def test_a_cohort_s_arrays_follow_its_records() -> None:
    cohort = Cohort("nih", TWO, (record("b", 1, -1, patient="7"), record("a", -2, 0)))
    np.testing.assert_array_equal(cohort.states(), np.array([[1, -1], [-2, 0]], np.int8))
    assert cohort.states().dtype == np.int8
    assert cohort.patients().tolist() == ["7", "1"]
    assert cohort.image_ids() == ["b", "a"]
    kept = cohort.select(lambda one: one.patient_id == "7")
    assert kept.image_ids() == ["b"]
    empty = cohort.select(lambda one: one.patient_id == "none")
    assert empty.states().shape == (0, 2)
    assert len(empty) == 0


def test_a_cohort_s_hash_holds_films_patients_and_states_but_not_their_order() -> None:
    one, other = record("a", 0, 1), record("b", 1, 0)
    base = Cohort("nih", TWO, (one, other)).sha256()
    assert Cohort("nih", TWO, (other, one)).sha256() == base
    for changed in (record("c", 0, 1), record("a", 0, -1), record("a", 0, 1, patient="2")):
        assert Cohort("nih", TWO, (changed, other)).sha256() != base


@given(st.lists(st.text(st.characters(exclude_characters="\n"), max_size=4), unique=True))
@settings(max_examples=25, deadline=None)
def test_a_digest_is_of_the_set(lines: list[str]) -> None:
    assert digest(lines) == digest(lines[::-1])
    assert digest([*lines, "one more line"]) != digest(lines)


def test_the_splits_are_four_and_none_is_called_validation() -> None:
    assert [split.value for split in Split] == ["train", "tune", "calibrate", "test"]


# scores


@given(st.lists(st.lists(st.floats(-50, 50), min_size=2, max_size=2), max_size=5))
@settings(max_examples=25, deadline=None)
def test_logits_are_asked_for_by_name(rows: list[list[float]]) -> None:
    logits = Logits(np.array(rows, np.float32).reshape(-1, 2), TWO)
    assert logits.values.dtype == np.float64
    np.testing.assert_array_equal(logits.of("Pleural Effusion"), logits.values[:, 0])
    np.testing.assert_array_equal(logits.of("Mass"), logits.values[:, 1])


@pytest.mark.parametrize("kind", [Logits, Probabilities])
@pytest.mark.parametrize(
    ("values", "message"),
    [
        (np.zeros((3, 3)), r"must be \(N, 2\) for two; got \(3, 3\)"),
        (np.zeros(2), r"must be \(N, 2\) for two; got \(2,\)"),
        (np.array([[0.5, np.nan]]), "must be finite; got NaN or infinity"),
        (np.array([[0.5, np.inf]]), "must be finite; got NaN or infinity"),
    ],
)
def test_scores_of_another_shape_or_not_finite_are_refused(
    kind: type, values: np.ndarray, message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        kind(values, TWO)


@pytest.mark.parametrize(("worst", "said"), [(1.5, "1.5"), (-0.25, "-0.25"), (1 + 1e-9, "1")])
def test_logits_are_no_probabilities(worst: float, said: str) -> None:
    with pytest.raises(ValueError, match=rf"lie in \[0, 1\]; got up to {said}\. Are these logits"):
        Probabilities(np.array([[0.5, worst]]), TWO)
    assert Probabilities(np.array([[0.0, 1.0]]), TWO).of("Mass").tolist() == [1.0]


# films


@pytest.mark.parametrize(
    "pixels",
    [
        np.zeros((2, 2, 3), np.float32),
        np.zeros((2, 2)),
        np.zeros((0, 2), np.float32),
        np.full((2, 2), 1.1, np.float32),
        np.full((2, 2), -0.1, np.float32),
        np.full((2, 2), np.nan, np.float32),
    ],
)
def test_pixels_of_another_meaning_are_refused(pixels: np.ndarray) -> None:
    with pytest.raises(ValueError, match="a radiograph's pixels must"):
        Radiograph(pixels, source="a.png")


def test_frontal_views_are_known_to_be_frontal() -> None:
    assert [view.value for view in ViewPosition if view.frontal] == ["PA", "AP", "frontal"]


# results


@pytest.mark.parametrize("number", [math.nan, math.inf, -math.inf])
def test_no_result_holds_nan_or_infinity(number: float) -> None:
    with pytest.raises(ValidationError, match="finite number"):
        Interval(value=number)
    with pytest.raises(ValidationError, match="finite number"):
        Interval(value=0.5, low=number)
    with pytest.raises(ValidationError, match="finite number"):
        FindingResult(probability=number, threshold=None, positive=None)
    with pytest.raises(ValidationError):
        Interval.model_validate_json(f'{{"value": {json.dumps(number)}}}')


@given(st.floats(allow_nan=False, allow_infinity=False))
@settings(max_examples=25, deadline=None)
def test_a_number_comes_back_from_json_to_the_last_bit(number: float) -> None:
    said = Interval(value=number, low=number, high=None, reason="x")
    assert Interval.model_validate_json(said.model_dump_json()) == said


def test_results_are_frozen_and_know_their_fields() -> None:
    said = Interval(value=0.5)
    with pytest.raises(ValidationError, match="frozen"):
        said.value = 0.6
    with pytest.raises(ValidationError, match="Extra inputs"):
        Interval(value=0.5, hgih=1.0)


def test_positives_come_most_probable_first_and_ties_by_name() -> None:
    def said(probability: float, positive: bool | None = True) -> FindingResult:
        return FindingResult(probability=probability, threshold=0.1, positive=positive)

    findings = {"Mass": said(0.5), "Edema": said(0.5), "Hernia": said(0.9)}
    findings |= {"Nodule": said(0.99, positive=False), "Fibrosis": said(0.99, positive=None)}
    result = ImageResult(
        input="a",
        image_id="a",
        sha256=None,
        status=Status.OK,
        findings=findings,
        bundle="b",
        precision="f32",
    )
    assert result.positives == ["Hernia", "Edema", "Mass"]
    assert result.model_copy(update={"findings": None}).positives == []


# errors, seals, provenance


def test_errors_are_one_tree() -> None:
    for kind in (UsageError, DatasetError, LeakError, BundleError, FilmError):
        assert issubclass(kind, HilumError)
    assert issubclass(LeakError, DatasetError)
    error = FilmError(Status.REJECT, ReasonCode.TOO_SMALL, "too small")
    assert (error.status, error.code, str(error)) == (Status.REJECT, "TOO_SMALL", "too small")
    assert [status.value for status in Status] == ["ok", "warn", "reject", "error", "skip"]
    assert all(code.value == code.name for code in ReasonCode)


def test_a_films_message_stays_on_one_line_whatever_it_quotes() -> None:
    """A header's transfer syntax held a line end, found by fuzzing."""
    quoted = "1.2.840\n57 \x1b]0;title\x07 \u202e \udcff 胸部"
    error = FilmError(Status.REJECT, ReasonCode.TRANSFER_SYNTAX_NOT_SUPPORTED, quoted)
    assert error.message == r"1.2.840\n57 \x1b]0;title\x07 \u202e \udcff 胸部"
    assert str(error) == error.message


@given(documents, documents)
@settings(max_examples=50, deadline=None)
def test_a_seal_breaks_with_any_change(one: dict[str, object], other: dict[str, object]) -> None:
    closed = {**one, "seal": seal(one)}
    assert is_sealed(closed)
    assert is_sealed(json.loads(json.dumps(closed)))
    assert is_sealed(dict(reversed(closed.items())))
    bare = {key: value for key, value in one.items() if key != "seal"}
    changed = {key: value for key, value in other.items() if key != "seal"}
    if json.dumps(changed, sort_keys=True) != json.dumps(bare, sort_keys=True):
        assert not is_sealed({**changed, "seal": closed["seal"]})


def test_a_file_s_hash_is_that_of_its_bytes(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"abc")
    # FIPS 180-2, appendix B.1
    assert file_sha256(tmp_path / "a") == (
        "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    )


def test_provenance_names_the_code_and_nobody_s_machine() -> None:
    said = provenance()
    assert said["code_sha256"] == code_sha256()
    assert set(said) == {"hilum", "code_sha256", "python", "machine", "numpy", "openvino"}


# which code made a result


def rooms_behind(*starts: str) -> set[str]:
    """Rooms of all modules that these modules import, directly or by way of others."""
    source = Path(hilum.__file__).parent
    seen: set[str] = set()
    waiting = [f"hilum.{start}" for start in starts]
    while waiting:
        module = waiting.pop()
        path = source.joinpath(*module.split(".")[1:])
        path = path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
        if module in seen or not path.is_file():
            continue
        seen.add(module)
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("hilum."):
                waiting += [node.module, *(f"{node.module}.{name.name}" for name in node.names)]
    return {module.split(".")[1] for module in seen}


def test_all_that_decides_a_score_is_hashed_and_no_more() -> None:
    behind = rooms_behind("batch.score", "batch.engines.lanes", "reading.reader")
    # what fits a calibrator and what writes a bundle's card stands in the same rooms, and runs in
    # no batch
    assert behind - set(SCORING) <= {"metrics", "splits", "evaluation", "report"}
    assert set(SCORING) <= behind


def test_all_that_decides_a_training_run_is_hashed() -> None:
    assert rooms_behind("training.train") - set(TRAINING) <= {"report", "calibration", "explain"}


def test_a_word_mended_on_the_command_line_changes_no_hash_of_a_batch(tmp_path: Path) -> None:
    copy = tmp_path / "hilum"
    shutil.copytree(Path(hilum.__file__).parent, copy)
    before = hashes(tmp_path)
    with (copy / "cli" / "predict.py").open("a") as file:
        file.write("# a word\n")
    with (copy / "report" / "parts" / "page.py").open("a") as file:
        file.write("# a word\n")
    after = hashes(tmp_path)
    assert after[0] == before[0]
    assert after[1] != before[1]
    with (copy / "imaging" / "read.py").open("a") as file:
        file.write("# another\n")
    assert hashes(tmp_path)[0] != before[0]


def hashes(place: Path) -> list[str]:
    code = (
        "from hilum.domain.provenance import SCORING, code_sha256\n"
        "print(code_sha256(*SCORING), code_sha256())"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={"PYTHONPATH": str(place), "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout.split()
