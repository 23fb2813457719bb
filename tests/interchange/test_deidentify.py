"""De-identification: no canary is left, options keep what their column says, references resolve."""

from __future__ import annotations

import hashlib
import importlib
import io
import shutil
import subprocess
import sys
import warnings
from collections.abc import Callable, Collection, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydicom import dcmread
from pydicom.datadict import DicomDictionary, dictionary_VR, keyword_for_tag
from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset, FileDataset
from pydicom.sequence import Sequence
from pydicom.uid import UID_dictionary

from hilum.domain.errors import FilmError, ReasonCode
from hilum.interchange import FilmResults
from hilum.interchange.deidentify import Keep, deidentified
from hilum.interchange.deidentify.pseudonyms import (
    Answers,
    KeyedSecrets,
    Recorder,
    days_of,
    name_of,
    new_uid,
)
from hilum.interchange.deidentify.table import EDITION, action_of, table
from hilum.interchange.parts.modules import file_bytes, new_file

Film = Callable[..., FilmResults]
FileOf = Callable[[FilmResults, str], bytes]

KEY = KeyedSecrets(bytes(range(32)))
CANARY = "CANARY"
TEXTS = ("AE", "LO", "LT", "PN", "SH", "ST", "UC", "UR", "UT")
EVERY = (None, *Keep)


def canary(vr: str, number: int) -> Any:
    """A value that names the canary patient, as far as a representation can; None otherwise."""
    if vr in ("AE", "CS", "SH"):
        return f"{CANARY}{number}"[:16]
    if vr == "UR":
        return f"http://{CANARY}.example/{number}"
    if vr in TEXTS:
        return f"{CANARY}^Jane {number}" if vr == "PN" else f"of {CANARY} {number}"
    if vr in ("OB", "UN"):
        return f"{CANARY} {number}".ljust(20).encode()
    return {"UI": f"1.2.77777.{number}", "DA": "19470513", "TM": "134711", "AS": "097Y"}.get(
        vr, "19470513134711.471147" if vr == "DT" else None
    )


GONE = (b"CANARY", b"1.2.77777.", b"19470513", b"134711", b"097Y", b"471147")
"""What must not be found in a file that the basic profile made."""


def plain_film() -> FileDataset:
    """A small DX film without anything that names anybody."""
    film = new_file()
    film.SOPClassUID = "1.2.840.10008.5.1.4.1.1.1.1"
    film.SOPInstanceUID, film.SeriesInstanceUID, film.StudyInstanceUID = "1.9.3", "1.9.2", "1.9.1"
    film.Modality, film.BodyPartExamined, film.ViewPosition = "DX", "CHEST", "PA"
    film.SpecificCharacterSet = "ISO_IR 100"
    film.Rows, film.Columns, film.SamplesPerPixel = 4, 6, 1
    film.BitsAllocated, film.BitsStored, film.HighBit, film.PixelRepresentation = 16, 12, 11, 0
    film.PhotometricInterpretation = "MONOCHROME2"
    film.PixelData = np.arange(24, dtype="<u2").tobytes()
    return film


def read(data: bytes) -> FileDataset:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return dcmread(io.BytesIO(data))


def made(film: Dataset, *kept: Keep) -> bytes:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return deidentified(read(file_bytes(film)), kept, KEY)


def attributes() -> Iterator[tuple[int, str]]:
    """Tag and representation of what the table and pydicom know, repeating groups aside."""
    for tag in table():
        if tag in DicomDictionary and tag >> 16 not in (0, 2, 4):
            yield tag, dictionary_VR(tag).split(" or ")[0]


def filled(start: int = 0) -> Dataset:
    """A data set with the canary in every attribute of the table that can hold it."""
    item = Dataset()
    for number, (tag, vr) in enumerate(attributes(), start):
        value = canary(vr, number)
        if value is not None and tag not in (0x00080018, 0x0020000D, 0x0020000E):
            item.add(DataElement(tag, vr, value))
    private = item.private_block(0x0019, f"{CANARY} MEDICAL", create=True)
    private.add_new(0x10, "LO", f"{CANARY} private")
    for group in (0x5000, 0x6000, 0x6002):
        item.add_new(group << 16 | 0x4000, "LT", f"{CANARY} overlay")
        item.add_new(group << 16 | 0x3000, "OB", f"{CANARY} overlay..".encode())
    item.add_new(0xFFFCFFFC, "OB", f"{CANARY} padding ".encode())
    return item


