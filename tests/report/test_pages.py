"""The two pages: structure, numbers, and names that stay text."""

from __future__ import annotations

import csv
import io
import re
from collections import Counter
from dataclasses import replace
from html.parser import HTMLParser
from importlib.resources import files
from itertools import permutations

import numpy as np
import pytest

from hilum.domain.documents import Interval, SplitFacts
from hilum.domain.documents.results import FindingResult, ImageResult, ThresholdSource
from hilum.domain.errors import ReasonCode, Status
from hilum.domain.findings import LabelSet
from hilum.domain.notice import NOT_A_DEVICE
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
    files("hilum.report.parts").joinpath("score_bars.py"),
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
    assert sorted(str(card["data-name"]) for card in cards) == [r.image_id for r in mixed.results]
    facts = [(c["data-name"], c["data-attention"], c["data-outcome"]) for c in cards]
    assert facts == [
        ("c.png", "1", "positive"),
        ("b.png", "0", "positive"),
        ("a.png", "0", "negative"),
        ("d.png", "1", "unscored"),
        ("e.dcm", "1", "unscored"),
        ("f.pdf", "1", "unscored"),
    ]
    assert [card["data-positive"] for card in cards] == [
        *("Atelectasis|Hernia", "Atelectasis|Effusion", "", "", "", "")
    ]
    assert len([svg for svg in page.of("svg") if "bar" in (svg["class"] or "").split()]) == 9


def test_films_come_by_margin_and_those_without_a_score_are_folded_at_the_end(
    mixed: BatchResults,
) -> None:
    html = film_report.REPORT.render(mixed)
    order = [float(card["data-priority"] or "nan") for card in Page(html).of("article")]
    assert order == sorted(order, reverse=True)
    folded = html[html.index('<details id="unscored-films"') :]
    assert not folded.startswith('<details id="unscored-films" class="unscored-films" open')
    assert re.findall(r'data-name="([^"]+)"', folded) == ["d.png", "e.dcm", "f.pdf"]
    assert "Not scored: 3 inputs, each with its reason" in folded


def test_a_page_of_films_without_a_score_shows_them(batch_of, unscored) -> None:
    html = film_report.REPORT.render(batch_of(unscored("a", Status.ERROR, ReasonCode.EMPTY_FILE)))
    assert '<details id="unscored-films" class="unscored-films" open>' in html
    assert '<details id="unscored-films"' not in film_report.REPORT.render(batch_of())


@pytest.mark.parametrize(("most", "count"), [(1, 6), (4, 2), (5, 2), (6, 1), (7, 1)])
def test_an_archive_is_pages_that_lead_to_each_other(
    mixed: BatchResults, most: int, count: int
) -> None:
    files = {name: "".join(text) for name, text in FilmReport(most=most).files(mixed)}
    names = ["report.html", *(f"report-{number}.html" for number in range(2, count + 1))]
    assert list(files) == names
    pages = [Page(text) for text in files.values()]
    ids = [one["id"] for page in pages for one in page.of("article")]
    assert sorted(map(str, ids)) == [f"film-{number}" for number in range(1, 7)]
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
        *("./films/c.jpg", "./maps/c_H.png", "./films/b.jpg", "./maps/b%20A.png"),
        *("./maps/b%23E.png", "./films/a.jpg"),
    ]
    assert all(image["alt"] and image["loading"] == "lazy" for image in images)


def test_scores_are_grouped_and_positives_marked_by_more_than_color(batch_of, scored):
    html = film_report.REPORT.render(batch_of(scored("a.png", (0.45, 0.6, 0.001))))
    text = Page(html).text
    table = text[text.index("Calibrated probabilities") :]
    assert "At or above threshold 1 ▲ Effusion 60.0% , above its threshold of 25.0%" in table
    assert "Near threshold 1 Atelectasis 45.0% , below its threshold of 50.0%" in table
    assert "Below threshold 1 Hernia 0.1% threshold 1.0%" in table
    assert table.count("▲") == 1


def test_a_probability_in_the_accent_color_has_its_threshold_beside_it(any_batch) -> None:
    html = film_report.REPORT.render(any_batch)
    marked = re.findall(r'<tr class="positive">.*?</tr>', html, re.DOTALL)
    assert len(marked) == sum(len(result.positives) for result in any_batch.results)
    assert all("its threshold of" in row for row in marked)
    assert not re.search(r'class="summary found">[^<]*%', html)


