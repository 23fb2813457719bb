"""Text that is code elsewhere stays text: names, notes and readers, in JSON, headers and CSV."""

from __future__ import annotations

import csv
import io
import json
import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd
import pytest

pytest.importorskip("fastapi", reason="hilum[serve] is not installed")

from hilum.service.parts import open_store

if TYPE_CHECKING:
    from conftest import Running, Send, Start

SCRIPTS = (
    *("<script>alert(1)</script>", "</script><script>alert(1)</script>", "<ScRiPt>alert(1)//"),
    *("<script src=//evil.example/a.js></script>", "<script\n>alert(1)</script\n>"),
    *("<img src=x onerror=alert(1)>", '"><img src=x onerror=alert(1)>', "'><img src=x>"),
    *("<svg onload=alert(1)>", "<svg/onload=alert(1)//", "<svg><script>alert&#40;1)</script>"),
    *("<svg><animate onbegin=alert(1) attributeName=x dur=1s>", "<svg><a xlink:href=javascript:1>"),
    *(
        "<math><mtext><table><mglyph><style><img src=x onerror=alert(1)>",
        "<details open ontoggle=1>",
    ),
    *("<template><script>alert(1)</script></template>", "<iframe srcdoc='<script>1</script>'>"),
    *("<iframe src=javascript:alert(1)>", "<object data=javascript:alert(1)>", "<embed src=a.swf>"),
    *("<body onload=alert(1)>", "<input autofocus onfocus=alert(1)>", "<video><source onerror=1>"),
    *("<audio src onerror=alert(1)>", "<marquee onstart=alert(1)>", "<base href=//evil.example/>"),
    *("<meta http-equiv=refresh content=0;url=//evil.example>", "<link rel=stylesheet href=//e>"),
    *("<style>@import '//evil.example'</style>", "<form action=//e><button>a", "<!--<script>-->"),
    *(
        "<![CDATA[<script>alert(1)</script>]]>",
        "<?xml version='1.0'?><!DOCTYPE a>",
        "<noscript><p>",
    ),
    *(
        "javascript:alert(1)",
        "data:text/html,<script>1</script>",
        "&lt;script&gt;",
        "&#x3c;script>",
    ),
    *("%3Cscript%3Ealert(1)%3C/script%3E", "\\u003cscript\\u003e", "\\x3cscript\\x3e", "\\';1//"),
    *("{{7*7}}", "${7*7}", "#{7*7}", "<%= 7*7 %>", "{% raw %}", "%s%n%x", "`${alert(1)}`"),
    *("'; DROP TABLE film; --", '" OR ""="', "1 UNION SELECT secret FROM token", "$(id)", "|id"),
    *("__proto__", "constructor", "null", "NaN", "[object Object]", "toString"),
    *("a\u2028b", "a\u2029b", "\u202egnp.exe", "a\u200bb", "\ufeffa", "a\u0000b", "a\x1b[31mb"),
    *("a\r\nSet-Cookie: a=b", "a\nb", "a\tb", "a\x85b", "\U0001f9d0" * 9, "\u0130\u0131"),
)
FORMULAS = (
    *("=cmd|' /C calc'!A0", "=1+1", "+1+1", "-1+1", "@SUM(1)", "\t=1+1", "\r=1+1", "\n=1+1"),
    *(" =1+1", '=HYPERLINK("//evil.example")', "\uff1d1+1", "=DDE(1)", '"=1+1', ";=1+1", "'=1"),
)
TEXTS = (*SCRIPTS, *FORMULAS)
TEXT = "one => one.textContent"
ALL_TEXTS = "all => all.map(one => one.textContent)"
STARTS = ("=", "+", "-", "@", "\t", "\r", "\n", "\uff1d", "\uff0b", "\uff0d", "\uff20")


@pytest.fixture(scope="module")
def own(start: Start, tmp_path_factory: pytest.TempPathFactory) -> Running:
    """A service of this file alone, whose exports hold these texts and no others."""
    return start("starter", store=tmp_path_factory.mktemp("texts") / "store")


