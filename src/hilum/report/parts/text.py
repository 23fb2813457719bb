"""Text of the reports: names from outside made harmless, numbers, and a sentence for each code."""

from __future__ import annotations

import textwrap
import unicodedata
from collections.abc import Mapping, Sequence

from hilum.domain.documents.evaluation import Evaluation
from hilum.domain.documents.results import ImageResult, ThresholdSource
from hilum.domain.documents.rule_out import TriageWay
from hilum.domain.errors import ReasonCode, Status, counted
from hilum.domain.findings import display_name

__all__ = [
    "BY_HAND",
    "EVIDENCE",
    "NONE_POSITIVE",
    "REASONS",
    "STATUSES",
    "by_hand",
    "columned",
    "evaluation_headline",
    "evaluation_line",
    "percent",
    "percent2",
    "shown",
    "summary",
    "triage_words",
    "wrapped",
]

# Invisible characters that turn text around or join it (Unicode category Cf); the joiners that
# ordinary scripts need, U+200C and U+200D, are left alone.
_BIDI = frozenset("\u061c\u200b\u200e\u200f\u2060\ufeff") | {
    chr(code) for code in (*range(0x202A, 0x202F), *range(0x2066, 0x206A))
}
_SHORT = {"\n": "\\n", "\r": "\\r", "\t": "\\t"}


def shown(text: str) -> str:
    r"""Return the text on one line, with whatever cannot be seen written out.

    Line ends and control characters, text-direction controls (which can make `gpj.exe` read
    `exe.jpg`) and line separators become escapes; bytes of a file name that were not UTF-8 (kept
    by Python as surrogates) become `\xff`. Everything else stays, in its own normal form, so an
    ordinary name comes back unchanged and can be matched again.

    >>> shown("00000013_004.png"), shown("胸部.png")
    ('00000013_004.png', '胸部.png')
    >>> print(shown("a\n\u202eb\udcff.png"))
    a\n\u202eb\xff.png
    """
    if text.isascii() and text.isprintable():
        return text
    return "".join(_escaped(character) for character in text)


def _escaped(character: str) -> str:
    if character in _SHORT:
        return _SHORT[character]
    code = ord(character)
    if 0xDC80 <= code <= 0xDCFF:  # one undecodable byte, as `os.fsdecode` keeps it
        return f"\\x{code - 0xDC00:02x}"
    if character in _BIDI or unicodedata.category(character) in ("Cc", "Cs", "Zl", "Zp"):
        return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}"
    return character


EVIDENCE = "Supporting evidence, not the location of disease."
"""Stands by every heatmap. All saliency methods locate disease worse than a radiologist does."""

NONE_POSITIVE = "No finding above its threshold"
"""Line for a film without a positive finding. Not "no abnormalities detected": a bundle
looks for its own findings only, and being under a threshold is not being absent."""

BY_HAND = (
    "given by hand for every finding, not chosen on any films: how often it misses and how often "
    "it calls falsely is not known"
)
"""Stands after a threshold that is none of the bundle's."""

STATUSES: dict[Status, str] = {
    Status.OK: "Scored.",
    Status.WARN: "Scored; read the reason next to the score.",
    Status.REJECT: "Read, but outside what the bundle is meant for; not scored.",
    Status.ERROR: "Could not be read; not scored.",
    Status.SKIP: "Not an image; not scored.",
}