def test_findings_without_a_threshold_have_a_plain_row(batch_of, scored) -> None:
    none = {
        "Atelectasis": FindingResult.called(0.3, 0.5, calibrated=True),
        "Effusion": FindingResult.called(0.6, 0.25, calibrated=True),
        "Hernia": FindingResult.called(0.2, None, calibrated=True),
    }
    html = film_report.REPORT.render(batch_of(scored("a.png", (0.3, 0.6, 0.2), findings=none)))
    assert "Not called 1 Hernia 20.0% ; no threshold, so not called" in Page(html).text
    row = html[html.index('<tbody class="uncalled">') :]
    assert "<svg" not in row[: row.index("</tbody>")]


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
    if scored:
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
    if any(row["view"] != "unknown" for row in rows):
        views = counts(html, "views")
        assert views == Counter(row["view"] for row in rows)
    else:
        assert 'id="views"' not in html
    if scored:
        a_film = counts(html, "a-film")
        assert a_film == {
            number: sum(call.count("1") == int(str(number)) for call in scored) for number in a_film
        }
        assert sum(a_film.values()) == len(scored)


def test_pairs_of_positive_findings_are_those_of_the_csv(any_batch: BatchResults) -> None:
    html = dashboard.REPORT.render(any_batch)
    rows = csv.DictReader(io.StringIO(clinical_csv.REPORT.render(any_batch), newline=""))
    expected: Counter[str] = Counter()
    positive: set[str] = set()
    for row in rows:
        found = [name for name in any_batch.labels if row[f"{name}_positive"] == "1"]
        positive.update(found)
        expected.update(f"{a} {b}" for a, b in permutations(found, 2))
    if not expected:
        assert 'id="together"' not in html
        return
    shown = counts(html, "together")
    assert shown == {f"{a} {b}": expected[f"{a} {b}"] for a, b in permutations(positive, 2)}


def test_ages_and_sexes_are_those_of_the_csv(batch_of, scored, unscored) -> None:
    people = ((63.9, "F"), (60.0, "M"), (90.0, "F"), (7.0, "F"), (None, "M"), (61.0, "unknown"))
    films = [
        scored(f"{k}.png", (0.4, 0.2, 0.1), age_years=age, sex=sex)
        for k, (age, sex) in enumerate(people)
    ]
    batch = batch_of(*films, unscored("x", Status.ERROR, ReasonCode.EMPTY_FILE))
    shown = counts(dashboard.REPORT.render(batch), "people")
    rows = csv.DictReader(io.StringIO(clinical_csv.REPORT.render(batch), newline=""))
    words = {"F": "female", "M": "male", "": "sex unknown"}
    expected: Counter[str] = Counter()
    for row in rows:
        start = int(float(row["age_years"] or -1)) // 10 * 10
        decade = f"{start}–{start + 9}" if start < 90 else "90+"
        expected[f"{decade if row['age_years'] else 'age unknown'} {words[row['sex']]}"] += 1
    assert {name: count for name, count in shown.items() if count} == expected
    assert sum(shown.values()) == 7


def test_a_mean_probability_stands_beside_the_prevalence(mixed: BatchResults) -> None:
    calibrated = replace(
        mixed.bundle,
        prevalence={"Atelectasis": 0.1, "Hernia": 0.002},
        calibrated_on=SplitFacts(name="calibrate", sha256="0", images=720, patients=320),
    )
    html = dashboard.REPORT.render(replace(mixed, bundle=calibrated))
    rows = list(csv.DictReader(io.StringIO(clinical_csv.REPORT.render(mixed), newline="")))
    means = dict(re.findall(r'data-name="(\w+)" data-mean="([^"]+)"', html))
    assert {name: float(mean) for name, mean in means.items()} == {
        name: pytest.approx(np.mean([float(row[name]) for row in rows if row[name]]))
        for name in ("Atelectasis", "Hernia")
    }
    text = Page(html).text
    assert "Atelectasis 43.2% [8.8%, 77.6%] 10.0% 4.3 ×" in text.replace("0%10%", "")
    assert "from split calibrate (720 films of 320 patients)" in text


def test_what_a_batch_does_not_know_has_no_part(batch_of, scored, unscored) -> None:
    html = dashboard.REPORT.render(batch_of(scored("a.png", (0.9, 0.1, 0.0))))
    for part in ("people", "views", "together", "means", "unscored"):
        assert f'id="{part}"' not in html, part
    html = dashboard.REPORT.render(batch_of(unscored("x", Status.ERROR, ReasonCode.EMPTY_FILE)))
    for part in ("findings", "a-film", "spreads"):
        assert f'id="{part}"' not in html, part


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


