"""evaluation.html: what it says, that it loads nothing, and that hostile text stays text."""

from __future__ import annotations

import json
import re
from html.parser import HTMLParser

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hilum.domain.documents import Interval
from hilum.domain.documents.evaluation import Evaluation
from hilum.domain.findings import LabelSet, LabelState
from hilum.domain.notice import NOT_A_DEVICE
from hilum.domain.radiograph import Sex, ViewPosition
from hilum.domain.record import Cohort, Record
from hilum.domain.scores import OperatingPoint, Probabilities, Target
from hilum.evaluation.curves import Curves, curves_of
from hilum.evaluation.evaluate import evaluate
from hilum.evaluation.request import EvaluationRequest
from hilum.report.evaluation.finding import apportion
from hilum.report.evaluation.page import Footnotes, evaluation_page, signed
from hilum.report.evaluation.sentences import terminal_summary
from hilum.report.evaluation.table import markdown
from hilum.report.parts.plots import Axis, Plot, forest

LABELS = LabelSet("four", ("Effusion", "Mass", "Pneumonia", "Hernia"))
VOID = {"meta", "input"}
HOSTILE = (
    "</script><script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "<!--<script>",
    "' onload='alert(1)",
    "{{ 7 * 7 }}{% raw %}",
    "line\u2028sep\u202egnp\n\x00",
    "bytes\udcff",
)