DEEP = ("ViewCodeSequence", "ReferencedSeriesSequence", "ContributingEquipmentSequence")


@pytest.fixture(scope="module")
def canaries() -> FileDataset:
    """A film with the canary in every attribute of the table, at the top and three levels deep."""
    film = plain_film()
    deepest = filled(3000)
    for level, keyword in enumerate(DEEP):
        item = filled(1000 * level) if level else deepest
        above = Dataset()
        setattr(above, keyword, Sequence([item]))
        for element in filled(500):
            if element.tag not in above:
                above.add(element)
        deepest = above
    for element in deepest:
        film.add(element)
    film.add_new(0xFFFAFFFA, "SQ", [filled()])
    film.IconImageSequence = Sequence([filled()])
    film.preamble = CANARY.encode().ljust(128)
    film.file_meta.SourceApplicationEntityTitle = CANARY
    film.file_meta.PrivateInformationCreatorUID = "1.2.77777.1"
    film.file_meta.PrivateInformation = CANARY.encode()
    return film


# the table


def test_the_table_is_that_of_the_standard() -> None:
    script = importlib.import_module("scripts.confidentiality_table")
    text = (script.ROOT / "table.tsv").read_text("utf-8")
    rows = script.rows_of_table(text)
    assert (len(rows), script.canonical(rows)) == (657, script.SHA256[EDITION])
    assert script.table_text(rows, EDITION) == text


def test_the_script_makes_the_tables_from_their_sources(tmp_path: Path) -> None:
    script = importlib.import_module("scripts.confidentiality_table")
    rows = script.rows_of_table((script.ROOT / "table.tsv").read_text("utf-8"))
    options = script.OPTIONS.values()
    cells = [
        [
            *(row["name"], row["tag"]),
            *("NY"[row[key]] for key in ("retired", "in_standard_iod")),
            *(row["basic_profile"], *(row["options"].get(one, "") for one in options)),
        ]
        for row in rows
    ]
    body = "".join(
        f"<tr>{''.join(f'<td><para>{cell}</para></td>' for cell in row)}</tr>" for row in cells
    )
    source = tmp_path / "part15.xml"
    source.write_text(
        '<book xmlns="http://docbook.org/ns/docbook"><table xml:id="table_E.1-1"><tbody>'
        f"{body}</tbody></table></book>",
        "utf-8",
    )
    words = ["--part15", str(source), "--out", str(tmp_path)]
    script.main(words)
    assert (tmp_path / "table.tsv").read_bytes() == (script.ROOT / "table.tsv").read_bytes()
    source.write_text(source.read_text("utf-8").replace("Patient ID<", "Patient Id<"), "utf-8")
    with pytest.raises(SystemExit, match="must have the SHA-256"):
        script.main(words)


def test_the_types_are_those_of_highdicom(tmp_path: Path) -> None:
    highdicom = pytest.importorskip("highdicom")
    script = importlib.import_module("scripts.confidentiality_table")
    folder = Path(highdicom.__file__).parent / "_standard"
    script.main(["--types", str(folder), "--out", str(tmp_path)])
    assert (tmp_path / "types.tsv").read_bytes() == (script.ROOT / "types.tsv").read_bytes()


