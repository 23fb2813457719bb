"""Each object is valid, says what the result says, and is the same whenever it is made."""

from __future__ import annotations

import io
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from highdicom.sr import srread
from pydicom import dcmread
from pydicom.dataset import Dataset

from hilum.domain.errors import UsageError
from hilum.domain.radiograph import DicomDisplay, DicomTable
from hilum.interchange import (
    FilmResults,
    Sheet,
    check_kinds,
    object_kind,
    object_kinds,
    usual_kinds,
)
from hilum.interchange.parts.codes import code_of

Film = Callable[..., FilmResults]
FileOf = Callable[[FilmResults, str], bytes]
Validate = Callable[[bytes], list[str]]

HEADERS: dict[str, dict[str, Any]] = {
    "whole": {},
    # each was seen in a real film, and each made an object invalid
    "bare": {
        "body_part": "",
        "pixel_spacing_mm": None,
        "patient_orientation": (),
        "study_id": "",
        "accession_number": "",
        "patient_sex": "",
        "patient_birth_date": "",
        "patient_age": "",
        "display": DicomDisplay(),
    },
    "wrong": {
        "body_part": "RIBCAGE",
        "patient_age": "81",
        "patient_sex": "W",
        "patient_birth_date": "20200230",
        "study_time": "99:99",
        "content_date": "yesterday",
        "accession_number": "longer than sixteen characters",
        "patient_orientation": ("LEFT", "FOOT"),
        "procedure": ("", "X", "Y"),
    },
    "tables": {
        "display": DicomDisplay(
            slope=2.0,
            intercept=-1024.5,
            voi=DicomTable(-2, 12, "AAAABAAI/w8="),
            window=(10.5, 3.0, "SIGMOID"),
            inverted=True,
            signed=True,
        )
    },
}
every_kind = pytest.mark.parametrize("kind", object_kinds())
every_header = pytest.mark.parametrize("header", HEADERS.values(), ids=HEADERS)


def read(data: bytes) -> Dataset:
    return dcmread(io.BytesIO(data))


def items(tree: Dataset, code: str) -> list[Dataset]:
    """All content items of that name, wherever they are."""
    found: list[Dataset] = []
    for item in tree.get("ContentSequence", ()):
        names = item.get("ConceptNameCodeSequence")
        if names and names[0].CodeValue == code:
            found.append(item)
        found += items(item, code)
    return found


def groups(report: Dataset) -> dict[str, Dataset]:
    """Measurement groups by their tracking identifier."""
    return {items(group, "112039")[0].TextValue: group for group in items(report, "125007")}


# every kind


@every_kind
@every_header
def test_dciodvfy_finds_no_error_and_no_unknown_warning(
    kind: str, header: dict[str, Any], film_results: Film, file_of: FileOf, dciodvfy: Validate
) -> None:
    assert dciodvfy(file_of(film_results(**header), kind)) == []


def test_the_validator_can_find_something(
    film_results: Film, file_of: FileOf, dciodvfy: Validate
) -> None:
    broken = read(file_of(film_results(), "pr"))
    del broken.PresentationLUTShape
    stream = io.BytesIO()
    broken.save_as(stream)
    assert any("PresentationLUTShape" in line for line in dciodvfy(stream.getvalue()))


@every_kind
def test_the_same_results_give_the_same_bytes(
    kind: str, film_results: Film, file_of: FileOf
) -> None:
    assert file_of(film_results(), kind) == file_of(film_results(), kind)


@every_kind
@pytest.mark.parametrize(
    "change",
    [
        {"key": bytes(31) + b"\1"},
        {"revision": 2},
        {"sha256": "cd" * 32},
        {"codes": ()},
    ],
    ids=["key", "revision", "film", "codes"],
)
def test_an_object_that_says_something_else_has_other_uids(
    kind: str, change: dict[str, Any], film_results: Film
) -> None:
    film = film_results()
    one, other = object_kind(kind).build(film), object_kind(kind).build(replace(film, **change))
    assert one is not None
    assert other is not None
    assert one.SOPInstanceUID != other.SOPInstanceUID
    assert one.SeriesInstanceUID != other.SeriesInstanceUID
    assert one.StudyInstanceUID == other.StudyInstanceUID == film.header.study_instance_uid