REASONS: dict[ReasonCode, str] = {
    ReasonCode.EMPTY_FILE: "The file has no bytes.",
    ReasonCode.FILE_NOT_FOUND: "There is no such file.",
    ReasonCode.PERMISSION_DENIED: "The file may not be read.",
    ReasonCode.NOT_AN_IMAGE: "The file's content is not an image.",
    ReasonCode.DECODE_TRUNCATED: "The file ends too early; part of the image is missing.",
    ReasonCode.DECODE_CORRUPT: "The image data are damaged.",
    ReasonCode.PIXEL_LENGTH_MISMATCH: "The pixel data are not as long as the header says.",
    ReasonCode.PALETTE_MISSING: "The pixels point into a palette that the file does not have.",
    ReasonCode.CHANGED_WHILE_READING: "The file changed while it was read.",
    ReasonCode.FORMAT_NOT_ALLOWED: "This file format is not accepted.",
    ReasonCode.TRANSFER_SYNTAX_NOT_SUPPORTED: "The DICOM compression is not supported.",
    ReasonCode.MODALITY_NOT_SUPPORTED: "The object is not a radiograph.",
    ReasonCode.FOR_PROCESSING: "The film is raw detector data, not meant for viewing.",
    ReasonCode.NO_PIXEL_DATA: "The object holds no image.",
    ReasonCode.MULTI_FRAME: "The file holds more than one image.",
    ReasonCode.BITS_INVALID: "The header's bit depths contradict each other.",
    ReasonCode.RESCALE_INVALID: "The header's rescale values cannot be used.",
    ReasonCode.DIMENSIONS_EXCEED_LIMIT: "The image is larger than the limit.",
    ReasonCode.DECODE_LIMIT: "The file unpacks to more than the limit.",
    ReasonCode.TOO_SMALL: "The image is too small to be read as a film.",
    ReasonCode.CONSTANT_IMAGE: "Every pixel has the same value.",
    ReasonCode.LOW_DYNAMIC_RANGE: "The image has too few gray levels.",
    ReasonCode.NONFINITE_PIXELS: "Some pixels are not numbers.",
    ReasonCode.VIEW_NOT_FRONTAL: "The film is not a frontal view.",
    ReasonCode.AGE_OUT_OF_SCOPE: "The patient's age is outside what the bundle is meant for.",
    ReasonCode.EXT_MISMATCH: "The file's content is not what its name ending says.",
    ReasonCode.RANGE_INFERRED: "The range of gray values was inferred from the pixels.",
    ReasonCode.RANGE_UNUSED: "Hardly a pixel passes half of the gray scale; white may be wrong.",
    ReasonCode.BITS_MISMATCH: "The header and the compressed picture state different depths.",
    ReasonCode.COLOR_CONVERTED: "The file was in color and was converted to gray.",
    ReasonCode.COLOR_ANNOTATION: "The film has colored marks on it.",
    ReasonCode.EXIF_ORIENTATION_APPLIED: "The image was turned as its header asks.",
    ReasonCode.WINDOW_INVALID: "The header's window could not be used.",
    ReasonCode.VOI_LUT_INVALID: "The header's gray-scale table could not be used.",
    ReasonCode.RESCALE_APPLIED: "A rescale of the header was applied that inverts the film.",
    ReasonCode.DICOM_NO_PREAMBLE: "The DICOM file lacks its preamble.",
    ReasonCode.PREAMBLE_FOREIGN: "The DICOM file starts like a different kind of file.",
    ReasonCode.HEADER_INCOMPLETE: "The header lacks a required element; its usual value was used.",
    ReasonCode.TRANSFER_SYNTAX_MISMATCH: "The header names a compression; the pixels have none.",
    ReasonCode.TRAILING_BYTES: "More bytes follow the end of the picture; they were not read.",
    ReasonCode.ALPHA_IGNORED: "Parts of the picture are transparent; all of it was scored.",
    ReasonCode.SECONDARY_CAPTURE: "The image is a secondary capture, not the original film.",
    ReasonCode.BURNED_IN_TEXT: "The image carries burned-in text.",
    ReasonCode.HEATMAP_FAILED: "Drawing a heatmap failed; the scores stand.",
    ReasonCode.EMPTY_HEATMAP: "For a positive finding, no region raised the score.",
    ReasonCode.NOT_AN_IMAGE_OBJECT: "The object is a document or directory, not an image.",
    ReasonCode.NOT_REGULAR_FILE: "The input is not a regular file.",
    ReasonCode.READ_FAILED: "The file could not be read from its disk or share.",
    ReasonCode.IDENTIFIER_LEFT: "A name or number of the patient was left in the bytes.",
    ReasonCode.DECODER_CRASHED: "The file stopped the program that decodes it.",
    ReasonCode.TIMEOUT: "Decoding the file took longer than the limit.",
    ReasonCode.DUPLICATE_SOP_CONFLICT: "Two different files have this DICOM identifier.",
    ReasonCode.SYMLINK_OUTSIDE_ROOT: "The link leads out of the folder that was searched.",
    ReasonCode.NAME_NOT_UTF8: "The file's name is not UTF-8; it is shown with escapes.",
    ReasonCode.DICOM_TOO_DEEP: "The DICOM sequences are nested deeper than any real film's.",
    ReasonCode.RANGE_AMBIGUOUS: "The range of gray values cannot be known.",
    ReasonCode.BODY_PART_NOT_CHEST: "The header names another part of the body.",
    ReasonCode.INVERTED_SUSPECTED: "Black and white look exchanged.",
    ReasonCode.ORIENTATION_SUSPECTED: "The film looks turned or upside down.",
    ReasonCode.COLLAGE_SUSPECTED: "The image looks put together from several.",
    ReasonCode.OOD: "The image does not look like a frontal chest film.",
    ReasonCode.ASPECT_APPLIED: "Its pixels are not square; the film was stretched accordingly.",
    ReasonCode.ASPECT_INVALID: "The header's pixel aspect could not be used.",
    ReasonCode.VIEW_UNKNOWN: "The header does not say which view this is.",
    ReasonCode.VIEW_CONTRADICTED: "The header's view and patient orientation contradict.",
    ReasonCode.AGE_UNKNOWN: "The header does not say how old the patient is.",
    ReasonCode.ONE_SIDE_STATED: "The header names one side of the body only.",
    ReasonCode.MIRRORED_SUSPECTED: "The film looks mirrored; it was scored as it is.",
    ReasonCode.LUNG_FIELD_INCOMPLETE: "A part of the lungs seems to be missing.",
    ReasonCode.CLIPPED_HISTOGRAM: "The darkest or brightest parts are cut off.",
    ReasonCode.OOD_SCORE_HIGH: "The image is unlike the films that the gate knows.",
    ReasonCode.SOP_UID_MISSING: "The DICOM object has no identifier.",
    ReasonCode.SOP_UID_MISMATCH: "The DICOM object has two identifiers that differ.",
    ReasonCode.BURNED_IN_ANNOTATION: "The header says that text is burned into the image.",
    ReasonCode.DICOMDIR: "The file is a directory of DICOM files, not a film.",
    ReasonCode.SYMLINK_LOOP: "The link leads back to itself, or to where films are listed anyway.",
}