def test_the_table_agrees_with_dicom_anonymizer() -> None:
    """An oracle that carries the actions of 2026c: 2026d has one attribute more."""
    oracle = pytest.importorskip(
        "dicomanonymizer.dicom_anonymization_databases.dicomfields_2026c",
        reason="dicom-anonymizer is not installed",
    )
    named = {
        "D": "D_TAGS",
        "Z": "Z_TAGS",
        "X": "X_TAGS",
        "U": "U_TAGS",
        "Z/D": "Z_D_TAGS",
        "X/Z": "X_Z_TAGS",
        "X/D": "X_D_TAGS",
        "X/Z/D": "X_Z_D_TAGS",
        "X/Z/U*": "X_Z_U_STAR_TAGS",
    }
    theirs = {
        tag[0] << 16 | tag[1]: action
        for action, name in named.items()
        for tag in getattr(oracle, name)
        if len(tag) == 2
    }
    ours = {tag: row.basic for tag, row in table().items()}
    assert {tag: ours[tag] for tag in theirs} == theirs
    assert set(ours) - set(theirs) == {0x3004007F}  # Dose Calculation Model Name, new in 2026d


# canaries


def test_no_canary_is_left_by_the_basic_profile(canaries: FileDataset) -> None:
    source = file_bytes(canaries)
    assert source.count(b"CANARY") > 1300
    data = made(canaries)
    assert [word for word in GONE if word in data] == []
    assert data[:128] == bytes(128)
    film = read(data)
    assert film.PixelData == canaries.PixelData
    assert film.PatientIdentityRemoved == "YES"
    assert film.DeidentificationMethod[1] == f"DICOM PS3.15 {EDITION} Table E.1-1"
    codes = [one.CodeValue for one in film.DeidentificationMethodCodeSequence]
    assert codes == ["113100"]
    assert film.LongitudinalTemporalInformationModified == "REMOVED"
    assert str(film.file_meta.get("SourceApplicationEntityTitle", "")) == ""


def test_text_in_no_list_goes_too() -> None:
    """The table lists what must go; a canary in any other text is not there either."""
    film = plain_film()
    for tag, entry in DicomDictionary.items():
        vr = entry[0].split(" or ")[0]
        if vr in TEXTS and tag not in table() and tag >> 16 not in (0, 2, 4):
            film.add(DataElement(tag, vr, canary(vr, 7)))
    film.ViewCodeSequence = Sequence([code("R-10206", "SRT", CANARY), code("X-1", CANARY, CANARY)])
    assert file_bytes(film).count(b"CANARY") > 450
    assert b"CANARY" not in made(film)
    (view,) = read(made(film)).ViewCodeSequence
    assert (view.CodeValue, view.CodeMeaning) == ("R-10206", "antero-posterior")


def test_a_maker_stays_unless_it_is_the_patients_name() -> None:
    film = plain_film()
    film.Manufacturer, film.ManufacturerModelName = "Canary Medical", "Mark 7"
    found = read(made(film))
    assert (found.Manufacturer, found.ManufacturerModelName) == ("Canary Medical", "Mark 7")
    film.PatientName = "Doe^Canary"
    found = read(made(film))
    assert (found.Manufacturer, found.ManufacturerModelName) == ("", "Mark 7")


def code(value: str, scheme: str, meaning: str) -> Dataset:
    item = Dataset()
    item.CodeValue, item.CodingSchemeDesignator, item.CodeMeaning = value, scheme, meaning
    return item


@pytest.mark.parametrize(
    ("character_set", "name"),
    [
        (["ISO_IR 100"], "Müller^Jürgen"),
        (["ISO_IR 127"], "قباني^لنزار"),
        (["", "ISO 2022 IR 87"], "Yamada^Tarou=山田^太郎=やまだ^たろう"),
        (["ISO_IR 192"], "Wang^XiaoDong=王^小東"),
        (["NONSENSE"], "Canary^Jane"),
    ],
    ids=["latin", "arabic", "japanese", "unicode", "unknown"],
)
def test_names_go_in_every_character_set(character_set: list[str], name: str) -> None:
    film = plain_film()
    film.SpecificCharacterSet = character_set
    film.PatientName = name
    film.OtherPatientNames = [name, "Zweiter^Name"]
    film.InstitutionName = name.replace("^", " ").split("=")[-1]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        source = read(file_bytes(film))
        raw = source["PatientName"].value.original_string or name.encode()
        data = deidentified(source, (Keep.INSTITUTION,), KEY)
    assert raw[:6] not in data
    found = read(data)
    assert found.PatientName == ""
    assert "InstitutionName" not in found  # it named the patient
    film.InstitutionName = "Clinic " + {"Müller^Jürgen": "Österreich"}.get(name, "A")
    kept = read(made(film, Keep.INSTITUTION))
    assert kept.InstitutionName == film.InstitutionName