def test_a_different_threshold_is_a_different_object(film_results: Film) -> None:
    film = film_results()
    found = {**film.findings, "Mass": film.findings["Mass"].at(0.9)}
    made = [object_kind("sr").build(one) for one in (film, replace(film, findings=found))]
    assert len({one.SOPInstanceUID for one in made if one is not None}) == 2


@every_kind
def test_uids_are_those_of_uuids(kind: str, film_results: Film) -> None:
    made = object_kind(kind).build(film_results())
    assert made is not None
    root, number = made.SOPInstanceUID.rsplit(".", 1)
    assert root == "2.25"
    assert 0 < int(number) < 1 << 128
    assert int(number) >> 76 & 0xF == 8
    assert len(made.SOPInstanceUID) <= 64


@every_kind
def test_it_belongs_to_the_study_and_names_its_maker(
    kind: str, film_results: Film, file_of: FileOf
) -> None:
    film = film_results()
    made = read(file_of(film, kind))
    assert str(made.PatientName) == "Muster^Erika"
    assert (made.PatientID, made.AccessionNumber, made.StudyID) == ("PID-0815", "ACC-77", "S1")
    assert (made.StudyDate, made.StudyTime, made.PatientAge) == ("20200304", "101112", "070Y")
    assert 9001 <= made.SeriesNumber <= 9099
    assert "research only, not for diagnosis" in made.SeriesDescription
    (maker,) = made.ContributingEquipmentSequence
    assert maker.PurposeOfReferenceCodeSequence[0].CodeValue == "109102"
    for keyword in ("Manufacturer", "ManufacturerModelName", "SoftwareVersions"):
        assert maker[keyword].value == made[keyword].value
    assert maker.DeviceUID.startswith("2.25.")


@every_kind
def test_no_object_asks_the_clock(kind: str, film_results: Film, file_of: FileOf) -> None:
    made = read(file_of(film_results(), kind))
    dates = {str(one.value) for one in made.iterall() if one.VR in ("DA", "DT") and one.value}
    assert dates == {"20200304", "19500102"}  # of the film, and of birth
    undated = read(file_of(film_results(content_date="", content_time=""), kind))
    dates = {str(one.value) for one in undated.iterall() if one.VR in ("DA", "DT") and one.value}
    assert dates == {"20200304", "19500102", "19000101"} - (
        set() if "ContentDate" in undated or "PresentationCreationDate" in undated else {"19000101"}
    )


@every_kind
def test_invalid_values_of_the_source_are_left_out(
    kind: str, film_results: Film, file_of: FileOf
) -> None:
    made = read(file_of(film_results(**HEADERS["wrong"]), kind))
    assert "PatientAge" not in made
    assert made.PatientSex == made.PatientBirthDate == made.StudyTime == made.AccessionNumber == ""
    assert made.get("PatientOrientation") in (None, "")
    assert made.get("BodyPartExamined", "CHEST") == "CHEST"


@every_kind
@pytest.mark.parametrize(
    ("character_set", "name", "kept"),
    [
        (("ISO_IR 100",), "Müller^Jürgen", "ISO_IR 100"),
        (("ISO_IR 127",), "قباني^لنزار", "ISO_IR 127"),
        (("", "ISO 2022 IR 87"), "Yamada^Tarou=山田^太郎=やまだ^たろう", ["", "ISO 2022 IR 87"]),
        (("ISO_IR 192",), "Wang^XiaoDong=王^小東", "ISO_IR 192"),
        ((), "Doe^Jane", "ISO_IR 100"),
        (("ISO_IR 100",), "Wang^XiaoDong=王^小東", "ISO_IR 192"),
        (("NONSENSE",), "Doe^Jane", "ISO_IR 192"),
    ],
    ids=["latin", "arabic", "japanese", "unicode", "none", "one that does not hold it", "unknown"],
)
def test_names_survive_in_the_character_set_of_the_source(
    kind: str,
    character_set: tuple[str, ...],
    name: str,
    kept: str | list[str],
    film_results: Film,
    file_of: FileOf,
) -> None:
    made = read(file_of(film_results(character_set=character_set, patient_name=name), kind))
    assert made.SpecificCharacterSet == kept
    assert str(made.PatientName) == name


