"""Films sent in: safe before the answer, the same results as `predict`, and hostile bytes."""

from __future__ import annotations

import json
import socket
import struct
import subprocess
import sys
import zlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

if TYPE_CHECKING:
    from conftest import Running, Send


HILUM = str(Path(sys.executable).with_name("hilum"))
NAMED = ("input", "image_id", "patient", "film", "heatmaps", "maps")


def results_of(folder: Path) -> dict[str, dict[str, object]]:
    lines = (folder / "results.jsonl").read_text("ascii").splitlines()
    return {json.loads(line)["image_id"]: json.loads(line) for line in lines}


def bare(result: dict[str, object]) -> dict[str, object]:
    """A result without names, and without the pictures that the service draws when asked."""
    return {key: value for key, value in result.items() if key not in NAMED}


def frame(data: bytes) -> tuple[dict[str, Any], bytes]:
    (length,) = struct.unpack_from("<I", data)
    assert (4 + length) % 4 == 0
    return json.loads(data[4 : 4 + length]), data[4 + length :]


def test_results_are_those_of_predict(
    scoring: Running, send: Send, films: list[Path], predicted: Path
) -> None:
    client = scoring.client("submit", "read")
    expected = results_of(predicted)
    for film in films:
        answer = send(client, film.read_bytes(), film.name)
        assert answer.status_code in (200, 201)
        assert bare(answer.json()["result"]) == bare(expected[film.name])
        assert answer.json()["name"] == film.name
    again = send(client, films[0].read_bytes(), "other name.png")
    assert again.status_code == 200
    assert again.json()["name"] == films[0].name


@pytest.mark.slow
@pytest.mark.exhaustive
def test_two_hundred_films_have_the_results_of_predict(
    scoring: Running, send: Send, tmp_path: Path
) -> None:
    from hilum.phantom.corpus import PhantomCorpus
    from hilum.phantom.nih import write_nih

    write_nih(PhantomCorpus(patients=90, seed=5, enrichment=6, size=256), tmp_path / "drawn")
    films = sorted((tmp_path / "drawn" / "images").glob("*.png"))[:200]
    assert len(films) == 200
    inbox = tmp_path / "inbox"
    inbox.mkdir()
    for film in films:
        film.rename(inbox / film.name)
    command = [HILUM, "predict", "starter", str(inbox), "-o", str(tmp_path / "out"), "--quiet"]
    subprocess.run([*command, "--tables-only"], check=True, capture_output=True)
    expected = results_of(tmp_path / "out")
    client = scoring.client("submit", "read")
    for film in films:
        result = send(client, (inbox / film.name).read_bytes(), film.name).json()["result"]
        assert bare(result) == bare(expected[film.name])


def test_pixels_and_maps_are_those_of_the_bundle(
    scoring: Running, send: Send, films: list[Path]
) -> None:
    from hilum.bundle import Bundle
    from hilum.imaging.read import read

    client = scoring.client("admin")
    links = send(client, films[1].read_bytes(), films[1].name).json()["links"]
    film, bundle = read(films[1]), Bundle.load("starter")
    head, data = frame(client.get(links["pixels"]).content)
    grays = np.frombuffer(zlib.decompress(data), np.uint8).reshape(head["rows"], head["columns"])
    assert head["bits"] == 8
    assert np.array_equal(grays, np.rint(film.pixels * 255).astype(np.uint8))
    head, data = frame(client.get(links["maps"]).content)
    maps = np.frombuffer(data, "<f4").reshape(len(head["findings"]), head["rows"], head["columns"])
    prediction = bundle.predict(films[1])
    assert np.array_equal(maps, prediction.analysis.maps)
    # the affine brings a pixel's center to the cell in which `to_film` looks it up
    (scale, offset), place = (
        head["film_to_grid"][0],
        bundle.manifest.preprocessing.placement(film.shape),
    )
    middle = scale * film.shape[1] / 2 + offset
    size = bundle.manifest.preprocessing.size
    assert middle == pytest.approx((place.left + place.width / 2) * head["columns"] / size)
    drawn = client.get(f"{links['self']}/overlay/{head['findings'][0]}")
    assert drawn.content.startswith(b"\x89PNG")
    assert client.get(links["preview"]).content.startswith(b"\xff\xd8")


