"""Modules that all objects share: patient, study, series, equipment, references, and the file."""

from __future__ import annotations

import io
import re
import warnings
from collections.abc import Mapping

from pydicom.charset import convert_encodings, decode_bytes, encode_string
from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.sequence import Sequence
from pydicom.uid import UID, ExplicitVRLittleEndian
from pydicom.valuerep import TEXT_VR_DELIMS

from hilum.domain.radiograph import DicomHeader
from hilum.interchange import FilmResults, object_kind
from hilum.interchange.parts.codes import PROCESSING, item_of
from hilum.interchange.parts.uids import device_uid, object_uid, series_uid
from hilum.interchange.parts.values import valid

__all__ = [
    "IMPLEMENTATION",
    "IMPLEMENTATION_NAME",
    "MANUFACTURER",
    "NOTICE",
    "RESEARCH",
    "add_body_part",
    "add_orientation",
    "describe",
    "evidence",
    "file_bytes",
    "holds",
    "lacking",
    "moment",
    "new_file",
    "reference",
    "source_item",
]

MANUFACTURER = "hilum"
RESEARCH = "research only, not for diagnosis"
"""Stands in the description of every series."""
NOTICE = "hilum is research software, not a medical device. Research only, not for diagnosis."
"""Stands as text in every report, picture and presentation state."""

_UTF8 = "ISO_IR 192"
_NO_MOMENT = ("19000101", "000000")
"""Content Date and Time must have a value; this one says that the film has none."""
IMPLEMENTATION = UID("2.25.253013476189482731950148467512370561193")
"""This software, in the head of each file: a UUID drawn once."""
IMPLEMENTATION_NAME = "HILUM"
_BODY_PARTS = ("CHEST", "CHESTABDOMEN", "CHESTABDPELVIS", "WHOLEBODY")
"""Terms of PS3.16 Annex L for parts with the chest, none of which has a side."""
_COPIED = (
    ("StudyDate", "DA", "study_date"),
    ("StudyTime", "TM", "study_time"),
    ("AccessionNumber", "SH", "accession_number"),
    ("ReferringPhysicianName", "PN", "referring_physician"),
    ("StudyID", "SH", "study_id"),
    ("PatientName", "PN", "patient_name"),
    ("PatientID", "LO", "patient_id"),
    ("PatientBirthDate", "DA", "patient_birth_date"),
)
"""Keyword, representation and field of `DicomHeader`; present in every object, perhaps empty."""


def new_file(syntax: UID = ExplicitVRLittleEndian) -> FileDataset:
    """Return an empty object in a transfer syntax."""
    meta = FileMetaDataset()
    meta.TransferSyntaxUID = syntax
    return FileDataset("", {}, file_meta=meta, preamble=bytes(128))


def describe(dataset: Dataset, film: FilmResults, kind: str, modality: str) -> None:
    """Fill in who the patient is, which study it belongs to, and what made it.

    Whatever another library had put there goes: nothing here depends on the clock, the machine or
    the library.

    Args:
        dataset: an object with its SOP class.
        film: results of the film.
        kind: name of the kind of object.
        modality: of its series.
    """
    header = film.header
    for keyword, vr, field in _COPIED:
        setattr(dataset, keyword, valid(vr, getattr(header, field)))
    dataset.PatientSex = header.patient_sex if header.patient_sex in ("M", "F", "O") else ""
    for keyword, vr, value in (
        ("IssuerOfPatientID", "LO", header.issuer_of_patient_id),
        ("PatientAge", "AS", header.patient_age),
    ):
        if valid(vr, value):
            setattr(dataset, keyword, valid(vr, value))
    dataset.SpecificCharacterSet = _character_set(header)
    dataset.StudyInstanceUID = header.study_instance_uid
    dataset.SeriesInstanceUID = series_uid(film, kind)
    dataset.SOPInstanceUID = object_uid(film, kind)
    dataset.Modality = modality
    dataset.SeriesNumber, dataset.InstanceNumber = object_kind(kind).series, 1
    dataset.SeriesDescription = f"hilum {kind.upper()}, {RESEARCH}"
    dataset.Manufacturer = MANUFACTURER
    dataset.ManufacturerModelName = film.algorithm.name[:64]
    dataset.DeviceSerialNumber = film.algorithm.id
    dataset.SoftwareVersions = film.algorithm.software
    dataset.ContributingEquipmentSequence = Sequence([_equipment(film)])
    for keyword in ("InstanceCreationDate", "InstanceCreationTime", "TimezoneOffsetFromUTC"):
        if keyword in dataset:
            delattr(dataset, keyword)


