"""final_clinical_report.csv: a row an input, for spreadsheets and for `hilum evaluate`."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import chain

from hilum.domain.documents.results import ImageResult, ThresholdSource
from hilum.domain.findings import LabelSet
from hilum.domain.notice import NOT_A_DEVICE
from hilum.domain.radiograph import Sex
from hilum.report.batch import Report
from hilum.report.parts.results import BatchResults
from hilum.report.parts.text import by_hand, shown, summary

__all__ = ["REPORT", "ClinicalCsv", "cell", "columns"]

# What a spreadsheet takes for the start of a formula (OWASP), at the start of a cell or of what
# becomes a cell when the file is read with another delimiter.
_FORMULA = re.compile("(^|[;,\t])([\\s\"']*)([=+@\uff1d\uff0b\uff0d\uff20\t\r\n\0-])")


_DICOM = ("study_instance_uid", "series_instance_uid", "sop_instance_uid", "accession_number")


@dataclass(frozen=True)
class ClinicalCsv(Report):
    """The clinical report as a table, RFC 4180, UTF-8.

    A film that was not scored has blank probabilities, never 0. Film names are altered only where
    they are hostile; `path_json` keeps each input's exact name, for programs.
    """

    filename: str = "final_clinical_report.csv"

    def pieces(self, batch: BatchResults) -> Iterator[str]:
        """Yield the table: a header line, and one line per input."""
        line = io.StringIO()
        writer = csv.writer(line)
        rows = (_row(result, batch.labels) for result in batch.results)
        for row in chain([columns(batch.labels)], rows):
            line.seek(0)
            line.truncate()
            writer.writerow(row)
            yield line.getvalue()


REPORT: Report = ClinicalCsv()


def columns(labels: LabelSet) -> list[str]:
    """Return the header, in its fixed order.

    >>> columns(LabelSet("one", ("Mass",)))
    ['Image_ID', 'status', 'codes', 'view', 'Mass', 'Mass_positive', 'Clinical_Summary',
     'bundle', 'thresholds', 'triage', 'patient', 'age_years', 'sex', 'study_instance_uid',
     'series_instance_uid', 'sop_instance_uid', 'accession_number', 'heatmaps', 'maps',
     'path_json', 'notice']
    """
    return [
        *("Image_ID", "status", "codes", "view"),
        *labels,
        *(f"{finding}_positive" for finding in labels),
        *("Clinical_Summary", "bundle", "thresholds", "triage"),
        *("patient", "age_years", "sex"),
        *_DICOM,
        *("heatmaps", "maps", "path_json", "notice"),
    ]


def cell(text: str) -> str:
    """Text from outside as it may stand in a cell: on one line, and never a formula.

    >>> print(cell("=cmd|'calc'!A0.png"), cell("00000013_004.png"))
    '=cmd|'calc'!A0.png 00000013_004.png
    """
    return shown(_FORMULA.sub(r"\1'\2\3", text))


def _json_cell(text: str) -> str:
    """Return the cell for programs: a JSON string, escaped instead of quoted."""
    return _FORMULA.sub(
        lambda start: f"{start[1]}{start[2]}\\u{ord(start[3]):04x}", json.dumps(text)
    )


def _row(result: ImageResult, labels: LabelSet) -> list[str]:
    findings = result.findings or {}
    # 9 digits keep the order and ties of float32 scores, which AUROC depends on.
    probabilities = [f"{findings[n].probability:.9g}" if findings else "" for n in labels]
    calls = [_call(findings[n].positive) if findings else "" for n in labels]
    return [
        *(cell(result.image_id), result.status.value, ";".join(result.codes), result.view.value),
        *probabilities,
        *calls,
        *(summary(result), cell(result.bundle), _thresholds(result)),
        *("" if result.triage is None else result.triage.way.value, cell(result.patient)),
        "" if result.age_years is None else f"{result.age_years:g}",
        "" if result.sex is Sex.UNKNOWN else result.sex.value,
        *(cell(getattr(result, name)) for name in _DICOM),
        _files(result.heatmaps, labels),
        _files(result.maps, labels),
        _json_cell(result.input),
        NOT_A_DEVICE,
    ]


def _files(pictures: Mapping[str, str], labels: LabelSet) -> str:
    return ";".join(cell(pictures[name]) for name in labels if name in pictures)


def _thresholds(result: ImageResult) -> str:
    """Return the source of the thresholds; blank where nothing was called."""
    if result.findings is None:
        return ""
    given = by_hand(result)
    return ThresholdSource.BUNDLE.value if given is None else f"{given:g} by hand"


def _call(positive: bool | None) -> str:
    return "" if positive is None else str(int(positive))
