"""The image and the service: what keeps them harmless is held here, with or without docker."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
DOCKERFILE = ROOT / "Dockerfile"
PACKED = {"pyproject.toml", "README.md", "LICENSE", "constraints.txt", "src", "models"}


def instructions() -> list[tuple[str, str]]:
    """Every instruction with what follows it; comments left out, continued lines joined."""
    text = DOCKERFILE.read_text("utf-8")
    kept = "\n".join(line for line in text.splitlines() if not line.lstrip().startswith("#"))
    joined = re.sub(r"\\\n\s*", " ", kept)
    pairs = (line.strip().partition(" ") for line in joined.splitlines() if line.strip())
    return [(word.upper(), rest.strip()) for word, _, rest in pairs]


def service() -> dict[str, Any]:
    return yaml.safe_load((ROOT / "compose.yaml").read_text("utf-8"))["services"]["predict"]


def test_the_image_is_slim_and_its_base_has_a_version() -> None:
    bases = [rest.split()[0] for word, rest in instructions() if word == "FROM"]
    assert len(bases) == 2
    for base in bases:
        assert re.fullmatch(r"python:3\.1[1-3]-slim-[a-z]+", base), base


def test_the_image_runs_as_nobody_in_particular() -> None:
    last = max(at for at, (word, _) in enumerate(instructions()) if word == "FROM")
    final = instructions()[last:]
    users = [rest for word, rest in final if word == "USER"]
    assert len(users) == 1
    # by number: only then can a cluster see that it is not root
    user, _, group = users[0].partition(":")
    assert int(user) >= 10000
    assert int(group) >= 10000
    words = [word for word, _ in final]
    assert "RUN" not in words[words.index("USER") :]
    assert dict(final)["ENTRYPOINT"] == '["hilum"]'


def test_the_image_takes_only_what_the_wheel_is_made_of() -> None:
    copied: set[str] = set()
    for word, rest in instructions():
        assert word != "ADD"
        if word == "COPY" and "--from=" not in rest:
            copied |= set(rest.split()[:-1])
    assert copied == PACKED
    ignored = (ROOT / ".dockerignore").read_text("utf-8").splitlines()
    rules = [line for line in ignored if line and not line.startswith("#")]
    assert rules[0] == "*"
    assert {line[1:] for line in rules if line.startswith("!")} == PACKED


@pytest.mark.parametrize("name", ["Dockerfile", "compose.yaml", "constraints.txt"])
def test_no_host_and_no_secret_is_named(name: str) -> None:
    text = (ROOT / name).read_text("utf-8")
    assert not re.search(r"https?://|index-url|trusted-host|find-links", text, re.IGNORECASE)
    assert not re.search(r"\b\w*(password|secret|token|api_key)\w*\s*[=:]", text, re.IGNORECASE)


def test_the_service_can_do_nothing_but_read_films_and_write_results() -> None:
    given = service()
    assert given["read_only"] is True
    assert given["cap_drop"] == ["ALL"]
    assert given["security_opt"] == ["no-new-privileges:true"]
    assert given["network_mode"] == "none"
    assert [place.partition(":")[0] for place in given["tmpfs"]] == ["/tmp"]
    assert not {"privileged", "cap_add", "ports", "devices", "user", "pid", "ipc"} & set(given)
    writable = {mount["target"] for mount in given["volumes"] if not mount.get("read_only")}
    assert writable == {"/data/out", "/settings"}
    assert {"/data/films"} == {m["target"] for m in given["volumes"]} - writable


def test_the_service_runs_a_command_that_hilum_has() -> None:
    from typer.main import get_command

    from hilum.cli.app import app

    verb, *words = service()["command"]
    command = get_command(app).commands[verb]  # pyright: ignore[reportAttributeAccessIssue]
    command.make_context(verb, list(words), resilient_parsing=False)


def linter() -> str | None:
    beside = Path(sys.executable).with_name("hadolint")
    return str(beside) if beside.exists() else shutil.which("hadolint")


def test_the_dockerfile_passes_its_linter() -> None:
    program = linter()
    if program is None:
        pytest.skip("hadolint is not installed (GPL, so it is no dependency)")
    done = subprocess.run(
        [program, str(DOCKERFILE)], capture_output=True, text=True, check=False, timeout=60
    )
    assert done.returncode == 0, done.stdout + done.stderr


def engine_answers() -> bool:
    if shutil.which("docker") is None:
        return False
    done = subprocess.run(["docker", "info"], capture_output=True, check=False, timeout=60)
    return done.returncode == 0


@pytest.mark.slow
def test_the_image_builds_and_answers_with_a_root_that_cannot_be_written() -> None:
    if not engine_answers():
        pytest.skip("no docker engine answers: the image is not built")
    name = "hilum:test"
    built = subprocess.run(
        ["docker", "build", "-t", name, str(ROOT)], capture_output=True, text=True, check=False
    )
    assert built.returncode == 0, built.stderr[-2000:]
    confined = ("--rm", "--read-only", "--cap-drop", "ALL", "--network", "none")
    confined += ("--tmpfs", "/tmp", "--security-opt", "no-new-privileges:true")
    command = (
        "docker",
        "run",
        *confined,
        name,
        "phantom",
        "nih",
        "-o",
        "/tmp/f",
        "--patients",
        "2",
    )
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