def wrapped(text: str, width: int) -> list[str]:
    """Return a sentence as lines of at most `width` characters, the later ones indented.

    >>> wrapped("- a sentence that is long", 14)
    ['- a sentence', '  that is long']
    """
    return textwrap.wrap(shown(text), width, subsequent_indent="  ") or [""]


def columned(rows: Sequence[Sequence[str]], width: int) -> list[str]:
    """Return rows as aligned columns for a terminal: the first left, the others right.

    Columns at the right are left out where all do not fit into `width` characters.

    >>> columned([("Finding", "Films"), ("Effusion", "12")], 80)
    ['Finding   Films', 'Effusion     12']
    """
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    while len(widths) > 1 and sum(widths) + 2 * (len(widths) - 1) > width:
        widths.pop()
    lines: list[str] = []
    for row in rows:
        cells = [f"{row[0]:<{widths[0]}}"]
        cells += [f"{row[column]:>{widths[column]}}" for column in range(1, len(widths))]
        lines.append("  ".join(cells).rstrip()[:width])
    return lines


def percent(share: float) -> str:
    """Return a probability as a reader sees it: one decimal; more under a tenth of a percent.

    A probability is never rounded to 0 or 1, which would be certainty.

    >>> percent(0.6958), percent(0.00042), percent(0.00001), percent(0.9999), percent(0.0)
    ('69.6%', '0.04%', '<0.01%', '>99.9%', '0%')
    """
    if share in (0.0, 1.0):
        return f"{share:.0%}"
    if share < 0.0001:
        return "<0.01%"
    if share < 0.001:
        return f"{share:.2%}"
    return ">99.9%" if share >= 0.9995 else f"{share:.1%}"


