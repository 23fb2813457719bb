"""The committed schema is that of the code, and answers keep to it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

pytest.importorskip("fastapi", reason="hilum[serve] is not installed")

from hilum.service.app import openapi_text

if TYPE_CHECKING:
    from conftest import Running, Send


ROOT = Path(__file__).resolve().parents[2]
COMMITTED = ROOT / "docs" / "reference" / "openapi.json"


def test_the_committed_schema_is_that_of_the_code() -> None:
    assert COMMITTED.read_text("utf-8") == openapi_text(), "run `make docs`"


def test_every_error_is_a_problem_document() -> None:
    schema = json.loads(openapi_text())
    assert schema["openapi"].startswith("3.1")
    for path, operations in schema["paths"].items():
        for method, operation in operations.items():
            for status, answer in operation["responses"].items():
                if int(status) >= 400:
                    assert list(answer["content"]) == ["application/problem+json"], (method, path)


def with_films(schema: dict[str, Any], films: list[str]) -> dict[str, Any]:
    """The schema with films, findings and versions that exist among what is to be drawn.

    Without them nearly every answer would be 404. What deletes draws films that are not there.
    """
    values = {
        "film_id": [*films, "absent", "0" * 24],
        "finding": ["Mass", "Effusion", "Nothing"],
        "If-Match": ['"0"', '"1"', '"2"', '"9"', "*"],
        "Prefer": ["", "wait=1", "wait=0"],
    }
    for operations in schema["paths"].values():
        for method, operation in operations.items():
            for parameter in operation.get("parameters", []):
                known = values.get(parameter["name"])
                if known is not None and parameter["schema"].get("type") == "string":
                    gone = method == "delete" and parameter["name"] == "film_id"
                    parameter["schema"] = {"type": "string", "enum": ["absent"] if gone else known}
    return schema


def fuzz(running: Running, films: list[str], folder: Path, cases: int) -> tuple[int, str]:
    """Send so many drawn requests to each route; return the exit status and what was said."""
    pytest.importorskip("schemathesis", reason="schemathesis is not installed")
    drawn = folder / "openapi.json"
    drawn.write_text(json.dumps(with_films(json.loads(COMMITTED.read_text("utf-8")), films)))
    token = running.token("admin")
    command = [
        *(str(Path(sys.executable).with_name("schemathesis")), "run", str(drawn)),
        *("--url", running.url, "-H", f"Authorization: Bearer {token}", "-H", "X-Hilum: 1"),
        *("--checks", "not_a_server_error,status_code_conformance,content_type_conformance"),
        *("--checks", "response_schema_conformance", "--phases", "fuzzing", "--workers", "4"),
        *("--max-examples", str(cases), "--seed", "1", "--suppress-health-check", "all"),
        *(
            "--request-timeout",
            "60",
            "--continue-on-failure",
            "--no-color",
            "--generation-database",
            "none",
        ),
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=folder)
    assert running.process.poll() is None
    return done.returncode, done.stdout[-8000:]


def drawn_films(running: Running, send: Send, films: list[Path]) -> list[str]:
    client = running.client("admin")
    return [send(client, film.read_bytes(), film.name).json()["id"] for film in films[:3]]


@pytest.mark.slow
def test_drawn_requests_break_neither_schema_nor_service(
    scoring: Running, send: Send, films: list[Path], tmp_path: Path
) -> None:
    code, words = fuzz(scoring, drawn_films(scoring, send, films), tmp_path, 2)
    assert code == 0, words


@pytest.mark.slow
@pytest.mark.exhaustive
def test_a_thousand_requests_a_route_break_neither_schema_nor_service(
    scoring: Running, send: Send, films: list[Path], tmp_path: Path
) -> None:
    code, words = fuzz(scoring, drawn_films(scoring, send, films), tmp_path, 1000)
    assert code == 0, words