VALUE = {
    **dict.fromkeys(("AE", "CS", "LO", "LT", "PN", "SH", "ST", "UC", "UR", "UT"), "KEPT"),
    **{"UI": "1.2.3.4", "DA": "20200229", "TM": "101112", "DT": "20200229101112", "AS": "044Y"},
    **{"DS": "1.5", "IS": "7", "US": 3, "FD": 1.5},
}


@pytest.mark.parametrize("keep", Keep)
def test_an_option_keeps_exactly_what_its_column_says(keep: Keep) -> None:
    """Attribute by attribute, with nothing else in the film."""
    wrong: list[str] = []
    for tag, vr in attributes():
        if vr not in VALUE or tag in (0x00080018, 0x0020000D, 0x0020000E, 0x00100020, 0x00080050):
            continue
        film = Dataset()
        film.SOPClassUID = "1.2.840.10008.5.1.4.1.1.1"
        film.add(DataElement(tag, vr, VALUE[vr]))
        plain, kept = shown(film, tag, ()), shown(film, tag, (keep,))
        column = table()[tag].options.get(keep, "")
        action = action_of(tag, (keep,))
        if column == "K" and kept != str(VALUE[vr]):
            wrong.append(f"{keyword_for_tag(tag)}: {kept!r}, not kept")
        elif column == "C" and action == "S" and kept in (str(VALUE[vr]), "") and vr != "TM":
            wrong.append(f"{keyword_for_tag(tag)}: {kept!r}, not shifted")
        elif not column and kept != plain:
            wrong.append(f"{keyword_for_tag(tag)}: {kept!r}, and {plain!r} without the option")
        if plain == str(VALUE[vr]) != "0":
            wrong.append(f"{keyword_for_tag(tag)}: kept by the basic profile")
    # a retired date is not shifted, and OB and times on their own are not dates
    assert [one for one in wrong if "not shifted" not in one or not retired(one)] == []


def retired(line: str) -> bool:
    from pydicom.datadict import dictionary_is_retired, tag_for_keyword

    tag = tag_for_keyword(line.partition(":")[0])
    return tag is not None and (dictionary_is_retired(tag) or dictionary_VR(tag) in ("OB", "SH"))


def shown(film: Dataset, tag: int, kept: Collection[Keep]) -> str:
    from hilum.interchange.deidentify.engine import Engine

    result = Engine(film, "CR", kept, KEY).made()
    return str(result[tag].value) if tag in result else ""


def test_codes_say_what_was_kept() -> None:
    film = read(made(plain_film(), Keep.DATES_SHIFTED, Keep.DEVICE, Keep.UIDS))
    codes = [one.CodeValue for one in film.DeidentificationMethodCodeSequence]
    assert codes == ["113100", "113107", "113109", "113110"]
    assert film.LongitudinalTemporalInformationModified == "MODIFIED"
    assert film.SOPInstanceUID == "1.9.3"


# hashes


def test_dates_of_a_patient_move_by_the_same_days_and_ages_stop_at_90() -> None:
    film = plain_film()
    film.PatientID, film.StudyDate, film.PatientBirthDate = "P1", "20200301", "19290101"
    film.AcquisitionDateTime, film.PatientAge = "20200303235959.5+0100", "097Y"
    film.TimezoneOffsetFromUTC, film.DateOfLastCalibration = "+0100", "20200101"
    found = read(made(film, Keep.DATES_SHIFTED, Keep.CHARACTERISTICS))
    days = days_of(KEY, "P1")
    assert days == days_of(KeyedSecrets(KEY.key), "P1") != days_of(KEY, "P2")
    moved = np.datetime64("2020-03-01") + days
    assert found.StudyDate == str(moved).replace("-", "")
    assert found.AcquisitionDateTime == f"{str(moved + 2).replace('-', '')}235959.5"
    assert (found.PatientAge, found.PatientBirthDate) == ("090Y", "")
    assert "TimezoneOffsetFromUTC" not in found
    assert "DateOfLastCalibration" not in found  # whoever knows it would learn the days