def test_a_study_stands_where_its_film_with_the_largest_margin_would(batch_of, scored) -> None:
    low, high = (0.1, 0.1, 0.0), (0.9, 0.3, 0.0)
    batch = batch_of(
        scored("a", low, study_instance_uid="p-1"),
        scored("b", (0.6, 0.1, 0.0)),
        scored("c", high, study_instance_uid="p-1"),
    )
    page = film_report.REPORT.render(batch)
    assert re.findall(r'<article[^>]*data-name="(\w)"', page) == ["a", "c", "b"]


def test_films_of_a_patient_lead_to_each_other(batch_of, scored) -> None:
    scores = (0.9, 0.3, 0.0)
    batch = batch_of(
        *(scored(name, scores, patient="p-<7>") for name in ("a", "c", "<d>")),
        scored("b", scores, patient="p-2"),
        scored("e", scores),
    )
    html = film_report.REPORT.render(batch)
    kin = re.findall(r'<p class="kin">(.*?)</p>', html)
    assert len(kin) == 3
    numbers = dict(re.findall(r'id="film-(\d)"[^>]*data-name="([^"]+)"', html))
    for line in kin:
        assert line.startswith("2 more films of this patient: ")
        for number, name in re.findall(r'<a href="#film-(\d)">(.*?)</a>', line):
            assert numbers[number] == name
    first = "".join(next(iter(FilmReport(most=4).files(batch)))[1])
    assert "of this patient on this page: " in first


def test_people_read_display_names_and_programs_the_keys() -> None:
    labels = LabelSet("one", ("Pleural_Thickening",))
    result = ImageResult(
        input="a",
        image_id="a",
        sha256=None,
        status=Status.OK,
        findings={"Pleural_Thickening": FindingResult.called(0.3, 0.1, calibrated=True)},
        bundle="b",
        precision="f32",
    )
    batch = BatchResults((result,), labels, BundleFacts("b", "b", "f32", "platt"))
    for page in (film_report.REPORT, dashboard.REPORT):
        html = page.render(batch)
        assert "Pleural thickening" in Page(html).text
        assert "Pleural_Thickening" not in Page(html).text
        assert "finding=Pleural_Thickening" in html or 'value="Pleural_Thickening"' in html
    header, row = csv.reader(io.StringIO(clinical_csv.REPORT.render(batch), newline=""))
    assert "Pleural_Thickening" in header
    assert "Pleural thickening (30.0%)" in row


@pytest.mark.parametrize(
    ("view", "codes", "said"),
    [
        ("PA", (), True),
        ("unknown", (), False),
        ("LL", (), False),
        ("PA", (ReasonCode.MIRRORED_SUSPECTED,), False),
    ],
)
def test_sides_are_told_where_the_header_says_frontal(batch_of, scored, view, codes, said) -> None:
    status = Status.WARN if codes else Status.OK
    film = scored("a", (0.1, 0.1, 0.0), view=view, codes=codes, status=status)
    assert ("Frontal by its header" in film_report.REPORT.render(batch_of(film))) is said


def test_counts_of_the_dashboard_lead_to_the_filtered_report(mixed: BatchResults) -> None:
    html = dashboard.REPORT.render(mixed)
    views = re.findall(r'href="\./report\.html#([^"]+)">([\d,]+)<', html)
    counted = {view.replace("&amp;", "&"): count for view, count in views}
    assert counted["show=positive"] == "2"
    assert counted["show=negative"] == "1"
    assert counted["show=unscored"] == "3"
    assert counted["show=positive&finding=Atelectasis"] == "2"
    assert counted["status=warn"] == "1"
    assert counted["reason=RANGE_INFERRED"] == "1"
    assert "0" not in counted.values()


def test_the_notice_is_inside_a_landmark(any_batch: BatchResults) -> None:
    for report in PAGES:
        html = report.render(any_batch)
        body = html[html.index("<body>") : html.index("</body>")]
        assert (
            body.removeprefix("<body>")
            .lstrip()
            .startswith('<aside class="notice" aria-label="Notice">')
        )
        assert f'<footer><p class="notice">{NOT_A_DEVICE}' in html
