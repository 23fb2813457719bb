"""Identifiers are found in an encoded data set, whatever its encoding, and nothing else is read."""

from __future__ import annotations

import io

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydicom.dataset import Dataset
from pydicom.filebase import DicomIO
from pydicom.filewriter import write_dataset
from pydicom.sequence import Sequence

from hilum.imaging.dicom.identifiers import Identifiers, identifiers_of


def film(maker: str = "") -> Dataset:
    one = Dataset()
    one.SOPClassUID, one.SOPInstanceUID = "1.2.840.10008.5.1.4.1.1.1", "1.2.3.4"
    inner = Dataset()
    inner.ReferencedSOPInstanceUID = "9.9.9"
    inner.StudyInstanceUID = "9.9.8"  # of another study, and not this film's
    one.ReferencedStudySequence = Sequence([inner])
    one.Manufacturer = "hilum"  # of the film, and no contribution
    one.PatientName, one.PatientID = "Canary^Unlikely", "CANARY-8812"
    if maker:
        equipment = Dataset()
        equipment.Manufacturer = maker
        one.ContributingEquipmentSequence = Sequence([equipment])
    one.StudyInstanceUID, one.SeriesInstanceUID = "1.2.3", "1.2.3.1"
    one.PixelData = bytes(64)
    one["PixelData"].VR = "OW"
    return one


def encoded(one: Dataset, implicit: bool = False, little: bool = True) -> bytes:
    stream = DicomIO(io.BytesIO())
    stream.is_implicit_VR, stream.is_little_endian = implicit, little
    write_dataset(stream, one)
    return stream.parent.getvalue()


@pytest.mark.parametrize(("implicit", "little"), [(False, True), (True, True), (False, False)])
@pytest.mark.parametrize("undefined", [False, True])
def test_they_are_found_in_each_encoding(implicit: bool, little: bool, undefined: bool) -> None:
    one = film("hilum")
    for name in ("ReferencedStudySequence", "ContributingEquipmentSequence"):
        one[name].is_undefined_length = undefined
    found = identifiers_of(encoded(one, implicit, little), 0, little)
    assert found == Identifiers(
        "1.2.840.10008.5.1.4.1.1.1", "1.2.3.4", "1.2.3", "1.2.3.1", b"CANARY-8812", ("hilum",)
    )
    assert "CANARY" not in repr(found)


def test_only_equipment_that_contributed_makes_a_result_of_ours() -> None:
    assert identifiers_of(encoded(film()), 0).makers == ()
    assert identifiers_of(encoded(film("other")), 0).makers == ("other",)


def test_what_nests_too_deep_has_none() -> None:
    opened = b"\x08\0\x15\x11SQ\0\0\xff\xff\xff\xff\xfe\xff\0\xe0\xff\xff\xff\xff"
    assert identifiers_of(opened * 33, 0) is None


@settings(max_examples=25, deadline=None)
@given(st.data())
def test_bytes_of_any_kind_end_the_walk(data: st.DataObject) -> None:
    whole = bytearray(encoded(film("hilum")))
    for _ in range(data.draw(st.integers(1, 8))):
        whole[data.draw(st.integers(0, len(whole) - 1))] = data.draw(st.integers(0, 255))
    found = identifiers_of(bytes(whole[: data.draw(st.integers(0, len(whole)))]), 0)
    assert found is None or len(found.patient) <= 64
