"""Films on the screen: as they were promised, harmless, and never without the notice.

After a change of the forms that is meant, write the golden files again and read them::

    HILUM_GOLDEN=1 .venv/bin/python -m pytest tests/report/test_printed.py
"""

from __future__ import annotations

import io
import json
import os
import re
from pathlib import Path

import jsonschema
import pytest

from hilum.cli.terminal import form_of, print_batch
from hilum.domain.documents.results import ImageResult, ThresholdSource
from hilum.domain.errors import ReasonCode, Status, UsageError
from hilum.domain.members import members
from hilum.domain.notice import NOT_A_DEVICE
from hilum.report.batch import results_jsonl
from hilum.report.parts.results import BatchResults
from hilum.report.printed import printed

GOLDEN = Path(__file__).resolve().parents[1] / "golden"


@pytest.fixture
def by_hand(batch_of, scored) -> BatchResults:
    result = scored("a.png", (0.4, 0.39999, 0.00004))
    assert result.findings is not None
    given = {name: finding.at(0.4) for name, finding in result.findings.items()}
    given["Hernia"] = given["Hernia"].model_copy(update={"calibrated": False})
    update = {"findings": given, "threshold_source": ThresholdSource.HAND}
    return batch_of(result.model_copy(update=update))


@pytest.mark.parametrize("form", members("hilum.report.printed"))
def test_the_form_is_as_it_was_promised(form: str, mixed: BatchResults) -> None:
    text = printed(form).render(mixed)
    file = GOLDEN / f"printed_{form}.txt"
    if os.environ.get("HILUM_GOLDEN"):
        file.write_text(text, "utf-8", newline="\n")
    assert text == file.read_text("utf-8")


@pytest.mark.parametrize("form", members("hilum.report.printed"))
def test_nothing_that_a_terminal_obeys_comes_out(form: str, any_batch: BatchResults) -> None:
    text = printed(form).render(any_batch)
    text.encode("utf-8")
    assert re.findall(r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]", text) == []
    assert text.endswith("\n")
    assert NOT_A_DEVICE in text
    names = {result.input: result for result in any_batch.results}
    assert len(names) == len(any_batch.results)


def test_an_escape_sequence_in_a_message_is_shown(batch_of, unscored) -> None:
    failed = unscored("\x1b[31m.png", Status.ERROR, ReasonCode.NOT_AN_IMAGE, "\x1b]0;t\x07\r\n|x")
    console = printed("console").render(batch_of(failed))
    assert r"    Image : \x1b[31m.png" in console
    assert r"   Detail : \x1b]0;t\x07\r\n|x" in console
    assert "- Detail: `\\x1b]0;t\\x07\\r\\n|x`" in printed("markdown").render(batch_of(failed))


def test_the_console_block_of_a_film(mixed: BatchResults) -> None:
    text = printed("console").render(mixed)
    block = text[text.index("    Image : b.png") : text.index("    Image : c.png")]
    assert block.splitlines()[1:3] == [
        "Threshold : per finding",
        " Detected : Atelectasis, Effusion",
    ]
    assert [line.split()[:2] for line in block.splitlines() if "%" in line] == [
        *(["Atelectasis", "69.58%"], ["Effusion", "51.20%"], ["Hernia", "0.10%"]),
    ]
    assert [line.split()[0] for line in block.splitlines() if line.endswith("◄")] == [
        *("Atelectasis", "Effusion"),
    ]


def test_a_threshold_given_by_hand_is_said_to_be_none_of_the_bundles(by_hand) -> None:
    console = printed("console").render(by_hand)
    assert "Threshold : 0.4, given by hand for every finding\n Detected : Atelectasis\n" in console
    assert "Atelectasis    40.00%   threshold   40.00%  ◄\n" in console
    assert "Effusion       40.00%   threshold   40.00%\n" in console  # 39.999, and below
    assert "Hernia         <0.01%   threshold   40.00%  (not calibrated)\n" in console
    for form in ("console", "markdown"):
        assert "Threshold 0.4, given by hand for every finding" in printed(form).render(by_hand)
    document = json.loads(printed("json").render(by_hand))
    assert document["results"][0]["threshold_source"] == "hand"
    assert {f["threshold"] for f in document["results"][0]["findings"].values()} == {0.4}