def test_ids_are_the_pseudonyms_of_predict_and_another_key_gives_others() -> None:
    from hilum.batch.patients import Patients, Phi

    film = plain_film()
    film.PatientID, film.AccessionNumber = " P1 ", "A-7"
    first, again = made(film), made(film)
    assert first == again
    found = read(first)
    assert found.PatientID == Patients(Phi.PSEUDONYM, KEY.key).shown("P1") == name_of(KEY, "P1")
    assert found.AccessionNumber == name_of(KEY, "A-7")
    other = read(deidentified(read(file_bytes(film)), (), KeyedSecrets(bytes(32))))
    for keyword in ("PatientID", "AccessionNumber", "SOPInstanceUID", "StudyInstanceUID"):
        assert other[keyword].value != found[keyword].value


def test_the_reader_needs_no_key() -> None:
    film = plain_film()
    film.PatientID = "P1"
    source = read(file_bytes(film))
    words = Recorder()
    deidentified(source, (Keep.DATES_SHIFTED,), words)
    known = {word: KEY.digest(*word) for word in words.words}
    data = deidentified(source, (Keep.DATES_SHIFTED,), Answers(known))
    assert data == deidentified(source, (Keep.DATES_SHIFTED,), KEY)
    with pytest.raises(KeyError):
        deidentified(source, (), Answers({}))


SAME = """
import sys
from hilum.interchange.deidentify import deidentified
from hilum.interchange.deidentify.pseudonyms import KeyedSecrets
from pydicom import dcmread
import hashlib
source = dcmread(sys.argv[1])
print(hashlib.sha256(deidentified(source, (), KeyedSecrets(bytes(range(32))))).hexdigest())
"""


def test_another_process_makes_the_same_bytes(tmp_path: Path, canaries: FileDataset) -> None:
    path = tmp_path / "film.dcm"
    path.write_bytes(file_bytes(canaries))
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", SAME, path],
        capture_output=True,
        text=True,
        check=True,
        env={"PYTHONHASHSEED": "77", "PATH": ""},
    )
    assert done.stdout.strip() == hashlib.sha256(made(canaries)).hexdigest()


# objects of one study


def test_references_resolve_among_five_objects_of_a_study(
    film_results: Film, file_of: FileOf, tmp_path: Path
) -> None:
    results = film_results()
    film = plain_film()
    film.SOPClassUID = results.header.sop_class_uid
    film.SOPInstanceUID = results.header.sop_instance_uid
    film.SeriesInstanceUID = results.header.series_instance_uid
    film.StudyInstanceUID = results.header.study_instance_uid
    film.PatientID = results.header.patient_id
    objects = {"film": file_bytes(film)}
    objects |= {kind: file_of(results, kind) for kind in ("sr", "region", "pr", "ko", "sc")}
    exported = {kind: read(deidentified(read(data), (), KEY)) for kind, data in objects.items()}
    assert len({one.StudyInstanceUID for one in exported.values()}) == 1
    assert {one.PatientID for one in exported.values()} == {name_of(KEY, "PID-0815")}
    there = {str(one.SOPInstanceUID) for one in exported.values()}
    series = {str(one.SeriesInstanceUID) for one in exported.values()}
    for kind, one in exported.items():
        referred = list(uids(one, "ReferencedSOPInstanceUID"))
        assert set(referred) <= there, kind
        assert bool(referred) == (kind in ("sr", "region", "pr", "ko"))
        assert set(uids(one, "SeriesInstanceUID")) <= series
    old = {uid for data in objects.values() for uid in every_uid(read(data))}
    new = {uid for one in exported.values() for uid in every_uid(one)}
    assert old & new <= set(UID_dictionary)
    for kind, data in objects.items():
        for word in (b"Muster", b"Erika", b"PID-0815", b"ACC-77", b"20200304"):
            assert word not in file_bytes(exported[kind]), (kind, word)
        assert b"PID-0815" in data


