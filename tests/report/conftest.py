"""Batches written out as literals: what a report says depends on nothing else."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest

from hilum.domain.documents import Interval, SplitFacts
from hilum.domain.documents.evaluation import (
    ConstantPredictor,
    Evaluation,
    MacroEvaluation,
    MetadataBaseline,
    SummaryEvaluation,
)
from hilum.domain.documents.results import FindingResult, ImageResult
from hilum.domain.errors import ReasonCode, Status
from hilum.domain.findings import LabelSet
from hilum.domain.radiograph import ViewPosition
from hilum.report.parts.results import BatchResults, BundleFacts

LABELS = LabelSet("three", ("Atelectasis", "Effusion", "Hernia"))
THRESHOLDS: dict[str, float | None] = {"Atelectasis": 0.5, "Effusion": 0.25, "Hernia": 0.01}

HOSTILE_NAMES = (
    "=cmd|'calc'!A0.png",
    "+1+1.png",
    "@SUM(A1).png",
    "-2+3.png",
    "\t=1+1.png",
    "\r=1+1.png",
    "\0=1+1.png",
    " =1+1.png",
    ";=1+1.png",
    "a;=1+1.png",
    'b,"=1+1.png',
    "＝1+1.png",
    "line\nbreak.png",
    "carriage\rreturn.png",
    "tab\tbed.png",
    "next\x85line\u2028sep\u2029para.png",
    'quote"comma,semi;.png',
    "<img src=x onerror=alert(1)>.png",
    '"><img src=x onerror=alert(1)>.png',
    "' onload='alert(1).png",
    "</script><script>alert(1)</script>.png",
    "</title><svg onload=alert(1)>.png",
    "{{ 7 * 7 }}{% raw %}.png",
    "]]>--><!--.png",
    "javascript:alert(1).png",
    "../../etc/passwd",
    "//evil.example/x.png",
    "\u202egnp.exe",
    "胸部.png",
    "e\u0301.png",
    "\u00e9.png",
    " blank .png",
    "a;rm -rf ~.png",
    "%2e%2e%2fx.png",
    "CON.png",
    "bytes\udcff\udcfe.png",
    "x" * 250 + ".png",
)


def findings_of(
    probabilities: dict[str, float], thresholds: dict[str, float | None] | None = None
) -> dict[str, FindingResult]:
    cuts = thresholds or THRESHOLDS
    return {
        name: FindingResult(
            probability=p,
            threshold=cuts[name],
            positive=None if cuts[name] is None else p >= cuts[name],
        )
        for name, p in probabilities.items()
    }


def _scored(name: str, probabilities: tuple[float, float, float], **fields: object) -> ImageResult:
    given = {
        "input": f"in/{name}",
        "image_id": name,
        "sha256": "0" * 64,
        "status": Status.OK,
        "findings": findings_of(dict(zip(LABELS, probabilities, strict=True))),
        "bundle": "3f9a1c20",
        "precision": "bf16",
    }
    return ImageResult.model_validate(given | fields)


def _unscored(name: str, status: Status, code: ReasonCode, message: str = "") -> ImageResult:
    return ImageResult(
        input=f"in/{name}",
        image_id=name,
        sha256=None,
        status=status,
        codes=(code,),
        message=message,
        bundle="3f9a1c20",
        precision="bf16",
    )


def _batch(*results: ImageResult, generated: str = "2026-11-20") -> BatchResults:
    facts = BundleFacts("small <b>", "3f9a1c20", "bf16", "platt", "2026-11-19", _evaluation())
    return BatchResults(results, LABELS, facts, generated)


def _evaluation() -> Evaluation:
    some = Interval(value=0.8234, low=0.801, high=0.845)
    summary = SummaryEvaluation(
        auroc=some,
        average_precision=some,
        brier=some,
        ece_equal_mass=some,
        ece_equal_width=some,
        findings_counted=2,
        findings_total=3,
    )
    rival = ConstantPredictor(
        prevalence_from="train",
        auroc=some,
        average_precision=some,
        brier=some,
        ece_equal_mass=some,
        ece_equal_width=some,
        micro_auroc=some,
    )
    return Evaluation(
        model="small",
        split=SplitFacts(name="test", sha256="ab12" * 16, images=2560, patients=1200),
        labels="three",
        interval="95 % intervals from 1,000 resamples of patients.",
        seed=0,
        resamples=1000,
        findings={},
        macro=MacroEvaluation(
            **summary.model_dump(),
            f1=some,
            shared_threshold=0.5,
            f1_shared=some,
            threshold_gain=some,
        ),
        micro=summary,
        constant_predictor=rival,
        metadata_baseline=MetadataBaseline(features="view", auroc=some),
    )


@pytest.fixture(scope="session")
def scored() -> Callable[..., ImageResult]:
    return _scored


@pytest.fixture(scope="session")
def unscored() -> Callable[..., ImageResult]:
    return _unscored


@pytest.fixture(scope="session")
def batch_of() -> Callable[..., BatchResults]:
    return _batch


@pytest.fixture(scope="session")
def mixed() -> BatchResults:
    """Two positive films, one that is not, one warned, and one of each that was not scored."""
    return _batch(
        _scored(
            "b.png",
            (0.6958, 0.512, 0.001),
            view=ViewPosition.PA,
            film="films/b.jpg",
            maps={"Atelectasis": "maps/b A.png", "Effusion": "maps/b#E.png"},
        ),
        _scored("a.png", (0.1, 0.2, 0.009), view=ViewPosition.AP, film="films/a.jpg"),
        _scored(
            "c.png",
            (0.5, 0.00004, 0.3),
            status=Status.WARN,
            codes=(ReasonCode.RANGE_INFERRED, ReasonCode.EMPTY_HEATMAP),
            film="films/c.jpg",
            heatmaps={"Hernia": "overlays/c_H.png"},
            maps={"Hernia": "maps/c_H.png"},
        ),
        _unscored("d.png", Status.ERROR, ReasonCode.DECODE_TRUNCATED, "ends at byte 17"),
        _unscored("e.dcm", Status.REJECT, ReasonCode.VIEW_NOT_FRONTAL),
        _unscored("f.pdf", Status.SKIP, ReasonCode.NOT_AN_IMAGE_OBJECT),
    )


@pytest.fixture(scope="session")
def hostile() -> BatchResults:
    """Every hostile name once scored and once not, in every field that a name can reach."""
    results: list[ImageResult] = []
    for index, name in enumerate(HOSTILE_NAMES):
        scored = _scored(
            name,
            (0.9, 0.1, 0.0),
            input=f"{name}/{index}",
            film=f"films/{name}",
            heatmaps={"Atelectasis": name},
            maps={"Atelectasis": name},
        )
        failed = _unscored(name, Status.ERROR, ReasonCode.NOT_AN_IMAGE, message=name)
        results += [scored, failed]
    facts = BundleFacts(HOSTILE_NAMES[18], HOSTILE_NAMES[20], "<i>", HOSTILE_NAMES[17])
    return BatchResults(tuple(results), LABELS, facts)


@pytest.fixture(params=["mixed", "hostile", "empty", "errors", "uncalled"])
def any_batch(request: pytest.FixtureRequest) -> BatchResults:
    match request.param:
        case "empty":
            return _batch()
        case "errors":
            codes = (ReasonCode.EMPTY_FILE, ReasonCode.NOT_AN_IMAGE)
            return _batch(*(_unscored(f"{c}.png", Status.ERROR, c) for c in codes))
        case "uncalled":
            none: dict[str, float | None] = dict.fromkeys(LABELS)
            return _batch(
                _scored(
                    "a",
                    (0.0, 1.0, 0.5),
                    findings=findings_of(
                        {"Atelectasis": 0.0, "Effusion": 1.0, "Hernia": 0.5}, none
                    ),
                )
            )
        case name:
            return request.getfixturevalue(name)


# pages in a browser


@dataclass
class Opened:
    """A page, with what the browser said and asked for since its address was opened."""

    page: Any
    troubles: list[str] = field(default_factory=list)
    requests: list[str] = field(default_factory=list)

    def watch(self) -> None:
        def said(message: Any) -> None:
            self.troubles.append(message.text)

        def failed(error: Any) -> None:
            self.troubles.append(str(error))

        def asked(request: Any) -> None:
            self.requests.append(request.url)

        def spoke(dialog: Any) -> None:
            self.troubles.append(f"dialog: {dialog.message}")
            dialog.dismiss()

        self.page.on("console", said)
        self.page.on("pageerror", failed)
        self.page.on("request", asked)
        self.page.on("dialog", spoke)


class Pages:
    """Pages that tests open one after the other: making one takes longer than most tests.

    Size, scheme and medium are set anew each time; pages of other options, as without scripts,
    are kept apart. Whatever a page has stored is removed.
    """

    def __init__(self, browser: Any) -> None:
        self._browser = browser
        self._free: dict[tuple[object, ...], list[Opened]] = {}
        self._used: list[tuple[tuple[object, ...], Opened]] = []

    def open(
        self,
        address: str,
        width: int = 1400,
        height: int = 900,
        color_scheme: str = "light",
        **options: object,
    ) -> Opened:
        kind = tuple(sorted(options.items()))
        free = self._free.setdefault(kind, [])
        if free:
            seen = free.pop()
        else:
            seen = Opened(self._browser.new_page(**options))
            seen.watch()
        self._used.append((kind, seen))
        seen.page.set_viewport_size({"width": width, "height": height})
        seen.page.emulate_media(media="null", color_scheme=color_scheme)
        seen.page.mouse.move(0, 0)
        seen.page.goto(address)
        return seen

    def free(self) -> None:
        """Take back the pages that a test has used."""
        for kind, seen in self._used:
            if seen.page.is_closed():
                continue
            seen.page.evaluate("try { localStorage.clear(); sessionStorage.clear(); } catch {}")
            seen.page.goto("about:blank")
            seen.troubles, seen.requests = [], []
            self._free[kind].append(seen)
        self._used.clear()


@pytest.fixture(scope="session")
def objections() -> Callable[..., list[tuple[str, object]]]:
    """What axe finds on a page; `by_color`: of what differs between the schemes, contrast alone."""
    name = "axe_playwright_python.sync_playwright"
    axe = pytest.importorskip(name, reason="axe is not installed: axe-playwright-python").Axe()

    def found(page: Any, by_color: bool = False) -> list[tuple[str, object]]:
        options: dict[str, object] = {"resultTypes": ["violations"]}
        if by_color:
            options["runOnly"] = ["color-contrast", "link-in-text-block"]
        violations = axe.run(page, options=options).response["violations"]
        return [(one["id"], node["target"]) for one in violations for node in one["nodes"]]

    return found


@pytest.fixture(scope="module")
def pages_of_a_file(browser: Any) -> Pages:
    return Pages(browser)


@pytest.fixture
def pages(pages_of_a_file: Pages) -> Iterator[Pages]:
    """Open an address in a page; any number at a time."""
    yield pages_of_a_file
    pages_of_a_file.free()
