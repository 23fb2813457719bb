"""The committed schema is that of the code, and answers keep to it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

pytest.importorskip("fastapi", reason="hilum[serve] is not installed")

from hilum.service.app import openapi_text

if TYPE_CHECKING:
    from conftest import Running


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
                if int(status) >= 400 and status != "409":
                    assert list(answer["content"]) == ["application/problem+json"], (method, path)


@pytest.mark.slow
@pytest.mark.exhaustive
def test_no_request_breaks_the_schema_or_the_service(review: Running, tmp_path: Path) -> None:
    pytest.importorskip("schemathesis", reason="schemathesis is not installed")
    token = review.token("admin")
    command = [
        *(str(Path(sys.executable).with_name("schemathesis")), "run", str(COMMITTED)),
        *("--url", review.url, "-H", f"Authorization: Bearer {token}", "-H", "X-Hilum: 1"),
        *("--checks", "not_a_server_error,status_code_conformance,content_type_conformance"),
        *("--checks", "response_schema_conformance", "--phases", "fuzzing"),
        *("--max-examples", "50", "--seed", "1", "--suppress-health-check", "all"),
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=tmp_path)
    assert done.returncode == 0, done.stdout[-6000:]
    assert review.process.poll() is None
