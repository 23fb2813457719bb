"""The reports of a finished batch made again from its folder, and its films as files to send."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from hilum.batch.journal import pictures_of, read_header
from hilum.batch.run import JOURNAL, facts_of, pictures_are_sheets, write_reports
from hilum.bundle.bundle import locate, shipped
from hilum.bundle.manifest import Manifest, read_evaluation
from hilum.domain.documents.results import ImageResult
from hilum.domain.errors import BundleError, UsageError, counted, suggestion
from hilum.domain.findings import LabelSet
from hilum.files.atomic import atomic_file
from hilum.files.lock import locked
from hilum.files.sealed import read_seal, read_sealed
from hilum.report.batch.film_report import FilmReport
from hilum.report.batch.results_jsonl import RESULTS, result_lines
from hilum.report.film_sheet import write_film_sheet
from hilum.report.parts.results import BatchResults, BundleFacts
from hilum.report.single_file import (
    embedded,
    read_picture,
    size_of_single_file,
    with_pictures_inside,
)

__all__ = [
    "MOST_IN_ONE_FILE",
    "ResultLines",
    "facts_on",
    "rebuild",
    "select",
    "write_again",
    "write_sheets",
    "write_single",
]

MOST_IN_ONE_FILE = 2000
"""Films in a single file; a browser opens no more at once."""


class ResultLines(Collection[ImageResult]):
    """The results of a finished batch, read from its lines each time they are requested.

    Args:
        path: the results.jsonl.

    Raises:
        UsageError: when there is none.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            with path.open("rb") as lines:
                self._count = sum(1 for _ in lines)
        except OSError:
            raise UsageError(
                f"a report is made from the folder of a finished `hilum predict`; {path.parent} "
                f"has no {path.name}"
            ) from None

    def __len__(self) -> int:
        return self._count

    def __contains__(self, result: object) -> bool:
        return any(result == mine for mine in self)

    def __iter__(self) -> Iterator[ImageResult]:
        return (result for _, result in result_lines(self.path))


def rebuild(out: Path, bundle: Path | None = None) -> BatchResults:
    """Return a finished batch as its reports were made from it.

    Args:
        out: the folder of a finished `hilum predict`.
        bundle: that scored it; None to look among those that ship with hilum.

    Raises:
        UsageError: when the folder is not that of a finished batch, or the bundle is needed.
        BundleError: when the bundle is damaged.
    """
    results = ResultLines(out / RESULTS)
    sheets = False
    first = next(iter(results), None)
    scored_by, precision = ("", "") if first is None else (first.bundle, first.precision)
    if (out / JOURNAL).is_file():
        header = read_header(out / JOURNAL)
        scored_by, precision = header.bundle, header.precision
        sheets = pictures_are_sheets(header.options)
    labels, facts = facts_on(scored_by, precision, bundle, out)
    return BatchResults(results, labels, facts, sheets=sheets)


def facts_on(
    scored_by: str, precision: str, bundle: Path | None, out: Path
) -> tuple[LabelSet, BundleFacts]:
    """Return the findings and facts of the bundle that scored a batch, which need not be loaded.

    Args:
        scored_by: its short id.
        precision: the arithmetic it was run in.
        bundle: its folder; None to look among those that ship with hilum.
        out: folder of the results.

    Raises:
        UsageError: when the bundle is another one, or is needed.
        BundleError: when it is damaged.
    """
    root = _bundle_of(scored_by, bundle, out)
    manifest = read_sealed(Manifest, root / "bundle.json")
    evaluation = None
    if "evaluation.json" in manifest.files:
        evaluation = read_evaluation(root / "evaluation.json", manifest.calibration)
    facts = facts_of(manifest, scored_by, precision, evaluation)
    return manifest.label_set_of_outputs, facts