def test_a_bundle_without_thresholds_calls_nothing(batch_of, scored) -> None:
    result = scored("a.png", (0.4, 0.3, 0.2))
    assert result.findings is not None
    none = {"threshold": None, "positive": None}
    bare = {name: finding.model_copy(update=none) for name, finding in result.findings.items()}
    text = printed("console").render(batch_of(result.model_copy(update={"findings": bare})))
    assert "Threshold : none\n Detected : nothing called\n" in text
    assert "◄\n" not in text


def tables(text: str) -> list[list[tuple[str, str]]]:
    """The rows of every markdown table, without head and rule."""
    found = re.findall(r"((?:^\|.*\|\n)+)", text, re.M)
    rows = [
        [tuple(c.strip() for c in r.strip("|").split("|")) for r in t.splitlines()] for t in found
    ]
    return [[(name, said) for name, said in table[2:]] for table in rows]


def test_the_markdown_of_a_film(mixed: BatchResults) -> None:
    text = printed("markdown").render(mixed)
    assert "Highest Confidence Prediction: Atelectasis (69.58%)\n\nAll Predictions:\n\n" in text
    assert "| Disease     | Confidence (%) |\n|:------------|---------------:|\n" in text
    assert tables(text)[1] == [("Atelectasis", "69.58"), ("Effusion", "51.20"), ("Hernia", "0.10")]


def test_markdown_keeps_hostile_names_in_code(hostile: BatchResults) -> None:
    text = printed("markdown").render(hostile)
    # what is left when all code is taken out is ours, or escaped
    rest = re.sub(r"(`+)(?!`).*?(?<!`)\1(?!`)", "", text)
    assert "<" not in rest.replace("<0.01", "")
    assert len(re.findall("^## ", text, re.M)) == len(hostile.results)


@pytest.mark.parametrize(
    ("name", "code"),
    [
        ("a.png", "`a.png`"),
        ("a`b", "``a`b``"),
        ("`", "`` ` ``"),
        (" a ", "`  a  `"),
        ("", "(blank)"),
    ],
)
def test_no_name_closes_its_code(name: str, code: str, batch_of, scored) -> None:
    text = printed("markdown").render(batch_of(scored("x", (0.1, 0.2, 0.3), image_id=name)))
    assert text.startswith(f"## {code}\n")


def test_json_holds_the_results_again(any_batch: BatchResults) -> None:
    text = printed("json").render(any_batch)
    document = json.loads(text)
    assert text.isascii()
    assert tuple(map(ImageResult.model_validate, document["results"])) == any_batch.results
    assert document["bundle"]["id"] == any_batch.bundle.id
    assert document["labels"]["findings"] == list(any_batch.labels)
    assert document["notice"] == NOT_A_DEVICE
    for result in document["results"]:
        jsonschema.validate(result, results_jsonl.schema())


def test_an_unknown_form_is_refused() -> None:
    with pytest.raises(
        UsageError, match=r"no printed form 'md'; there are: console, json, markdown"
    ):
        printed("md")


# the command line's own part


def test_without_a_form_only_the_path_is_printed(mixed: BatchResults, capsys) -> None:
    print_batch(mixed, form_of(None), Path("out/report.html"), quiet=False)
    assert capsys.readouterr() == (f"{Path('out/report.html')}\n", "")


@pytest.mark.parametrize("quiet", [False, True])
def test_with_a_form_the_films_are_alone_on_stdout(quiet: bool, mixed, capsys) -> None:
    print_batch(mixed, form_of("json"), Path("out/report.html"), quiet)
    out, err = capsys.readouterr()
    assert len(json.loads(out)["results"]) == len(mixed.results)
    assert err == ("" if quiet else f"{Path('out/report.html')}\n")


def test_a_terminal_without_all_characters_gets_the_films(mixed, monkeypatch) -> None:
    stream = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
    monkeypatch.setattr("sys.stdout", stream)
    print_batch(mixed, form_of("console"), Path("out/report.html"), quiet=True)
    stream.flush()
    assert b"Atelectasis    69.58%   threshold   50.00%  ?\n" in stream.buffer.getvalue()


def test_an_unknown_form_is_refused_before_anything_is_scored() -> None:
    with pytest.raises(UsageError, match="Did you mean 'console'"):
        form_of("consol")