HOSTILE = {
    "empty": b"",
    "text": b"<script>alert(1)</script>",
    "truncated png": b"\x89PNG\r\n\x1a\n" + b"\0\0\0\rIHDR" + b"\0\0\x10\0" * 2,
    "polyglot": b"%PDF-1.4\n\x89PNG\r\n\x1a\n",
    "dicom without pixels": bytes(128) + b"DICM" + b"\2\0\0\0UL\4\0\0\0\0\0",
    "endless j2k": b"\xff\x4f\xff\x51" + b"\xff" * 4000,
    "zip": b"PK\3\4" + b"\0" * 100,
}


@pytest.mark.parametrize("kind", sorted(HOSTILE))
def test_hostile_bytes_get_a_row_with_a_code(scoring: Running, send: Send, kind: str) -> None:
    client = scoring.client("admin")
    name = "../../../etc/\r\nX-Evil: 1\u2028<svg onload=alert(1)>=cmd|.png"
    answer = send(client, HOSTILE[kind], name)
    assert answer.status_code in (200, 201)  # another test may have sent the same bytes
    result = answer.json()["result"]
    assert result["status"] in ("error", "reject", "skip")
    assert len(result["codes"]) == 1
    assert answer.status_code == 200 or answer.json()["name"] == name
    assert "x-evil" not in answer.headers
    assert client.delete(answer.json()["links"]["self"]).status_code == 204
    outside = [path for path in scoring.store.parent.iterdir() if path != scoring.store]
    assert outside == []


@pytest.mark.parametrize("name", ["%ff%fe", "%zz%ff", "a" * 3100])
def test_a_name_that_is_none_is_refused(scoring: Running, name: str) -> None:
    answer = scoring.client("submit").post(
        "/v1/films", content=b"a", headers={"X-Hilum-Name": name}
    )
    assert answer.status_code in (400, 422)


def test_too_much_is_refused_before_it_comes(scoring: Running) -> None:
    """101 MB are announced, and nothing is sent."""
    token = scoring.token("submit")
    head = (
        f"POST /v1/films HTTP/1.1\r\nHost: 127.0.0.1:{scoring.port}\r\nX-Hilum: 1\r\n"
        f"Authorization: Bearer {token}\r\nContent-Length: 101000000\r\n\r\n"
    )
    with socket.create_connection(("127.0.0.1", scoring.port), 20) as sent:
        sent.sendall(head.encode())
        assert sent.recv(100).startswith(b"HTTP/1.1 413 ")


def test_who_goes_away_leaves_nothing(scoring: Running) -> None:
    token = scoring.token("submit")
    before = len(list((scoring.store / "objects").rglob("*")))
    head = (
        f"POST /v1/films HTTP/1.1\r\nHost: 127.0.0.1:{scoring.port}\r\nX-Hilum: 1\r\n"
        f"Authorization: Bearer {token}\r\nContent-Length: 1000\r\n\r\nhalf a film"
    )
    with socket.create_connection(("127.0.0.1", scoring.port), 20) as sent:
        sent.sendall(head.encode())
    client = scoring.client("submit")
    assert client.get("/healthz").text == "ok\n"
    assert len(list((scoring.store / "objects").rglob("*"))) == before
    assert not [path for path in (scoring.store / "tmp").iterdir() if "-" not in path.name]


def test_a_deleted_film_is_gone_and_can_come_back(
    scoring: Running, send: Send, films: list[Path]
) -> None:
    client = scoring.client("admin")
    data = films[2].read_bytes() + b"\0"
    film = send(client, data, "gone.png").json()
    kept = [path for path in scoring.store.rglob(f"*{film['id'][:12]}*") if path.is_file()]
    assert kept
    assert client.delete(film["links"]["self"]).status_code == 204
    assert client.get(film["links"]["self"]).json()["code"] == "NO_FILM"
    assert not [path for path in scoring.store.rglob(f"*{film['id'][:12]}*") if path.is_file()]
    assert send(client, data, "gone.png").status_code == 201


def test_documentation_pages_are_off(scoring: Running) -> None:
    assert scoring.client("read").get("/docs").status_code == 404