class Page(HTMLParser):
    """Tags with their attributes, text, and the data of the script; fails on unclosed tags."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[str] = []
        self.scripts: list[str] = []
        self._open: list[str] = []
        self.feed(html)
        self.close()
        assert self._open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self._open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        if "script" in self._open:
            self.scripts.append(data)
        elif "style" not in self._open:
            self.texts.append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.texts).split())


@pytest.fixture(scope="module")
def made() -> tuple[Evaluation, Curves]:
    rng = np.random.default_rng(0)
    p = rng.beta(0.6, 2.5, (400, 4))
    p[:, 3] /= 8
    states = (rng.random(p.shape) < p).astype(np.int8)
    states[:, 2] = LabelState.NEGATIVE
    records = tuple(
        Record(
            f"{i}.png",
            f"p{i // 2}",
            tuple(LabelState(s) for s in row),
            view=ViewPosition.AP if i % 3 else ViewPosition.PA,
            sex=Sex.FEMALE if i % 4 < 2 else Sex.MALE,
            age_years=float(i % 90),
        )
        for i, row in enumerate(states.tolist())
    )
    cohort, scores = Cohort("drawn", LABELS, records), Probabilities(p, LABELS)
    points = (
        OperatingPoint("Effusion", 1 / 3, Target.F1, 0.5, 100, 10),
        OperatingPoint("Effusion", 0.1, Target.SENSITIVITY, 0.9, 100, 10, goal=0.9),
        OperatingPoint("Hernia", 0.002, Target.YOUDEN, 0.5, 100, 10),
        OperatingPoint("Pneumonia", None, Target.F1, None, 100, 0, "no film is positive"),
    )
    request = EvaluationRequest(
        "a model", "test", points, chosen_on="the calibrate split", resamples=30, look=3
    )
    return evaluate(scores, cohort, request), curves_of(scores, cohort, 0)


@pytest.fixture(scope="module")
def html(made: tuple[Evaluation, Curves]) -> str:
    return evaluation_page(*made)


def number(interval: Interval, digits: int = 3) -> str:
    parts = (interval.value, interval.low, interval.high)
    value, low, high = (signed(part or 0.0, digits) for part in parts)
    return f"{value} [{low}, {high}]"


def test_says_what_was_evaluated_and_what_it_is_not(made, html: str) -> None:
    evaluation, _ = made
    text = Page(html).text
    assert text.split("hilum · ")[0].endswith(NOT_A_DEVICE + " ")
    assert text.endswith(NOT_A_DEVICE)
    for said in (
        *("a model on test", "400 films of 200 patients", evaluation.split.sha256),
        *("Look at this test set number 3", "over 3 of 4 findings", evaluation.interval),
        *(evaluation.metadata_baseline.features, "the calibrate split", "seed 0"),
    ):
        assert said in text
    assert "Synthetic" not in text


def test_every_headline_number_stands_with_its_interval(made, html: str) -> None:
    evaluation, _ = made
    text = Page(html).text
    effusion, constant = evaluation.findings["Effusion"], evaluation.constant_predictor
    for interval in (
        *(evaluation.macro.auroc, constant.auroc, constant.micro_auroc, effusion.auroc),
        *(evaluation.metadata_baseline.auroc, effusion.average_precision, effusion.auroc_delong),
        *(effusion.operating_points["f1"].ppv, effusion.metadata_baseline),
        *(group.auroc for group in evaluation.subgroups if group.auroc.value is not None),
    ):
        assert number(interval) in text
    assert number(effusion.calibration.slope, 2) in text
    assert number(effusion.brier_parts.discrimination, 4) in text
    assert number(constant.ece_equal_mass, 4) in text
    assert effusion.calibration.verdict in text


def test_synthetic_films_are_said_to_be(made) -> None:
    evaluation, curves = made
    assert "Synthetic films." in evaluation_page(evaluation, Curves(curves.findings, True))


def test_a_missing_number_is_a_dash_with_its_reason_in_a_footnote(html: str) -> None:
    page = Page(html)
    notes = [attrs["id"] for tag, attrs in page.tags if tag == "li" and "id" in attrs]
    links = {attrs["href"] for tag, attrs in page.tags if tag == "a" and "title" in attrs}
    assert {f"#{note}" for note in notes} == links
    footnotes = page.text[page.text.index("Missing numbers and intervals") :]
    assert "no film is positive" in footnotes
    assert "nan" not in page.text.lower().split()
    assert "None" not in page.text


def test_a_finding_of_few_patients_is_not_ranked(html: str) -> None:
    text = Page(html).text
    table = text[text.index("Ranking of each finding") : text.index("Numbers of each finding")]
    apart = table.index("Fewer than 30 patients")
    assert table.index("Mass") < apart < table.index("Pneumonia")


def test_loads_nothing_and_runs_one_script_of_ours(html: str) -> None:
    page = Page(html)
    for tag, attrs in page.tags:
        assert not [name for name in attrs if name.startswith("on") or name == "style"]
        assert not {"src", "action", "srcset"} & attrs.keys()
        assert (attrs.get("href") or "#").startswith("#")
        assert tag not in ("img", "link", "iframe", "object", "form")
    policy = next(a["content"] for t, a in page.tags if t == "meta" and "http-equiv" in a)
    assert re.fullmatch(
        r"default-src 'none'; style-src 'sha256-[^']+'; script-src 'sha256-[^']+'", policy or ""
    )


def test_links_and_labels_lead_somewhere(html: str) -> None:
    tags = Page(html).tags
    ids = [attrs["id"] for _, attrs in tags if "id" in attrs]
    assert len(ids) == len(set(ids))
    wanted = {attrs["href"] for tag, attrs in tags if tag == "a"}
    wanted |= {f"#{attrs[name]}" for _, attrs in tags for name in ("for", "list") if name in attrs}
    wanted |= {f"#{attrs['aria-labelledby']}" for _, attrs in tags if "aria-labelledby" in attrs}
    assert wanted <= {f"#{one}" for one in ids}
    drawings = [attrs for tag, attrs in tags if tag == "svg" and attrs.get("class") == "plot"]
    assert all(attrs["role"] == "img" and attrs["aria-label"] for attrs in drawings)
    # a finding without positive films has no ROC, no PR and no decision curve
    assert len(drawings) == 4 * 5 - 3


def test_the_explorer_holds_the_frozen_thresholds_exactly(made, html: str) -> None:
    evaluation, curves = made
    data = json.loads(Page(html).scripts[0])
    assert len(data) == len(evaluation.findings)
    for (name, finding), explorer in zip(evaluation.findings.items(), data, strict=True):
        of = curves.findings[name]
        assert (explorer["n"], explorer["found"]) == (finding.n, finding.positives)
        stops = {threshold: (called, hits) for threshold, called, hits in explorer["stops"]}
        assert list(stops) == sorted(stops)
        for point in finding.operating_points.values():
            assert point.threshold is None or point.threshold in stops
        for threshold, counts in stops.items():
            called = of.probabilities >= threshold
            assert counts == (called.sum(), (called & of.positives).sum())


def test_hostile_text_stays_text(made) -> None:
    evaluation, curves = made
    plain = Page(evaluation_page(evaluation, curves))
    effusion = evaluation.findings["Effusion"]
    for text in HOSTILE:
        none = Interval(value=None, reason=text)
        points = {text: effusion.operating_points["f1"].model_copy(update={"chosen_on": text})}
        changed = effusion.model_copy(update={"operating_points": points, "brier": none})
        hostile = evaluation.model_copy(
            update={
                **dict.fromkeys(("model", "labels", "level", "interval", "precision"), text),
                "notes": (text,),
                "policy": {text: text, "uncertain": text},
                "provenance": {text: text},
                "split": evaluation.split.model_copy(update={"name": text, "sha256": text}),
                "findings": {**evaluation.findings, text: changed},
                "subgroups": tuple(
                    group.model_copy(update={"attribute": text, "group": text})
                    for group in evaluation.subgroups
                ),
            }
        )
        findings = {**curves.findings, text: curves.findings["Effusion"]}
        html = evaluation_page(hostile, Curves(findings, synthetic=True))
        page = Page(html)
        assert {tag for tag, _ in page.tags} <= {tag for tag, _ in plain.tags} | {"strong"}
        assert len(page.scripts) == 2
        assert not [a for _, attrs in page.tags for a in attrs if a.startswith("on")]
        assert re.findall(".{40}[\u2028\u202e\x00\udcff]", html) == []
        html.encode()


def test_the_same_evaluation_gives_the_same_bytes(made, html: str) -> None:
    evaluation, curves = made
    again = Evaluation.model_validate_json(evaluation.model_dump_json())
    assert evaluation_page(again, curves) == html


@given(st.lists(st.integers(0, 1000), min_size=1, max_size=6), st.sampled_from([1000, 10_000]))
@settings(max_examples=50, deadline=None)
def test_frequencies_add_up_and_are_off_by_less_than_one(counts: list[int], total: int) -> None:
    counts = [*counts, 1]
    parts = apportion(counts, total)
    assert sum(parts) == total
    assert all(abs(p - c * total / sum(counts)) < 1 for p, c in zip(parts, counts, strict=True))


def test_footnotes_are_numbered_as_they_come_and_named_once() -> None:
    footnotes = Footnotes()
    one, two = (Interval(value=None, reason=reason) for reason in ("a", "b"))
    for interval in (one, two, one, Interval(value=0.5)):
        footnotes.number(interval)
    assert footnotes.reasons == {"a": 1, "b": 2, "no reason was given": 3}


# drawing


@given(st.floats(-5, 5), st.floats(0.001, 10))
@settings(max_examples=50, deadline=None)
def test_an_axis_has_a_few_ticks_between_its_ends(low: float, width: float) -> None:
    axis = Axis.of("x", low, low + width)
    assert 4 <= len(axis.ticks) <= 10
    assert all(-1e-6 <= axis.share(value) <= 1 + 1e-6 for value, _ in axis.ticks)


def test_a_line_passes_through_its_values() -> None:
    plot = Plot(Axis.of("x", 0.0, 2.0), Axis.of("y", -1.0, 1.0), height=100.0)
    numbers = re.findall(r"[\d.]+", plot.line([(0.0, -1.0), (0.5, 0.0), (2.0, 1.0)], "c"))
    assert [float(n) for n in numbers] == [0, 100, 66, 50, 264, 0]
    assert 'aria-label="&lt;b&gt;"' in plot.svg("<b>")


def test_a_forest_row_is_cut_at_the_axis() -> None:
    axis = Axis.of("AUROC", 0.5, 1.0)
    row = forest(axis, 0.75, (0.2, 1.0), [(0.5, "chance")], [(0.6, "rival")])
    assert 'class="whisker" x1="0.00%" x2="100.00%"' in row
    assert 'cx="50.00%"' in row
    assert 'class="rival" x1="20.00%"' in row


def test_a_network_that_has_seen_the_films_says_so_above_every_number(
    made: tuple[Evaluation, Curves],
) -> None:
    evaluation, curves = made
    note = "CONTAMINATED: the authors trained this network on nih (films)"
    known = evaluation.model_copy(update={"notes": (*evaluation.notes, note)})
    page = evaluation_page(known, curves)
    assert 0 < page.index(note) < page.index('class="headline"')
    assert terminal_summary(known, 2000).startswith(note)
    assert markdown(known).startswith(f"**{note}**")
    assert "CONTAMINATED" not in evaluation_page(evaluation, curves)
