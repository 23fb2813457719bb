"""A part: the rows of one chunk as one Parquet file, the same bytes whoever wrote it.

The first columns are those of `final_clinical_report.csv`, with types: a film that was not scored
has nulls, never 0.0. The last column, `entry`, is the complete result as JSON, in a column of its
own that readers of tables leave out. The file's metadata holds `hilum_part`, a `PartFacts`.
"""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Iterator, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

from hilum.batch.archive.order import Identity
from hilum.batch.journal import Entry
from hilum.domain.documents import Document
from hilum.domain.documents.results import ImageResult, ThresholdSource
from hilum.domain.errors import UsageError
from hilum.domain.findings import LabelSet
from hilum.domain.radiograph import Sex
from hilum.files.parquet import COMPLETE, PARTS, pyarrow
from hilum.files.places import put_once
from hilum.report.parts.text import by_hand

__all__ = ["Part", "PartFacts", "finished_chunks", "part_path", "write_part"]

_KEY = b"hilum_part"
_TEXTS = ("study_instance_uid", "series_instance_uid", "sop_instance_uid", "accession_number")


class PartFacts(Document):
    """What a part says of itself."""

    identity: Identity
    chunk: int
    first: int
    """First ordinal."""
    rows: int
    entries_sha256: str
    """Hash of the complete results: an edit shows."""


def part_path(place: Path, chunk: int) -> Path:
    """Return the path of a chunk's part.

    >>> part_path(Path("out"), 12).as_posix()
    'out/parts/00000012.parquet'
    """
    return place / PARTS / f"{chunk:08d}.parquet"


def finished_chunks(place: Path) -> set[int]:
    """Return the chunks that have a part: what there is to know of a run that was stopped."""
    folder = place / PARTS
    names = [file.name for file in folder.iterdir()] if folder.is_dir() else []
    stems = [name.removesuffix(".parquet") for name in names if name.endswith(".parquet")]
    return {int(stem) for stem in stems if stem.isascii() and stem.isdigit()}


def write_part(
    place: Path, identity: Identity, chunk: int, first: int, entries: Sequence[Entry]
) -> Path:
    """Write the part of a chunk whole, unless it is there already.

    Args:
        place: folder of the results.
        identity: of the order.
        chunk: its number.
        first: its first ordinal.
        entries: of its films, in their order.
    """
    _, pq = pyarrow()
    lines = [_line(entry) for entry in entries]
    facts = PartFacts(
        identity=identity,
        chunk=chunk,
        first=first,
        rows=len(entries),
        entries_sha256=_hash(lines),
    )
    table = _table(first, [entry.result for entry in entries], lines, identity.labels)
    held = io.BytesIO()
    note = json.dumps(facts.model_dump(), separators=(",", ":")).encode()
    pq.write_table(table.replace_schema_metadata({_KEY: note}), held, compression="zstd")
    path = part_path(place, chunk)
    put_once(path, held.getvalue())
    return path


def _line(entry: Entry) -> str:
    """Return a complete result as JSON in ASCII; of a UID there is a hash, to compare it by."""
    uid = entry.sop_instance_uid
    mark = hashlib.sha256(f"hilum object {uid}".encode()).hexdigest()[:32] if uid else ""
    return json.dumps({**entry.model_dump(), "sop_instance_uid": mark}, separators=(",", ":"))


def _hash(lines: Sequence[str]) -> str:
    return hashlib.sha256("\n".join(lines).encode("ascii")).hexdigest()


def _table(
    first: int, results: Sequence[ImageResult], lines: Sequence[str], labels: LabelSet
) -> Any:
    pa, _ = pyarrow()
    found = [result.findings or {} for result in results]
    texts = {name: [_text(getattr(one, name)) for one in results] for name in _TEXTS}
    columns: dict[str, tuple[Any, list[Any]]] = {
        "ordinal": (pa.int64(), list(range(first, first + len(results)))),
        "Image_ID": (pa.string(), [_shown(one.image_id) for one in results]),
        "status": (pa.string(), [one.status.value for one in results]),
        "codes": (pa.list_(pa.string()), [[code.value for code in one.codes] for one in results]),
        "view": (pa.string(), [one.view.value for one in results]),
        **{
            name: (pa.float64(), [one[name].probability if one else None for one in found])
            for name in labels
        },
        **{
            f"{name}_positive": (
                pa.bool_(),
                [one[name].positive if one else None for one in found],
            )
            for name in labels
        },
        "bundle": (pa.string(), [one.bundle for one in results]),
        "thresholds": (pa.string(), [_thresholds(one) for one in results]),
        "triage": (pa.string(), [one.triage and one.triage.way.value for one in results]),
        "patient": (pa.string(), [_text(one.patient) for one in results]),
        "age_years": (pa.float64(), [one.age_years for one in results]),
        "sex": (
            pa.string(),
            [None if one.sex is Sex.UNKNOWN else one.sex.value for one in results],
        ),
        **{name: (pa.string(), values) for name, values in texts.items()},
        "sha256": (pa.string(), [one.sha256 for one in results]),
        COMPLETE: (pa.string(), list(lines)),
    }
    schema = pa.schema([(name, kind) for name, (kind, _) in columns.items()])
    return pa.table([values for _, values in columns.values()], schema=schema)


def _text(text: str) -> str | None:
    return _shown(text) or None


def _shown(text: str) -> str:
    r"""Return text as UTF-8 can have it; of a name that is not UTF-8, `\udcff` in its place."""
    return text.encode("utf-8", "backslashreplace").decode()


def _thresholds(result: ImageResult) -> str | None:
    if result.findings is None:
        return None
    given = by_hand(result)
    return ThresholdSource.BUNDLE.value if given is None else f"{given:g} by hand"


class Part:
    """A part on disk.

    Args:
        path: the file.

    Raises:
        UsageError: for a file that is not a part, or that somebody edited.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        pa, pq = pyarrow()
        try:
            # whole in memory, and closed again: a run has more parts than files may be open
            self._file: Any = pq.ParquetFile(io.BytesIO(path.read_bytes()))
            note = (self._file.schema_arrow.metadata or {})[_KEY]
            self.facts = PartFacts.model_validate_json(note)
        except (OSError, pa.ArrowInvalid, KeyError, ValueError):
            raise self._edited() from None

    def _edited(self) -> UsageError:
        return UsageError(
            f"a part must be as hilum wrote it; {self.path} is not. Remove it, and run the same "
            "`hilum predict` again to score its films"
        )

    @cached_property
    def _lines(self) -> list[str]:
        pa, _ = pyarrow()
        try:
            return self._file.read(columns=[COMPLETE]).column(COMPLETE).to_pylist()
        except (OSError, pa.ArrowInvalid, KeyError):
            raise self._edited() from None

    def entries(self) -> Iterator[Entry]:
        """Yield the complete results, in their order.

        Raises:
            UsageError: when the part was edited.
        """
        if len(self._lines) != self.facts.rows or _hash(self._lines) != self.facts.entries_sha256:
            raise self._edited()
        for line in self._lines:
            yield Entry.model_validate(json.loads(line))

    def check(self) -> str:
        """Return the hash of the complete results, if they and the columns beside them agree.

        Raises:
            UsageError: when the part was edited.
        """
        results = [entry.result for entry in self.entries()]
        labels = self.facts.identity.labels
        try:
            table = _table(self.facts.first, results, self._lines, labels)
        except KeyError:
            raise self._edited() from None
        if not table.equals(self._file.read().replace_schema_metadata()):
            raise self._edited()
        return self.facts.entries_sha256