@pytest.fixture(scope="module")
def sent(own: Running, send: Send) -> list[tuple[str, str]]:
    """Each text as the name of a film, and in a note on it: text and film."""
    assert len(set(TEXTS)) >= 60
    client = own.client("admin")
    made: list[tuple[str, str]] = []
    for number, text in enumerate(TEXTS):
        answer = send(client, f"no film {number}".encode(), text)
        assert answer.status_code == 201, text
        film = answer.json()["id"]
        made.append((text, film))
        reading = {"note": text, "findings": {"Mass": "present"}}
        given = client.put(f"/v1/films/{film}/verdict", json=reading, headers={"If-Match": '"0"'})
        assert given.status_code == 201, text
        assert given.json()["note"] == text
    return made


def test_names_and_notes_come_back_equal(own: Running, sent: list[tuple[str, str]]) -> None:
    client = own.client("read")
    known = set(client.get("/healthz").headers) | {"etag", "location"}
    for text, film in sent:
        for place in (f"/v1/films/{film}", f"/v1/films/{film}/history"):
            answer = client.get(place)
            assert answer.headers["content-type"] == "application/json"
            assert answer.headers["x-content-type-options"] == "nosniff"
            assert set(answer.headers) <= known
        assert answer.json()["readings"][0]["note"] == text
        assert client.get(f"/v1/films/{film}").json()["name"] == text
    listed = client.get("/v1/films", params={"limit": 200}).json()["films"]
    assert {film["id"]: film["name"] for film in listed} == {film: text for text, film in sent}


def test_searches_are_texts_too(own: Running, sent: list[tuple[str, str]]) -> None:
    client = own.client("read")
    for text, film in sent:
        found = client.get("/v1/films", params={"q": text, "limit": 200}).json()["films"]
        assert film in {one["id"] for one in found}, text
        assert all(text.lower() in one["name"].lower() for one in found)


def test_tables_hold_no_formula(own: Running, sent: list[tuple[str, str]]) -> None:
    client = own.client("review")
    for name in ("labels.csv", "boxes.csv"):
        answer = client.get(f"/v1/export/{name}")
        rows = list(csv.reader(io.StringIO(answer.text, newline="")))
        assert {len(row) for row in rows} == {len(rows[0])}
        cells = [cell for row in rows[1:] for cell in row]
        frame = pd.read_csv(io.StringIO(answer.text, newline=""), dtype=str, keep_default_na=False)
        assert [list(row) for row in frame.to_numpy()] == rows[1:]
        starts = [cell for cell in cells if cell.lstrip(" ").startswith(STARTS)]
        assert set(starts) <= {"-1"}
        if name == "labels.csv":
            assert len(rows) == 1 + len(sent)
    lines = client.get("/v1/export/verdicts.jsonl").text.splitlines()
    notes = {json.loads(line)["film"]: json.loads(line)["note"] for line in lines}
    assert notes == {film: text for text, film in sent}


@pytest.mark.slow
def test_a_spreadsheet_finds_no_formula(
    own: Running, sent: list[tuple[str, str]], tmp_path: Path
) -> None:
    """LibreOffice opens the tables, and one with a formula, to show that it would find it."""
    program = shutil.which("soffice")
    if program is None:
        pytest.skip("LibreOffice is not installed (Debian: libreoffice-calc-nogui)")
    client = own.client("review")
    tables = [tmp_path / name for name in ("labels.csv", "boxes.csv", "formula.csv")]
    for table in tables[:2]:
        table.write_bytes(client.get(f"/v1/export/{table.name}").content)
    tables[2].write_text("a,b\n=1+1,2\n")
    profile = f"-env:UserInstallation={(tmp_path / 'profile').as_uri()}"
    words = [program, profile, "--headless", "--convert-to", "fods", "--outdir", tmp_path, *tables]
    subprocess.run(words, check=True, capture_output=True, timeout=300)
    opened = [table.with_suffix(".fods").read_text("utf-8") for table in tables]
    assert ["table:formula" in one for one in opened] == [False, False, True]
    assert opened[0].count("<table:table-row") >= len(sent)


