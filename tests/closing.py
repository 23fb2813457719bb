"""What a test run says at its end: lines of hilum that no test runs, and what was skipped and why.

Coverage is by SlipCover, which stops counting a line once it was seen: on Python 3.11 it costs
a tenth of what a tracer costs (docs/contributing/releasing.md). Lines that only run in processes
that tests start are not counted, so the figure is a lower bound.
"""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import pytest

SOURCE = Path(__file__).resolve().parents[1] / "src" / "hilum"


class Coverage:
    """Counts lines in this process and, under xdist, gathers what the workers saw."""

    def __init__(self) -> None:
        from slipcover import FileMatcher, ImportManager, Slipcover

        self.counter = Slipcover(exclude_lines=[])
        self.seen: dict[str, set[int]] = {}
        # before the first import of hilum: what is imported later is counted
        ImportManager(self.counter, FileMatcher(sources=[SOURCE])).__enter__()

    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        counted = self.counter.get_coverage()["files"]
        lines = {
            str(Path(name).resolve()): found["executed_lines"] for name, found in counted.items()
        }
        self.add(lines)
        output = getattr(session.config, "workeroutput", None)
        if output is not None:
            output["lines"] = lines

    @pytest.hookimpl(optionalhook=True)
    def pytest_testnodedown(self, node: Any) -> None:
        self.add(getattr(node, "workeroutput", {}).get("lines", {}))

    def add(self, lines: dict[str, list[int]]) -> None:
        for path, found in lines.items():
            self.seen.setdefault(path, set()).update(found)

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        covered, total = figure(self.seen, SOURCE)
        terminalreporter.section("coverage")
        terminalreporter.write_line(
            f"{covered / max(1, total):.1%} of the lines of src/hilum ({covered:,} of {total:,}); "
            "processes that tests start are not counted"
        )


def figure(seen: dict[str, set[int]], source: Path) -> tuple[int, int]:
    """How many lines below the folder were seen, and how many there are, but for type hints."""
    from slipcover import Slipcover

    files = Slipcover(source=[str(source)]).get_coverage()["files"]
    covered = total = 0
    for name, found in files.items():
        lines = {*found["executed_lines"], *found["missing_lines"]}
        covered += len(lines & seen.get(str(Path(name).resolve()), set()))
        total += len(lines)
    return covered, total


def skips(reports: list[pytest.TestReport]) -> list[str]:
    """Skipped tests by reason, the most frequent first: a line each."""
    reasons: Counter[str] = Counter()
    for report in reports:
        # (file, line, "Skipped: reason")
        reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
        reasons[" ".join(reason.removeprefix("Skipped: ").split())] += 1
    return [f"{count:5}  {reason}" for reason, count in reasons.most_common()]


def tell_skips(terminalreporter: pytest.TerminalReporter) -> None:
    reports = terminalreporter.stats.get("skipped", [])
    if reports:
        terminalreporter.section(f"{len(reports)} skipped, by reason")
        for line in skips(reports):
            terminalreporter.write_line(line)
