"""Whose films they are: nothing of it gets out that was not asked for."""

from __future__ import annotations

import hashlib
import hmac
import os
import threading
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hilum.batch.journal import Entry
from hilum.batch.patients import Patients, Phi, default_key, load_patients, read_key
from hilum.domain.documents.results import FindingResult, ImageResult
from hilum.domain.errors import Status, UsageError
from hilum.domain.findings import LabelSet
from hilum.domain.members import members
from hilum.domain.radiograph import Radiograph, Sex
from hilum.report.batch import reports
from hilum.report.parts.results import BatchResults, BundleFacts
from hilum.report.printed import printed

KEY = bytes(range(32))
CANARY = "CANARY-8812"
posix = pytest.mark.skipif(os.name != "posix", reason="modes of files are POSIX")


def film(age: float | None = 93.125) -> Radiograph:
    pixels = np.zeros((4, 3), np.float32)
    return Radiograph(pixels, "a.png", age_years=age, sex=Sex.FEMALE, patient_id=CANARY)


def outputs(patients: Patients) -> list[str]:
    """Everything that is written or printed of the canary's film."""
    said = patients.of(film())
    finding = FindingResult(probability=0.7, threshold=0.5, positive=True)
    result = ImageResult(
        input="in/a.png",
        image_id="a.png",
        sha256="0" * 64,
        status=Status.OK,
        findings={"Mass": finding},
        bundle="3f9a1c20",
        precision="f32",
        patient=said.patient,
        age_years=said.age_years,
        sex=said.sex,
    )
    facts = BundleFacts("small", "3f9a1c20", "f32", "platt")
    batch = BatchResults((result,), LabelSet("one", ("Mass",)), facts)
    return [
        *(report.render(batch) for report in reports().values()),
        *(printed(form).render(batch) for form in members("hilum.report.printed")),
        Entry(key="0" * 64, result=result).model_dump_json(),
        patients.fingerprint,
        repr(patients),
    ]


@pytest.mark.parametrize("patients", [Patients(Phi.NONE), Patients(Phi.PSEUDONYM, KEY)])
def test_the_patient_id_is_in_no_output(patients: Patients) -> None:
    for text in outputs(patients):
        assert CANARY not in text
        assert "8812" not in text
        assert "93.125" not in text
        assert KEY.hex() not in text
        assert repr(KEY) not in text


def test_the_pseudonym_and_nothing_more_is_where_patients_are_named() -> None:
    pseudonym = hmac.new(KEY, CANARY.encode(), hashlib.sha256).hexdigest()[:16]
    carry = [pseudonym in text for text in outputs(Patients(Phi.PSEUDONYM, KEY))]
    assert carry == [True, False, True, True, False, True, False, True, False, False]


def test_in_full_it_is_there() -> None:
    assert sum(CANARY in text for text in outputs(Patients(Phi.FULL))) == 5


def test_age_and_sex_are_said_as_far_as_asked() -> None:
    none, some, full = Patients(Phi.NONE), Patients(Phi.PSEUDONYM, KEY), Patients(Phi.FULL)
    assert (none.of(film()).age_years, none.of(film()).sex) == (None, Sex.UNKNOWN)
    assert [some.of(film(age)).age_years for age in (93.125, 89.5, None)] == [90.0, 89.5, None]
    assert full.of(film()).age_years == 93.125
    assert full.of(film()).sex is Sex.FEMALE


@given(st.text(st.characters(), min_size=1))
def test_a_pseudonym_is_the_key_s_and_the_id_s(patient_id: str) -> None:
    one, other = Patients(Phi.PSEUDONYM, KEY), Patients(Phi.PSEUDONYM, KEY[::-1])
    said = one.shown(patient_id)
    if not patient_id.strip(" \0"):
        assert said == ""
        return
    assert said == one.shown(f" {patient_id} ")
    assert len(said) == 16
    assert said != other.shown(patient_id)
    assert said != hashlib.sha256(patient_id.encode("utf-8", "surrogatepass")).hexdigest()[:16]