@pytest.fixture(scope="module")
def readers(own: Running, sent: list[tuple[str, str]]) -> dict[str, str]:
    """Readers with these names, each with a reading and its name as note: name and token."""
    film = sent[0][1]
    store = open_store(own.store)
    tokens = {
        name: store.tokens.add(name, ["review"])
        for name in dict.fromkeys(text for text in TEXTS if text.isprintable())
    }
    store.close()
    client = own.client("review")
    for name, token in tokens.items():
        client.headers["Authorization"] = f"Bearer {token}"
        version = client.get(f"/v1/films/{film}").headers["etag"]
        given = client.put(
            f"/v1/films/{film}/verdict",
            json={"findings": {"Mass": "absent"}, "note": name},
            headers={"If-Match": version},
        )
        assert given.json()["reader_name"] == name
    return tokens


def test_readers_have_their_names_and_exports_a_pseudonym(
    own: Running, sent: list[tuple[str, str]], readers: dict[str, str]
) -> None:
    assert len(readers) >= 60
    film = sent[0][1]
    client = own.client("review")
    for name, token in readers.items():
        client.headers["Authorization"] = f"Bearer {token}"
        assert client.get("/v1/session").json()["name"] == name
    history = own.client("read").get(f"/v1/films/{film}/history").json()["readings"]
    assert {one["reader_name"] for one in history} >= set(readers)
    table = csv.DictReader(io.StringIO(own.client("review").get("/v1/export/labels.csv").text))
    assert {row["reader"][0] for row in table} == {"R"}
    log = own.errors.read_text()
    assert not [name for name in readers if len(name) > 8 and name in log]


def test_the_log_holds_no_text(own: Running, sent: list[tuple[str, str]]) -> None:
    log = own.errors.read_text()
    assert not [text for text, _ in sent if len(text) > 8 and text in log]
    assert own.outside() == []


@pytest.mark.slow
def test_the_page_shows_texts_as_they_are_and_runs_none(
    own: Running, sent: list[tuple[str, str]], readers: dict[str, str], browser: Any
) -> None:
    """Names of films in the list, readers and notes in a history, and whose page it is.

    The page is tall enough for the whole list.
    """
    context = browser.new_context(viewport={"width": 1400, "height": 9000})
    page = context.new_page()
    troubles: list[str] = []
    requests: list[str] = []

    def said(message: Any) -> None:
        troubles.append(message.text)

    def failed(error: Any) -> None:
        troubles.append(str(error))

    def asked(request: Any) -> None:
        requests.append(request.url)

    def opened(dialog: Any) -> None:
        troubles.append(dialog.message)
        dialog.dismiss()

    page.on("console", said)
    page.on("pageerror", failed)
    page.on("request", asked)
    page.on("dialog", opened)
    name = SCRIPTS[0]
    page.goto(f"{own.url}/")
    page.get_by_label("Token").fill(readers[name])
    page.keyboard.press("Enter")
    page.locator(".who bdi").wait_for()
    assert page.locator(".who bdi").evaluate(TEXT) == name
    page.evaluate("location.hash = '#/films?state=not_scored'")
    page.locator(".space .row .name a bdi").nth(len(sent) - 1).wait_for()
    listed = page.locator(".space .row .name a bdi").evaluate_all(ALL_TEXTS)
    assert sorted(listed) == sorted(text for text, _ in sent)
    page.evaluate(f"location.hash = '#/films/{sent[0][1]}'")
    page.locator(".versions > summary").click()
    page.locator(".versions li").nth(len(readers)).wait_for()
    shown = page.locator(".versions li > bdi").evaluate_all(ALL_TEXTS)
    notes = page.locator(".versions li q bdi").evaluate_all(ALL_TEXTS)
    assert shown == [*reversed(readers), "anna"]
    assert notes == [*reversed(readers), sent[0][0]]
    assert page.evaluate("document.scripts.length") == page.locator("head script").count()
    context.close()
    assert troubles == []
    assert [url for url in requests if not url.startswith((own.url, "blob:"))] == []