def _bundle_of(scored_by: str, bundle: Path | None, out: Path) -> Path:
    """Return the folder of the bundle with an id: the one named, or one that ships."""
    if bundle is not None:
        root = locate(bundle)
        if _id(root) != scored_by:
            raise UsageError(
                f"a report needs the bundle that scored the films, {scored_by}; {bundle} is "
                f"{_id(root)}. Name the right one with --bundle"
            )
        return root
    for root in shipped().values():
        if _id(root) == scored_by:
            return root
    raise UsageError(
        f"a report needs the bundle that scored {out}, {scored_by or 'unknown'}, for its name and "
        "its evaluation. Name its folder with --bundle"
    )


def _id(root: Path) -> str:
    try:
        return read_seal(root / "bundle.json")[:12]
    except OSError:
        raise BundleError(f"bundle.json must be there; {root} has none") from None


def write_again(batch: BatchResults, out: Path) -> list[Path]:
    """Write tables and pages of a finished batch again; its results.jsonl is left as it is."""
    with locked(out):
        return write_reports(batch, out, but=(RESULTS,))


def select(batch: BatchResults, names: Sequence[str]) -> BatchResults:
    """Return the films of these names alone; all of them where none is given.

    Args:
        batch: a finished one.
        names: of films as reports show them, or inputs as they were listed.

    Raises:
        UsageError: for a name that no film has.
    """
    if not names:
        return batch
    wanted = set(names)
    chosen = tuple(one for one in batch.results if {one.image_id, one.input} & wanted)
    known = {name for one in chosen for name in (one.image_id, one.input)}
    for name in names:
        if name not in known:
            near = suggestion(name, [one.image_id for one in batch.results])
            raise UsageError(f"no film '{name}' in these results.{near}")
    return replace(batch, results=chosen)


def write_single(batch: BatchResults, out: Path, path: Path, tell: Callable[[str], None]) -> None:
    """Write report.html with its pictures inside.

    Args:
        batch: the films, at most `MOST_IN_ONE_FILE`.
        out: the folder of their pictures.
        path: the file.
        tell: called with a line on the size, before anything is written.

    Raises:
        UsageError: for too many films, or a path that a report of the folder has.
    """
    count = len(batch.results)
    if count > MOST_IN_ONE_FILE:
        raise UsageError(
            f"a single file must have at most {MOST_IN_ONE_FILE:,} films; these are {count:,}. "
            "Choose some with --film"
        )
    if path.is_dir() or path.resolve().is_relative_to(out.resolve()):
        raise UsageError(
            f"--single-file must name a file outside the folder of the results; got {path}"
        )
    pictures = {
        file: len(own) for result in batch.results for own in (pictures_of(result),) for file in own
    }
    page = "".join(FilmReport(most=MOST_IN_ONE_FILE).pieces(batch))
    sizes = [file.stat().st_size for name in pictures if (file := out / name).is_file()]
    size = size_of_single_file(len(page), sizes)
    tell(f"about {size / 1e6:.1f} MB for {counted(count, 'film')} in one file")

    def picture(name: str) -> bytes | None:
        data = read_picture(out, name)
        return None if data is None else embedded(data, pictures.get(name, 1))

    with atomic_file(path) as unfinished, unfinished.open("w", encoding="utf-8", newline="") as to:
        to.writelines(with_pictures_inside(page, picture))


def write_sheets(batch: BatchResults, out: Path, folder: Path) -> list[Path]:
    """Write a sheet of paper, as PDF, for each film; return their paths.

    Args:
        batch: the films.
        out: the folder of their pictures.
        folder: where the PDFs go, named as the films' previews, or by number without one.
    """
    written: list[Path] = []
    for number, result in enumerate(batch.results, start=1):
        stem = Path(result.film).stem if result.film else f"film-{number}"
        path = folder / f"{stem}.pdf"
        with atomic_file(path, durable=False) as unfinished:
            write_film_sheet(result, batch, lambda name: read_picture(out, name), unfinished)
        written.append(path)
    return written