def lacking(header: DicomHeader) -> str:
    """Return what a film lacks for objects that refer to it; "" where it has all of it.

    >>> lacking(DicomHeader())
    'the header has no valid SOP Class UID'
    """
    for name, value in (
        ("SOP Class UID", header.sop_class_uid),
        ("SOP Instance UID", header.sop_instance_uid),
        ("Series Instance UID", header.series_instance_uid),
        ("Study Instance UID", header.study_instance_uid),
    ):
        if not valid("UI", value):
            return f"the header has no valid {name}"
    return "" if header.rows > 0 and header.columns > 0 else "the header has no size of the picture"


def moment(film: FilmResults) -> tuple[str, str]:
    """Return date and time of an object's content: those of the film.

    The same film gives the same bytes on every day and machine, and lists that are sorted by time
    show a result beside its film. When it was computed is not in the object.
    """
    date = valid("DA", film.header.content_date)
    if not date:
        return _NO_MOMENT
    return date, valid("TM", film.header.content_time) or _NO_MOMENT[1]


def add_body_part(dataset: Dataset, header: DicomHeader) -> None:
    """Say which part of the body the series is of.

    A film that was scored passed the gate as a chest film: where its header names no part, or one
    that is no term of the standard (RIBCAGE), it is the chest. Without a known part, Laterality
    would be required; with one that has no sides, it must not be there, whatever the film says.
    """
    stated = header.body_part.upper()
    dataset.BodyPartExamined = stated if stated in _BODY_PARTS else "CHEST"


def add_orientation(dataset: Dataset, header: DicomHeader) -> None:
    """Say where the rows and columns of a picture run: as in the film; empty where unknown."""
    words = header.patient_orientation
    known = len(words) == 2 and all(re.fullmatch("[APRLHF]{1,3}", word) for word in words)
    dataset.PatientOrientation = list(words) if known else None


def source_item(header: DicomHeader) -> Dataset:
    """Return the reference to the film."""
    return reference(header.sop_class_uid, header.sop_instance_uid)


def reference(sop_class: str, sop_instance: str) -> Dataset:
    """Return the item that refers to an object."""
    item = Dataset()
    item.ReferencedSOPClassUID = sop_class
    item.ReferencedSOPInstanceUID = sop_instance
    return item


def evidence(header: DicomHeader, series: Mapping[str, list[Dataset]]) -> Sequence:
    """Return the objects of the film's study that a document rests on.

    Args:
        header: of the film.
        series: series to the references of its objects.
    """
    study = Dataset()
    study.StudyInstanceUID = header.study_instance_uid
    items: list[Dataset] = []
    for uid, objects in series.items():
        item = Dataset()
        item.SeriesInstanceUID = uid
        item.ReferencedSOPSequence = Sequence(objects)
        items.append(item)
    study.ReferencedSeriesSequence = Sequence(items)
    return Sequence([study])


def file_bytes(dataset: FileDataset) -> bytes:
    """Return the bytes of an object's file."""
    meta = dataset.file_meta
    meta.MediaStorageSOPClassUID = dataset.SOPClassUID
    meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
    meta.ImplementationClassUID = IMPLEMENTATION
    meta.ImplementationVersionName = IMPLEMENTATION_NAME
    dataset.preamble = bytes(128)
    stream = io.BytesIO()
    dataset.save_as(stream, enforce_file_format=True)
    return stream.getvalue()


def _equipment(film: FilmResults) -> Dataset:
    """Return the item of Contributing Equipment, by which hilum knows its own results again."""
    item = Dataset()
    item.PurposeOfReferenceCodeSequence = Sequence([item_of(PROCESSING)])
    item.Manufacturer = MANUFACTURER
    item.ManufacturerModelName = film.algorithm.name[:64]
    item.DeviceSerialNumber = film.algorithm.id
    item.SoftwareVersions = film.algorithm.software
    item.DeviceUID = device_uid(film)
    return item


def _character_set(header: DicomHeader) -> str | list[str]:
    """Return the source's character set where it holds the source's texts, else Unicode."""
    texts = [valid(vr, getattr(header, field)) for _, vr, field in _COPIED]
    texts += [valid("LO", header.issuer_of_patient_id)]
    kept = list(header.character_set)
    if not kept and all(text.isascii() for text in texts):
        return "ISO_IR 100"
    words = [word for text in texts for word in re.split("[=^]", text) if word]
    if kept and holds(kept, words):
        return kept if len(kept) > 1 else kept[0]
    return _UTF8


def holds(character_set: list[str], words: list[str]) -> bool:
    """Return whether a character set is known and can write some words.

    >>> holds(["ISO_IR 100"], ["Müller"]), holds(["ISO_IR 100"], ["山田"])
    (True, False)
    """
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        try:
            encodings = convert_encodings(list(character_set))
            return all(
                decode_bytes(encode_string(word, encodings), encodings, TEXT_VR_DELIMS) == word
                for word in words
            )
        except (UserWarning, ValueError, LookupError):
            return False
