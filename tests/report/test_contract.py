"""What every report of the folder keeps to, whatever reports there are."""

from __future__ import annotations

import random
from collections.abc import Collection, Iterator

import pytest

from hilum.domain.documents.results import ImageResult
from hilum.domain.errors import ReasonCode, Status
from hilum.domain.members import members
from hilum.report.batch import Report, reports
from hilum.report.parts.results import BatchResults, BundleFacts
from hilum.report.printed import printed

every_report = pytest.mark.parametrize("report", reports().values(), ids=reports().keys())


@every_report
def test_renders_any_batch_as_utf8(report: Report, any_batch: BatchResults) -> None:
    text = report.render(any_batch)
    assert text.encode("utf-8").decode("utf-8") == text


@every_report
def test_same_results_same_bytes_in_any_order(report: Report, mixed: BatchResults) -> None:
    shuffled = list(mixed.results)
    random.Random(0).shuffle(shuffled)
    again = BatchResults(tuple(shuffled), mixed.labels, mixed.bundle, mixed.generated)
    assert report.render(mixed) == report.render(again)


@every_report
def test_files_are_its_own_and_the_first_is_the_one_it_is_called_by(
    report: Report, any_batch: BatchResults
) -> None:
    files = {name: "".join(pieces) for name, pieces in report.files(any_batch)}
    assert next(iter(files.items())) == (report.filename, report.render(any_batch))
    assert all(report.owns(name) for name in files)
    others = [other for other in reports().values() if other is not report]
    assert not any(other.owns(name) for other in others for name in files)


def test_file_names_are_plain_and_unlike() -> None:
    names = [report.filename for report in reports().values()]
    assert len(set(names)) == len(names)
    assert all("/" not in name and name.isprintable() for name in names)


def test_results_are_kept_sorted_by_input(mixed: BatchResults) -> None:
    inputs = [result.input for result in mixed.results]
    assert inputs == sorted(inputs)


def test_findings_of_another_label_set_are_refused(mixed, scored) -> None:
    odd = scored("a.png", (0.1, 0.2, 0.3)).model_copy(
        update={"findings": {"Mass": mixed.results[0].findings["Effusion"]}}
    )
    with pytest.raises(ValueError, match="must be those of three"):
        BatchResults((odd,), mixed.labels, mixed.bundle)


def test_a_score_without_a_scored_status_is_refused(mixed, scored, unscored) -> None:
    facts = BundleFacts("b", "1", "f32", "sigmoid")
    failed = scored("a.png", (0.1, 0.2, 0.3), status=Status.ERROR)
    blank = unscored("a.png", Status.ERROR, ReasonCode.EMPTY_FILE).model_copy(
        update={"status": Status.OK}
    )
    for result in (failed, blank):
        with pytest.raises(ValueError, match="exactly when its status"):
            BatchResults((result,), mixed.labels, facts)


class _Disk(Collection[ImageResult]):
    """Results that are read anew each time they are looked through, and how often they were."""

    def __init__(self, results: Collection[ImageResult]) -> None:
        self._results = tuple(results)
        self.looks = 0

    def __len__(self) -> int:
        return len(self._results)

    def __contains__(self, result: object) -> bool:
        return result in self._results

    def __iter__(self) -> Iterator[ImageResult]:
        self.looks += 1
        yield from self._results


@every_report
def test_results_on_disk_give_the_same_bytes_in_a_few_looks(report: Report, any_batch) -> None:
    disk = _Disk(any_batch.results)
    held = BatchResults(disk, any_batch.labels, any_batch.bundle, any_batch.generated)
    assert report.render(held) == report.render(any_batch)
    assert disk.looks <= 4


@pytest.mark.parametrize("form", members("hilum.report.printed"))
def test_results_on_disk_are_printed_the_same(form: str, any_batch: BatchResults) -> None:
    disk = _Disk(any_batch.results)
    held = BatchResults(disk, any_batch.labels, any_batch.bundle, any_batch.generated)
    assert printed(form).render(held) == printed(form).render(any_batch)
    assert disk.looks <= 3


def test_parts_of_a_batch_together_are_the_batch(mixed: BatchResults) -> None:
    everything = list(mixed.results)
    parts = [*everything[1::2], *everything[::2]]
    together = BatchResults(tuple(parts), mixed.labels, mixed.bundle, mixed.generated)
    for report in reports().values():
        assert report.render(together) == report.render(mixed)