def test_the_usual_kinds_and_their_series() -> None:
    assert usual_kinds() == ("sr", "region", "sc", "pr")
    series = [object_kind(kind).series for kind in object_kinds()]
    assert len(set(series)) == len(series)


def test_a_kind_whose_package_is_missing_is_refused_in_one_line(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("hilum.interchange.find_spec", lambda _: None)
    assert check_kinds("usual") == usual_kinds()  # which need nothing beyond the base install
    with pytest.raises(UsageError, match=r"seg need highdicom.*Install hilum\[dicom\]"):
        check_kinds("sr,seg")


# sr


def test_highdicom_reads_the_report_and_finds_every_finding(
    film_results: Film, file_of: FileOf, on_disk: Callable[[bytes], Path]
) -> None:
    film = film_results()
    report = srread(on_disk(file_of(film, "sr")))
    found = report.content.get_image_measurement_groups()
    assert len(found) == len(film.findings) == 14
    for group, (name, result) in zip(found, film.findings.items(), strict=True):
        assert group.tracking_identifier == name
        code = code_of(name)
        assert code is not None
        assert group.finding_type == code
        assert group.finding_sites[0].topographical_modifier is None
        (number,) = group.get_measurements()
        assert number.unit.value == "%"
        assert round(number.value, 10) == round(100.0 * result.probability, 10)
        (evaluation,) = group.get_qualitative_evaluations()
        words = {True: "Present", False: "Absent", None: "Undetermined"}
        assert evaluation.value.meaning == words[result.positive]


def test_the_number_is_that_of_the_result_to_its_last_digit(
    film_results: Film, file_of: FileOf
) -> None:
    film = film_results()
    for name, group in groups(read(file_of(film, "sr"))).items():
        (value,) = items(group, "111012")[0].MeasuredValueSequence
        assert value.FloatingPointValue == 100.0 * film.findings[name].probability
        assert len(str(value.NumericValue)) <= 16


def test_the_report_names_what_a_number_depends_on(film_results: Film, file_of: FileOf) -> None:
    found = groups(read(file_of(film_results(), "sr")))
    effusion = [item.TextValue for item in items(found["Effusion"], "111002")]
    assert effusion == [
        "bundle=0123456789ab",
        "precision=f32",
        "calibrator=platt",
        "threshold=0.1",
        "threshold chosen for=sensitivity 0.90",
    ]
    mass = [item.TextValue for item in items(found["Mass"], "111002")]
    assert "calibrator=identity (not calibrated: plain sigmoid)" in mass
    assert "threshold=none" in [item.TextValue for item in items(found["Hernia"], "111002")]


def test_the_report_holds_notice_cautions_and_observer(film_results: Film, file_of: FileOf) -> None:
    report = read(file_of(film_results(), "sr"))
    lines = [item.TextValue for item in items(report, "121106")]
    assert "not a medical device" in lines[0]
    assert "Take care: VIEW_UNKNOWN" in lines
    assert "Not called: the film is unlike those it was calibrated on" in lines
    (maker,) = report.ContributingEquipmentSequence
    assert maker.DeviceUID == items(report, "121012")[0].UID
    assert items(report, "121015")[0].TextValue == maker.ManufacturerModelName
    assert (report.CompletionFlag, report.VerificationFlag) == ("COMPLETE", "UNVERIFIED")
    assert report.PreliminaryFlag == "PRELIMINARY"


@pytest.mark.parametrize(
    ("stated", "code"),
    [((), "363679005"), (("36643-5", "LN", "XR Chest 2 Views"), "36643-5")],
)
def test_procedure_reported_is_that_of_the_film(
    stated: tuple[str, ...], code: str, film_results: Film, file_of: FileOf
) -> None:
    report = read(file_of(film_results(procedure=stated), "sr"))
    assert items(report, "121058")[0].ConceptCodeSequence[0].CodeValue == code


def test_a_revision_names_its_predecessor(film_results: Film, file_of: FileOf) -> None:
    first = read(file_of(film_results(), "sr"))
    assert "PredecessorDocumentsSequence" not in first
    film = replace(
        film_results(),
        revision=2,
        predecessor=first.SOPInstanceUID,
        predecessor_series=first.SeriesInstanceUID,
    )
    second = read(file_of(film, "sr"))
    (series,) = second.PredecessorDocumentsSequence[0].ReferencedSeriesSequence
    assert series.SeriesInstanceUID == first.SeriesInstanceUID
    assert series.ReferencedSOPSequence[0].ReferencedSOPInstanceUID == first.SOPInstanceUID


def test_dsrdump_prints_the_trees(
    film_results: Film, file_of: FileOf, on_disk: Callable[[bytes], Path]
) -> None:
    if shutil.which("dsrdump") is None:
        pytest.skip("dsrdump (dcmtk) is not installed")
    for kind, count in (("sr", 14), ("region", 2), ("ko", 0)):
        path = on_disk(file_of(film_results(), kind))
        done = subprocess.run(["dsrdump", path], capture_output=True, check=False)
        assert done.returncode == 0, done.stderr
        assert done.stdout.count(b'"Measurement Group")') == count


# region


def test_highdicom_reads_the_outlines_with_the_tracking_uids_of_the_report(
    film_results: Film, file_of: FileOf, on_disk: Callable[[bytes], Path]
) -> None:
    film = film_results()
    report = srread(on_disk(file_of(film, "region")))
    found = report.content.get_planar_roi_measurement_groups()
    assert [group.tracking_identifier for group in found] == ["Mass", "Effusion"]
    whole = groups(read(file_of(film, "sr")))
    for group in found:
        assert group.roi is not None
        assert group.roi.value.tolist() == [list(point) for point in film.outlines["Mass"].points]
        (tracked,) = items(whole[group.tracking_identifier], "112040")
        assert group.tracking_uid == tracked.UID


def test_there_is_no_region_and_no_key_object_without_a_positive_finding(
    film_results: Film,
) -> None:
    film = film_results()
    absent = {name: one.at(1.0) for name, one in film.findings.items()}
    nothing = replace(film, findings=absent, outlines={})
    assert object_kind("region").build(nothing) is None
    assert object_kind("ko").build(nothing) is None


# sc, pr, ko, seg


def test_the_picture_is_kept_pixel_by_pixel(film_results: Film, file_of: FileOf) -> None:
    film = film_results()
    picture = read(file_of(film, "sc"))
    assert film.sheet is not None
    assert picture.pixel_array.tobytes() == film.sheet.data
    assert picture.BurnedInAnnotation == "YES"
    assert picture.ImageType == ["DERIVED", "SECONDARY"]
    assert picture.PatientOrientation == ["L", "F"]
    (source,) = picture.SourceImageSequence
    assert source.ReferencedSOPInstanceUID == film.header.sop_instance_uid
    assert source.PurposeOfReferenceCodeSequence[0].CodeValue == "121322"


def test_a_jpeg_is_filed_as_it_is_and_says_that_it_lost_something(
    film_results: Film, file_of: FileOf, dciodvfy: Validate
) -> None:
    from hilum.explain.files import jpeg_bytes

    jpeg = jpeg_bytes(np.full((60, 80, 3), 90, np.uint8))
    film = replace(film_results(), sheet=Sheet(60, 80, jpeg, jpeg=True))
    data = file_of(film, "sc")
    assert jpeg in data
    picture = read(data)
    assert picture.LossyImageCompression == "01"
    assert abs(int(picture.pixel_array[30, 40, 0]) - 90) <= 2
    assert dciodvfy(data) == []


def test_the_presentation_state_shows_the_film_as_it_was(
    film_results: Film, file_of: FileOf
) -> None:
    state = read(file_of(film_results(**HEADERS["tables"]), "pr"))
    assert (state.RescaleSlope, state.RescaleIntercept) == (2.0, -1024.5)
    (shown,) = state.SoftcopyVOILUTSequence
    assert (shown.WindowCenter, shown.WindowWidth, shown.VOILUTFunction) == (10.5, 3.0, "SIGMOID")
    (table,) = shown.VOILUTSequence
    assert table.LUTDescriptor == [4, -2, 16]  # 12 bits are not allowed here
    assert np.frombuffer(table.LUTData, "<u2").tolist() == [0, 16388, 32776, 65535]
    assert state.PresentationLUTShape == "INVERSE"
    (area,) = state.DisplayedAreaSelectionSequence
    assert area.DisplayedAreaBottomRightHandCorner == [90, 120]


def test_the_presentation_state_has_one_layer_with_words_and_outlines(
    film_results: Film, file_of: FileOf
) -> None:
    film = film_results()
    state = read(file_of(film, "pr"))
    assert [layer.GraphicLayer for layer in state.GraphicLayerSequence] == ["HILUM"]
    assert {one.GraphicLayer for one in state.GraphicAnnotationSequence} == {"HILUM"}
    words = state.GraphicAnnotationSequence[0].TextObjectSequence[0].UnformattedTextValue
    assert "Mass: 70.0 % (threshold 30.0 %, not calibrated)" in words
    assert "not a medical device" in words
    lines = [one.GraphicObjectSequence[0] for one in list(state.GraphicAnnotationSequence)[1:]]
    whole = groups(read(file_of(film, "sr")))
    assert [line.TrackingID for line in lines] == ["Mass", "Effusion"]
    for line in lines:
        assert line.TrackingUID == items(whole[line.TrackingID], "112040")[0].UID
        assert line.NumberOfGraphicPoints == 4
        assert line.GraphicData[:2] == line.GraphicData[-2:]


def test_dcmpschk_passes_the_presentation_state(
    film_results: Film, file_of: FileOf, on_disk: Callable[[bytes], Path]
) -> None:
    if shutil.which("dcmpschk") is None:
        pytest.skip("dcmpschk (dcmtk) is not installed")
    path = on_disk(file_of(film_results(), "pr"))
    done = subprocess.run(["dcmpschk", path], capture_output=True, text=True, check=False)
    said = done.stdout + done.stderr
    assert "Test passed" in said, said


def test_the_key_objects_are_the_film_and_its_picture(film_results: Film, file_of: FileOf) -> None:
    film = film_results()
    selection = read(file_of(film, "ko"))
    assert selection.ConceptNameCodeSequence[0].CodeValue == "113000"
    chosen = [one for one in selection.ContentSequence if one.ValueType == "IMAGE"]
    picture = read(file_of(film, "sc"))
    assert [one.ReferencedSOPSequence[0].ReferencedSOPInstanceUID for one in chosen] == [
        film.header.sop_instance_uid,
        picture.SOPInstanceUID,
    ]
    alone = read(file_of(replace(film, sheet=None, kinds=("ko",)), "ko"))
    assert len([one for one in alone.ContentSequence if one.ValueType == "IMAGE"]) == 1


def test_the_segmentation_holds_each_map_that_shows_something(
    film_results: Film, file_of: FileOf
) -> None:
    film = film_results(patient_orientation=(), pixel_spacing_mm=None)
    made = read(file_of(film, "seg"))
    assert [one.SegmentLabel for one in made.SegmentSequence] == ["Effusion", "Mass"]
    assert made.SegmentationType == "FRACTIONAL"
    frames = made.pixel_array
    assert frames.shape == (2, 120, 90)
    assert (frames[0, 12:60, 9:45] == 255).all()
    assert frames[0].sum() == 255 * 48 * 36
    whole = groups(read(file_of(film, "sr")))
    assert made.SegmentSequence[1].TrackingUID == items(whole["Mass"], "112040")[0].UID
