"""The configuration is read strictly, and the words of `hilum node` say what is there."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("pynetdicom", reason="hilum[dicom] is not installed")

from hilum.domain.errors import UsageError
from hilum.node.books import NodeBooks
from hilum.node.records import FilmOutcome, FilmState, ReceivedFilm
from hilum.node.settings import load_settings

BASE = "spool: spool\n"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("listen:\n  dicom: {prot: 3}\n", "node.yaml:3: listen.dicom.prot: no such field"),
        ("listen:\n  dicom:\n    tls: {}\n", "listen.dicom.tls.certificate: Field required"),
        ("listen:\n  status: {host: 0.0.0.0}\n", "must be for this machine alone"),
        ("listen:\n  status: {port: 11112}\n", "listeners must have a port each"),
        ("keep: {received_days: 0}\n", "node.yaml:2: keep.received_days"),
        ("listen:\n  dicomweb: {port: 1}\n", "listen.dicomweb.tokens: Field required"),
        (
            "listen:\n  dicomweb: {port: 1, tokens: t, host: 0.0.0.0}\n",
            "others can reach needs `tls`",
        ),
        ("listen:\n  dicomweb: {port: 11112, tokens: t}\n", "11112 is listen.dicom's and"),
        ("sources: [{name: a, kind: ftp}]\n", "sources.0.kind: the kind must be one of dicom, d"),
        ("sources:\n  - {name: a, kind: dicomweb, url: 'http://vna.example/w'}\n", "with https://"),
        ("spool: other\n", "node.yaml:2: spool: this key is in line 1 already"),
        ("listen:\n  dicom: {host: 0.0.0.0}\n", "that others can reach needs `tls`, or `calling`"),
        ("listen:\n  dicom: {ae_title: seventeen-letters}\n", "an AE title must have 1 to 16"),
        ("listen:\n  dicom: {calling: {A: [10.0.0.x]}}\n", "not appear to be an IPv4"),
        ("results: {kinds: [sr, xx]}\n", "no DICOM object 'xx'"),
        ("group: {quiet_s: 20, at_most_s: 3}\n", "at_most_s must be at least quiet_s"),
        ("accept: {sop_classes: [CT]}\n", "accept.sop_classes"),
        ("- a\n", "must be YAML"),
    ],
)
def test_what_is_wrong_is_said_with_its_line(tmp_path: Path, text: str, words: str) -> None:
    (tmp_path / "node.yaml").write_text(BASE + text)
    with pytest.raises(UsageError) as refused:
        load_settings(tmp_path / "node.yaml")
    assert words in str(refused.value)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    ("one", "words"),
    [
        ("kind: stow", "node.yaml: destinations.0.url: Field required"),
        ("comit: true", "node.yaml:3: destinations.0.comit: no such field. Did you mean"),
        ("sr: basic", "destinations.0.sr"),
        ("port: 11112, host: 127.0.0.1", "must not be the node itself"),
    ],
)
def test_destinations_have_what_is_built_alone(tmp_path: Path, one: str, words: str) -> None:
    parts = {"name": "pacs", "host": "127.0.0.1", "port": "104", "ae_title": "PACS1"}
    parts.update(pair.split(": ") for pair in one.split(", "))
    line = ", ".join(f"{name}: {value}" for name, value in parts.items())
    (tmp_path / "node.yaml").write_text(f"{BASE}destinations:\n  - {{{line}}}\n")
    with pytest.raises(UsageError) as refused:
        load_settings(tmp_path / "node.yaml")
    assert words in str(refused.value)


def test_the_words_show_repair_and_forget(
    said: Any, kit: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = tmp_path / "node.yaml"
    lines = f"listen: {{dicom: {{port: {kit.free_port()}}}}}\naccept: {{free_gb: 0}}\n"
    config.write_text(BASE + lines)
    code, out, err = said("node", "status", "--config", config)
    assert (code, out) == (2, "")
    assert "a spool must be one that `hilum node` made" in err

    code, out, err = said("node", "starter", "--config", config, "--check")
    assert (code, out, err) == (0, f"{tmp_path / 'spool'}\n", "")
    books = NodeBooks(tmp_path / "spool")
    books.receive(ReceivedFilm("1.2.3", "1.2", "ab" * 32, 5, ""))
    run = books.begin(1)
    assert run is not None
    books.finish(run, [FilmOutcome(1, FilmState.FAILED, "TIMEOUT", "")], [], ["pacs"])
    books.close()

    code, out, _ = said("node", "status", "--config", config)
    assert (code, out.splitlines()[:2]) == (
        0,
        ["failed: study 1, code , tries 1", "failed: film 1, study 1, code TIMEOUT"],
    )
    found = json.loads(said("node", "status", "--config", config, "--json")[1])
    assert (found["studies"], found["films"]) == ({"failed": 1}, {"failed": 1})
    code, _, err = said("node", "retry", "--config", config, "--study", "1")
    assert (code, err) == (0, "1 study and 0 objects wait again\n")
    assert said("node", "forget", "2", "--config", config)[0] == 2
    code, _, err = said("node", "forget", "1", "--config", config)
    assert (code, err) == (0, "1 film and 0 objects removed\n")


def test_a_spool_that_does_not_sync_is_refused(
    said: Any, kit: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> None:
        raise OSError(5, "Input/output error")

    (tmp_path / "node.yaml").write_text(BASE)
    monkeypatch.setattr("hilum.node.spool.os.fsync", broken)
    code, _, err = said("node", "starter", "--config", tmp_path / "node.yaml", "--check")
    assert (code, err.count("\n")) == (2, 1)
    assert "can be written to and synced" in err


@pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning")
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_a_destination_that_does_not_answer_is_a_warning(
    said: Any, kit: Any, peer: Any, tmp_path: Path
) -> None:
    port = kit.free_port()
    lines = [
        f"listen: {{dicom: {{port: {kit.free_port()}}}}}",
        "accept: {free_gb: 0}",
        "destinations:",
        f"  - {{name: here, host: 127.0.0.1, port: {peer.port}, ae_title: PEER}}",
        f"  - {{name: away, host: 127.0.0.1, port: {port}, ae_title: PEER}}",
    ]
    (tmp_path / "node.yaml").write_text(BASE + "\n".join(lines) + "\n")
    code, _, err = said("node", "starter", "--config", tmp_path / "node.yaml", "--check")
    assert (code, err) == (
        0,
        "destination away does not answer C-ECHO: the peer cannot be reached\n",
    )
