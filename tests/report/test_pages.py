"""The two pages: structure, numbers, and names that stay text."""

from __future__ import annotations

import csv
import io
import re
from dataclasses import replace
from html.parser import HTMLParser
from importlib.resources import files

import pytest

from hilum.domain.documents import NOT_A_DEVICE, Interval
from hilum.domain.documents.results import ThresholdSource
from hilum.domain.errors import ReasonCode, Status
from hilum.report.batch import clinical_csv, dashboard, film_report, reports
from hilum.report.batch.film_report import FilmReport
from hilum.report.parts import text as sentences
from hilum.report.parts.page import link
from hilum.report.parts.results import BatchResults, BundleFacts

PAGES = [film_report.REPORT, dashboard.REPORT]
VOID = {"meta", "img", "input", "br", "link"}
# Whatever the templates and charts write themselves; nothing else may come out.
OURS = [
    *files("hilum.report").joinpath("templates").iterdir(),
    files("hilum.report.parts").joinpath("plots.py"),
]
TAGS = {
    tag.lower()
    for file in OURS
    if file.name.endswith((".j2", ".py"))
    for tag in re.findall(r"<([a-zA-Z][a-zA-Z0-9]*)", file.read_text("utf-8"))
}


class Page(HTMLParser):
    """Tags with their attributes, and text by id; fails on tags that are not closed."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[str] = []
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
        if self._open and self._open[-1] not in ("style", "script"):
            self.texts.append(data)

    def of(self, tag: str) -> list[dict[str, str | None]]:
        return [attrs for name, attrs in self.tags if name == tag]

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.texts).split())


@pytest.mark.parametrize("report", PAGES, ids=["films", "dashboard"])
class TestEveryPage:
    def test_is_well_formed_and_made_of_known_tags_only(self, report, any_batch) -> None:
        page = Page(report.render(any_batch))
        assert {tag for tag, _ in page.tags} <= TAGS
        for _, attrs in page.tags:
            assert not [name for name in attrs if name.startswith("on") or name == "style"]

    def test_loads_nothing_from_outside(self, report, any_batch) -> None:
        for _, attrs in Page(report.render(any_batch)).tags:
            for name in ("src", "href", "action"):
                value = attrs.get(name)
                assert value is None or value.startswith(("./", "#film-"))
            assert "srcset" not in attrs

    def test_one_script_at_most_and_it_is_ours(self, report, hostile, mixed) -> None:
        scripts = [Page(report.render(batch)).of("script") for batch in (hostile, mixed)]
        assert len(scripts[0]) == len(scripts[1]) <= 1
        policy = Page(report.render(mixed)).of("meta")[1]["content"]
        assert policy is not None
        assert "unsafe" not in policy
        assert policy.startswith("default-src 'none'")

    def test_says_on_top_and_at_the_end_what_it_is_not(self, report, any_batch) -> None:
        text = Page(report.render(any_batch)).text
        assert text.split("hilum · ")[0].endswith(NOT_A_DEVICE + " ")
        assert text.endswith(NOT_A_DEVICE)

    def test_carries_the_bundle_and_its_numbers(self, report, mixed) -> None:
        text = Page(report.render(mixed)).text
        for said in (
            *("small <b>", "3f9a1c20", "bf16", "platt", "three (3)", "2026-11-19", "2026-11-20"),
            "Macro AUROC 0.823 [0.801, 0.845] over 2 of 3 findings, on split 'test' "
            "(2,560 films of 1,200 patients, ab12ab12ab12)",
        ):
            assert said in text

    def test_an_unevaluated_bundle_says_so(self, report, mixed) -> None:
        bare = BundleFacts("bare", "1", "f32", "sigmoid")
        text = Page(report.render(BatchResults(mixed.results, mixed.labels, bare))).text
        assert "Never evaluated" in text
        assert "Report made" not in text


def test_every_input_has_one_card_and_none_has_invented_numbers(mixed: BatchResults) -> None:
    page = Page(film_report.REPORT.render(mixed))
    cards = page.of("article")
    assert [card["data-name"] for card in cards] == [r.image_id for r in mixed.results]
    assert [card["data-attention"] for card in cards] == ["0", "0", "1", "1", "1", "1"]
    assert [card["data-positive"] for card in cards] == [
        *("", "Atelectasis Effusion", "Atelectasis Hernia", "", "", "")
    ]
    assert len([svg for svg in page.of("svg") if "bar" in (svg["class"] or "")]) == 9


@pytest.mark.parametrize(("most", "count"), [(1, 6), (4, 2), (5, 2), (6, 1), (7, 1)])
def test_an_archive_is_pages_that_lead_to_each_other(
    mixed: BatchResults, most: int, count: int
) -> None:
    files = {name: "".join(text) for name, text in FilmReport(most=most).files(mixed)}
    names = ["report.html", *(f"report-{number}.html" for number in range(2, count + 1))]
    assert list(files) == names
    pages = [Page(text) for text in files.values()]
    ids = [one["id"] for page in pages for one in page.of("article")]
    assert ids == [f"film-{number}" for number in range(1, 7)]
    for name, page in zip(names, pages, strict=True):
        linked = {one["href"] for one in page.of("a")}
        others = {f"./{other}" for other in names if other != name}
        assert others <= linked
        assert ("Films 1 to" in page.text) == (count > 1 and name == "report.html")
        assert "6 films" in page.text


def test_a_page_counts_its_own_films_and_tells_of_all(mixed: BatchResults) -> None:
    first, second = (Page("".join(text)) for _, text in FilmReport(most=4).files(mixed))
    assert "All 4" in first.text
    assert "All 2" in second.text
    assert "Positive 2" in first.text
    assert "Positive 0" in second.text
    assert [one.get("value") for one in second.of("option")].count("") == 1
    for page in (first, second):
        assert "2 with a positive finding" in page.text
        assert "4 need attention" in page.text


def test_what_is_called_otherwise_is_no_page() -> None:
    for name in ("-1.html", "-02.html", "-a.html", "-².html", "-2.htm", "-.html", "--2.html"):
        assert not FilmReport().owns(f"report{name}"), name


def test_images_are_linked_beside_the_page_and_described(mixed: BatchResults) -> None:
    images = Page(film_report.REPORT.render(mixed)).of("img")
    assert [image["src"] for image in images] == [
        *("./films/a.jpg", "./films/b.jpg", "./maps/b%20A.png", "./maps/b%23E.png"),
        *("./films/c.jpg", "./maps/c_H.png"),
    ]
    assert all(image["alt"] and image["loading"] == "lazy" for image in images)


def test_probabilities_are_sorted_and_positives_marked_by_more_than_color(batch_of, scored):
    html = film_report.REPORT.render(batch_of(scored("a.png", (0.3, 0.6, 0.2))))
    text = Page(html).text
    table = text[text.index("Calibrated probabilities") :]
    assert table.index("Effusion") < table.index("Atelectasis") < table.index("Hernia")
    assert "▲ Effusion 60.0% 25.0%" in table
    assert "▲ Hernia 20.0% 1.0%" in table
    assert " Atelectasis 30.0% 50.0%" in table
    assert "▲ Atelectasis" not in table


def test_captions_say_what_a_heatmap_is(batch_of, scored) -> None:
    maps = {"Atelectasis": "maps/a.png"}
    result = scored("a.png", (0.9, 0.0, 0.0), film="films/a.jpg", maps=maps)
    assert result.findings is not None
    zones = result.findings["Atelectasis"].model_copy(update={"regions": ("left mid zone",)})
    named = result.model_copy(update={"findings": {**result.findings, "Atelectasis": zones}})
    empty = result.model_copy(update={"codes": (ReasonCode.EMPTY_HEATMAP,), "status": Status.WARN})
    render = film_report.REPORT.render
    said = Page(render(batch_of(named))).text
    assert "regions that raised the score: left mid zone; supporting evidence" in said
    assert "no region raised the score" in Page(render(batch_of(empty))).text


@pytest.mark.parametrize("sheets", [False, True])
def test_results_of_an_older_version_show_their_overlays(batch_of, scored, sheets: bool) -> None:
    old = scored(
        "a.png", (0.9, 0.0, 0.0), film="films/a.jpg", heatmaps={"Atelectasis": "overlays/a.png"}
    )
    batch = replace(batch_of(old), sheets=sheets)
    page = Page(film_report.REPORT.render(batch))
    images = [image["src"] for image in page.of("img")]
    assert images == [*([] if sheets else ["./films/a.jpg"]), "./overlays/a.png"]
    assert ("reading sheets" in [one.get("class") for one in page.of("div")]) == sheets


def test_every_map_has_its_words_and_the_legend_says_what_colors_are(batch_of, scored) -> None:
    maps = {name: f"maps/a__{name}.png" for name in ("Hernia", "Atelectasis")}
    result = scored("a.png", (0.9, 0.0, 0.0), film="films/a.jpg", maps=maps)
    page = Page(film_report.REPORT.render(batch_of(result)))
    shown = [(one["data-finding"], one["class"]) for one in page.of("img")[1:]]
    assert shown == [("Atelectasis", "map shown"), ("Hernia", "map")]
    assert page.text.count("supporting evidence, not the location of disease") == 2
    assert "Each map is colored to its own maximum" in page.text


def test_reasons_are_sentences(mixed: BatchResults) -> None:
    text = Page(film_report.REPORT.render(mixed)).text
    for code in (ReasonCode.RANGE_INFERRED, ReasonCode.DECODE_TRUNCATED):
        assert f"{sentences.REASONS[code]} {code}" in text
    assert "Detail: ends at byte 17" in text


def test_every_code_and_status_has_a_sentence() -> None:
    assert set(sentences.REASONS) == set(ReasonCode)
    assert set(sentences.STATUSES) == set(Status)
    assert all(text.endswith(".") and text[0].isupper() for text in sentences.REASONS.values())


def test_intervals_that_are_missing_are_said_to_be() -> None:
    assert Interval(value=0.5).in_words() == "0.500 [no interval: none was made]"


@pytest.mark.parametrize(
    "path", ["javascript:alert(1)", "//evil/x", "https://evil/x", "\udcff", "?a#b"]
)
def test_links_stay_below_the_folder(path: str) -> None:
    address = link(path)
    assert address.startswith("./")
    assert not set(address) & set(":?#\"'<> ")
    assert address.isascii()


def counts(html: str, section: str) -> dict[str | None, int]:
    part = html[html.index(f'id="{section}"') :]
    rows = Page(f"<section {part[: part.index('</section>')]}</section>").tags
    return {a["data-name"]: int(a["data-count"] or -1) for _, a in rows if "data-count" in a}


def test_dashboard_counts_are_those_of_the_csv(any_batch: BatchResults) -> None:
    html = dashboard.REPORT.render(any_batch)
    rows = list(csv.DictReader(io.StringIO(clinical_csv.REPORT.render(any_batch), newline="")))
    calls = [[row[f"{name}_positive"] for name in any_batch.labels] for row in rows]
    scored = [call for call, row in zip(calls, rows, strict=True) if row["status"] in "ok warn"]
    assert counts(html, "findings") == {
        name: sum(call[i] == "1" for call in calls) for i, name in enumerate(any_batch.labels)
    }
    outcomes = counts(html, "outcomes")
    assert outcomes["with a positive finding"] == sum("1" in call for call in scored)
    assert outcomes["none above threshold"] == sum(
        "1" not in call and "0" in call for call in scored
    )
    assert outcomes["not scored"] == len(rows) - len(scored)
    assert sum(outcomes.values()) == len(rows)
    statuses = {name: n for name, n in counts(html, "statuses").items() if name in set(Status)}
    assert statuses == {s.value: [row["status"] for row in rows].count(s) for s in Status}
    views = counts(html, "views")
    assert views == {view: [row["view"] for row in rows].count(str(view)) for view in views}
    assert sum(views.values()) == len(rows)
    a_film = counts(html, "a-film")
    assert a_film == {
        number: sum(call.count("1") == int(str(number)) for call in scored) for number in a_film
    }
    assert sum(a_film.values()) == len(scored)


def test_the_headline_counts_the_looks_at_test(mixed: BatchResults) -> None:
    evaluation = mixed.bundle.evaluation
    assert evaluation is not None
    looked = evaluation.model_copy(update={"look": 3})
    assert "look number 3 at these films" in sentences.evaluation_headline(looked)
    assert "look number" not in sentences.evaluation_headline(evaluation)


@pytest.mark.parametrize("report", PAGES, ids=["films", "dashboard"])
def test_every_file_of_a_batch_is_a_click_away(report, mixed: BatchResults) -> None:
    links = [attrs["href"] for attrs in Page(report.render(mixed)).of("a")]
    assert sorted(str(to) for to in links[:4]) == sorted(
        link(one.filename) for one in reports().values()
    )


@pytest.mark.parametrize("report", PAGES, ids=["films", "dashboard"])
def test_a_threshold_given_by_hand_is_on_every_page(report, batch_of, scored) -> None:
    bundles = scored("a.png", (0.4, 0.2, 0.1))
    assert bundles.findings is not None
    given = {name: finding.at(0.4) for name, finding in bundles.findings.items()}
    update = {"findings": given, "threshold_source": ThresholdSource.HAND}
    hand = bundles.model_copy(update=update)
    said = "Threshold 40.0% , given by hand for every finding, not chosen on any films"
    assert said in Page(report.render(batch_of(hand))).text
    assert "by hand" not in Page(report.render(batch_of(bundles))).text


def test_a_card_says_of_the_patient_what_the_result_says(batch_of, scored) -> None:
    known = scored("a.png", (0.4, 0.2, 0.1), view="PA", sex="F", age_years=63.9, patient="<9d06>")
    html = film_report.REPORT.render(batch_of(known))
    assert "PA · F · 63 years · patient <9d06> · 1 of 1" in Page(html).text
    bare = film_report.REPORT.render(batch_of(scored("a.png", (0.4, 0.2, 0.1))))
    assert "view unknown · 1 of 1" in Page(bare).text


def test_films_of_one_study_stand_together(batch_of, scored) -> None:
    scores = (0.9, 0.3, 0.0)
    batch = batch_of(
        scored("a", scores, study_instance_uid="p-1"),
        scored("b", scores),
        scored("c", scores, study_instance_uid="p-2"),
        scored("d", scores, study_instance_uid="p-1"),
        scored("e", scores),
    )
    page = "".join(FilmReport().pieces(batch))
    assert re.findall(r'<article[^>]*data-name="(\w)"', page) == list("adbce")
    assert re.findall(r"film \d of \d of its study", page) == [
        "film 1 of 2 of its study",
        "film 2 of 2 of its study",
    ]


def test_the_dashboard_names_every_input_without_a_score(mixed: BatchResults, batch_of) -> None:
    html = dashboard.REPORT.render(mixed)
    section = html[
        html.index('<section class="card" id="unscored"') : html.index(
            '<section class="card" id="spreads"'
        )
    ]
    part = Page(section)
    assert "error in/d.png DECODE_TRUNCATED ends at byte 17" in part.text
    assert "reject in/e.dcm VIEW_NOT_FRONTAL" in part.text
    assert "in/a.png" not in part.text
    scored = [result for result in mixed.results if result.status.scored]
    assert 'id="unscored"' not in dashboard.REPORT.render(batch_of(*scored))


def test_of_very_many_without_a_score_the_dashboard_shows_the_first(batch_of, unscored) -> None:
    many = (unscored(f"{n:04d}", Status.ERROR, ReasonCode.EMPTY_FILE) for n in range(201))
    text = Page(dashboard.REPORT.render(batch_of(*many))).text
    assert "in/0199" in text
    assert "in/0200" not in text
    assert "The first 200" in text