def percent2(share: float) -> str:
    """Return the same with two decimals, as tables and consoles have it.

    >>> percent2(0.6958), percent2(0.00004), percent2(0.99999), percent2(1.0)
    ('69.58%', '<0.01%', '>99.99%', '100.00%')
    """
    if 0.0 < share < 0.00005:
        return "<0.01%"
    return ">99.99%" if 0.99995 <= share < 1.0 else f"{share:.2%}"


def by_hand(result: ImageResult) -> float | None:
    """Return the threshold that was given by hand; None where the bundle's are used."""
    if not result.findings or result.threshold_source is not ThresholdSource.HAND:
        return None
    return next(iter(result.findings.values())).threshold


def summary(result: ImageResult) -> str:
    """Return one line on one film: its positive findings, or why there is none to name.

    Where some findings have no threshold, the line says so: nothing was called on them.
    """
    if result.findings is None:
        codes = " ".join(result.codes) or result.status.value.upper()
        return f"Not scored: {codes}"
    uncalled = sum(finding.positive is None for finding in result.findings.values())
    if uncalled == len(result.findings):
        return "No thresholds: nothing called"
    positives = "; ".join(
        f"{display_name(n)} ({percent(result.findings[n].probability)})" for n in result.positives
    )
    return (positives or NONE_POSITIVE) + (f"; {uncalled} without a threshold" if uncalled else "")


def triage_words(result: ImageResult) -> str:
    """Return which way the bundle's rule sends a film and what it bounds; empty without a rule."""
    triage = result.triage
    if triage is None:
        return ""
    bounded = f" Bounded: {triage.guarantee}." if triage.guarantee else ""
    return f"{_WAYS[triage.way]}: {triage.reason}.{bounded}"


_WAYS: Mapping[TriageWay, str] = {
    TriageWay.RULE_OUT: "Ruled out by the bundle's rule",
    TriageWay.FLAG: "Flagged by the bundle's rule",
    TriageWay.REFER: "Referred to a reader",
}


def evaluation_headline(evaluation: Evaluation | None) -> str:
    """Return a sentence with the bundle's own numbers, interval, split and n, or on their lack."""
    if evaluation is None:
        return "Never evaluated: nothing is known of how often this bundle is right."
    split, macro = evaluation.split, evaluation.macro
    return (
        f"Macro AUROC {macro.auroc.in_words()} over {macro.findings_counted} of "
        f"{counted(macro.findings_total, 'finding')}, on split '{split.name}' ("
        f"{counted(split.images, 'film')} of {counted(split.patients, 'patient')}, "
        f"{split.sha256[:12]}){_look(evaluation)}. {evaluation.interval.rstrip('.')}."
    )


def evaluation_line(evaluation: Evaluation | None) -> str:
    """Return the same in a few words: the macro AUROC with its interval, split and n."""
    if evaluation is None:
        return "never evaluated"
    split = evaluation.split
    auroc = evaluation.macro.auroc.in_words()
    return f"macro AUROC {auroc} on {split.name}, n = {split.images:,}"


def _look(evaluation: Evaluation) -> str:
    """Return the count of evaluations on these films: the best of many is optimistic."""
    return "" if evaluation.look is None else f", look number {evaluation.look} at these films"