def uids(source: Dataset, keyword: str) -> Iterator[str]:
    for element in source.iterall():
        if element.keyword == keyword:
            yield str(element.value)


def every_uid(source: Dataset) -> Iterator[str]:
    for element in source.iterall():
        if element.VR == "UI" and element.value:
            yield str(element.value)


@pytest.mark.parametrize("kind", ["film", "sr", "region", "pr", "ko", "sc"])
def test_validators_find_no_new_error(
    kind: str, film_results: Film, file_of: FileOf, dciodvfy: Callable[[bytes], list[str]]
) -> None:
    data = file_bytes(plain_film()) if kind == "film" else file_of(film_results(), kind)
    before, after = dciodvfy(data), dciodvfy(deidentified(read(data), (), KEY))
    new = {line for line in after if line.startswith("Error")} - set(before)
    assert new == set()


def test_dcmtk_reads_what_was_made(tmp_path: Path, canaries: FileDataset) -> None:
    if shutil.which("dcmdump") is None:
        pytest.skip("dcmdump (dcmtk) is not installed")
    path = tmp_path / "film.dcm"
    path.write_bytes(made(canaries))
    done = subprocess.run(["dcmdump", "+L", path], capture_output=True, text=True, check=True)
    assert "CANARY" not in done.stdout
    assert done.stderr == ""


# what may not leave


def test_other_objects_are_refused() -> None:
    film = plain_film()
    film.SOPClassUID = "1.2.840.10008.5.1.4.1.1.2"
    with pytest.raises(FilmError, match=r"of class 'CT Image Storage'") as refused:
        made(film)
    assert refused.value.code is ReasonCode.MODALITY_NOT_SUPPORTED


def test_a_name_inside_the_picture_stops_the_export() -> None:
    film = plain_film()
    film.PatientName = "Canary^Patient"
    film.PixelData = b"Canary^Patient".ljust(48, b"\0")
    with pytest.raises(FilmError) as refused:
        made(film)
    assert refused.value.code is ReasonCode.IDENTIFIER_LEFT
    assert "Canary" not in refused.value.message


LEAVES = st.one_of(
    st.tuples(st.sampled_from([tag for tag, vr in attributes() if vr in (*TEXTS, "UI", "DA")])),
    st.tuples(
        st.sampled_from(
            [
                tag
                for tag, entry in DicomDictionary.items()
                if entry[0] in ("LO", "SH", "LT", "ST", "UT", "PN") and tag >> 16 not in (0, 2, 4)
            ]
        )
    ),
)
TREES = st.recursive(
    LEAVES.map(lambda leaf: leaf[0]),
    lambda below: st.tuples(
        st.sampled_from(["ContentSequence", "ReferencedSeriesSequence", "ConceptCodeSequence"]),
        st.lists(below, min_size=1, max_size=3),
    ),
    max_leaves=12,
)


def planted(tree: Any, into: Dataset, number: int) -> None:
    if isinstance(tree, int):
        vr = dictionary_VR(tree)
        into.add(DataElement(tree, vr, canary(vr, number)))
        return
    keyword, below = tree
    item = Dataset()
    for at, one in enumerate(below):
        planted(one, item, number * 4 + at + 1)
    setattr(into, keyword, Sequence([*into.get(keyword, []), item]))


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(trees=st.lists(TREES, max_size=4), kept=st.sampled_from([(), (Keep.INSTITUTION,)]))
def test_no_canary_is_left_in_any_tree(trees: list[Any], kept: tuple[Keep, ...]) -> None:
    film = plain_film()
    for number, tree in enumerate(trees):
        planted(tree, film, number)
    film.SOPInstanceUID, film.PatientName = "1.9.3", f"{CANARY}^Patient"
    for keyword in ("SpecificCharacterSet", "SOPClassUID", "StudyInstanceUID"):
        film[keyword] = plain_film()[keyword]
    data = made(film, *kept)
    assert [word for word in GONE if word in data] == []


def test_new_uids_are_valid() -> None:
    uid = new_uid(KEY, "1.2.3")
    assert uid.startswith("2.25.")
    assert len(uid) <= 64