def test_the_fingerprint_tells_keys_and_modes_apart_and_is_no_pseudonym() -> None:
    one, other = Patients(Phi.PSEUDONYM, KEY), Patients(Phi.PSEUDONYM, KEY[::-1])
    marks = {
        one.fingerprint,
        other.fingerprint,
        *(Patients(m).fingerprint for m in (Phi.NONE, Phi.FULL)),
    }
    assert len(marks) == 4
    assert one.fingerprint == Patients(Phi.PSEUDONYM, KEY).fingerprint


def test_a_pseudonym_without_a_key_is_refused() -> None:
    with pytest.raises(UsageError, match="a pseudonym needs a key of 32 bytes or more; got 0"):
        Patients(Phi.PSEUDONYM)


# the key


@posix
def test_a_key_that_is_missing_is_made_for_its_owner_alone(tmp_path: Path) -> None:
    path = tmp_path / "config" / "hilum" / "phi.key"
    key = read_key(path, tmp_path / "out")
    assert len(key) == 32
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.parent.stat().st_mode & 0o777 == 0o700
    assert [file.name for file in path.parent.iterdir()] == ["phi.key"]
    assert read_key(path, tmp_path / "out") == key
    assert read_key(tmp_path / "other.key", tmp_path / "out") != key


def test_runs_that_start_at_once_get_one_key(tmp_path: Path) -> None:
    path, keys = tmp_path / "phi.key", []
    start = threading.Barrier(8)

    def run() -> None:
        start.wait()
        keys.append(read_key(path, tmp_path / "out"))

    threads = [threading.Thread(target=run) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(keys) == 8
    assert len(set(keys)) == 1


@pytest.mark.parametrize("name", ["out/phi.key", "out/deep/../phi.key", "door/phi.key", "out"])
def test_a_key_in_the_output_folder_is_refused(tmp_path: Path, name: str) -> None:
    (tmp_path / "out" / "deep").mkdir(parents=True)
    (tmp_path / "door").symlink_to("out")
    with pytest.raises(UsageError, match="must lie outside the output folder"):
        read_key(tmp_path / name, tmp_path / "out")
    assert [file.name for file in (tmp_path / "out").iterdir()] == ["deep"]


@posix
def test_a_key_that_everybody_may_read_or_that_is_short_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "phi.key"
    path.write_bytes(KEY)
    path.chmod(0o644)
    with pytest.raises(UsageError, match=r"has mode 644. Run: chmod 600"):
        read_key(path, tmp_path / "out")
    path.write_bytes(b"secret")
    path.chmod(0o600)
    with pytest.raises(UsageError, match=r"must have 32 bytes or more; .* has 6"):
        read_key(path, tmp_path / "out")


@pytest.mark.parametrize("name", [".", "file/phi.key", "x" * 300])
def test_a_key_that_can_be_neither_read_nor_made_is_one_line(tmp_path: Path, name: str) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(UsageError, match="the key of the pseudonyms must be a file") as caught:
        read_key(tmp_path / name, tmp_path / "out")
    assert "\n" not in str(caught.value)


def test_a_user_without_a_home_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UsageError, match="there is no home"):
        read_key(Path("~/.config/hilum/phi.key"), tmp_path / "out")
    assert list(tmp_path.iterdir()) == []


def test_only_a_pseudonym_touches_a_key(tmp_path: Path) -> None:
    key, out = tmp_path / "mine.key", tmp_path / "out"
    assert [load_patients(mode, key, out).key for mode in (Phi.NONE, Phi.FULL)] == [b"", b""]
    assert not key.exists()
    assert load_patients(Phi.PSEUDONYM, key, out).key == key.read_bytes()


def test_the_user_s_own_key_lies_with_the_user_s_settings(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hilum.batch.patients.get_app_dir", lambda name: str(tmp_path / name))
    assert default_key() == tmp_path / "hilum" / "phi.key"
