"""Films that leave the hospital."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from hilum.api.lab import Advance, Remark
    from hilum.batch.export_rows import ExportRow

__all__ = ["deidentify"]


def deidentify(
    inputs: Sequence[Path | str] | Path | str,
    out: Path | str,
    *,
    key: Path | str | None = None,
    keep: Sequence[str] = (),
    clean_pixels: bool = False,
    mapping: Path | str | None = None,
    follow_links: bool = False,
    timeout_s: int = 30,
    advance: Advance | None = None,
    remark: Remark | None = None,
) -> list[ExportRow]:
    """Write DICOM objects without the patient's identity, and a row for every input.

    Films, presentation states, structured reports and key object selections follow the basic
    profile of DICOM PS3.15; what is not known to be harmless goes too. UIDs, patient ids and
    accession numbers are replaced by keyed hashes: the same on every run and machine, so that
    references still resolve. A film with text in its pixels is not exported.

    Args:
        inputs: files, folders, globs or lists.
        out: folder to write to; an export that was stopped goes on in it.
        key: file of the key, made if missing; None for the one in the user's settings.
        keep: `dates-shifted`, `dates`, `characteristics`, `device`, `institution`, `uids`.
        clean_pixels: black out text that is found, and export secondary captures and color too.
        mapping: file for the real names and UIDs, outside `out`; None to write it nowhere.
        follow_links: whether links found in folders may lead out of them.
        timeout_s: seconds to read one file.
        advance: progress callback.
        remark: takes each line of what the reader should know: among them how many drawn texts
            are seen and blacked out, measured for this line; None saves the time.

    Returns:
        The rows of these inputs.

    Raises:
        UsageError: for wrong options or places, or a key that cannot be used.
    """
    from hilum.batch.deidentify import (
        ExportRequest,
        check_places,
        deidentify_films,
        options_of,
    )
    from hilum.batch.drawn_text import measure_recall, recall_lines
    from hilum.batch.inputs import PassedOver, list_films
    from hilum.batch.patients import default_key, read_key
    from hilum.reading.process import Limits

    named = [str(one) for one in ([inputs] if isinstance(inputs, Path | str) else inputs)]
    place, mapped = Path(out), None if mapping is None else Path(mapping)
    options = options_of(keep, clean_pixels)
    check_places(named, place, mapped)
    secret = read_key(default_key() if key is None else Path(key), place)
    passed = PassedOver()
    films = list_films(named, follow_links, passed)
    if remark is not None:
        for line in passed.lines():
            remark(line)
    request = ExportRequest(options, secret, mapped, limits=Limits(timeout_s=timeout_s))

    def step(done: int, total: int) -> None:
        if advance is not None:
            advance("de-identifying", done, total)

    rows = deidentify_films(films, place, request, step)
    if remark is not None:
        for line in recall_lines(measure_recall()):
            remark(line)
    return rows
