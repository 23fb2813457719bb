"""The wheel: what is in it, and that it runs where neither torch nor the checkout is."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

ROOT = Path(__file__).resolve().parents[2]
SOURCE = ROOT / "src" / "hilum"
LIMIT_S = 600


def ran(
    *command: object, cwd: Path, environment: dict[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(word) for word in command],
        cwd=cwd,
        env=environment,
        capture_output=True,
        text=True,
        timeout=LIMIT_S,
        check=False,
    )


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the sdist, and the wheel that was made from it."""
    folder = tmp_path_factory.mktemp("dist")
    # hatchling is among our own tools, so nothing is fetched
    done = ran(sys.executable, "-m", "build", "--no-isolation", "-o", folder, ROOT, cwd=folder)
    assert done.returncode == 0, done.stdout + done.stderr
    return folder


@pytest.fixture(scope="module")
def wheel(built: Path) -> Path:
    (path,) = built.glob("*.whl")
    return path


def bare(folder: Path, wheel: Path) -> Path:
    """The programs of a new environment that has the wheel and what it asks for, and no more."""
    made = ran(sys.executable, "-m", "venv", folder, cwd=folder.parent)
    assert made.returncode == 0, made.stderr
    programs = folder / "bin"
    uv = Path(sys.executable).with_name("uv")
    given = ("-c", ROOT / "constraints.txt", wheel)
    tries: list[tuple[object, ...]] = [(programs / "python", "-m", "pip", "install", "-q", *given)]
    if uv.exists():
        tries.insert(0, (uv, "pip", "install", "-q", "--python", programs / "python", *given))
    for install in tries:
        done = ran(*install, cwd=folder.parent)
        if done.returncode == 0:
            return programs
    said = done.stderr.strip().splitlines()
    unreachable = ("ConnectionError", "NewConnectionError", "ConnectTimeout", "resolve", "connect")
    if any(word in done.stderr for word in unreachable):
        pytest.skip("no packages can be installed here: no index answers")
    pytest.fail(f"the wheel cannot be installed: {said[-1] if said else 'no reason'}")


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory, wheel: Path) -> Path:
    return bare(tmp_path_factory.mktemp("bare") / "venv", wheel)


def nobody(home: Path) -> dict[str, str]:
    """An environment that knows neither the checkout nor the packages of who runs the tests."""
    home.mkdir()
    kept = {key: value for key, value in os.environ.items() if key.startswith(("OMP_", "OPENBLAS"))}
    return {**kept, "HOME": str(home), "PATH": os.defpath, "LANG": "C.UTF-8"}


def test_the_wheel_has_all_that_hilum_reads_and_nothing_else(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
    files = {path for path in SOURCE.rglob("*") if path.is_file() and path.suffix != ".pyc"}
    bundle = ROOT / "models"
    expected = {f"hilum/{path.relative_to(SOURCE).as_posix()}" for path in files}
    expected |= {
        f"hilum/bundle/shipped/{path.relative_to(bundle).as_posix()}"
        for path in bundle.rglob("*")
        if path.is_file()
    }
    packed = {name for name in names if ".dist-info/" not in name}
    assert packed == expected
    # all kinds of data, so that the set above cannot have shrunk in silence
    kinds = {Path(name).suffix for name in packed}
    assert kinds >= {".py", ".typed", ".yaml", ".j2", ".css", ".js", ".npz", ".onnx", ".json"}
    assert "hilum/bundle/shipped/starter/model.onnx" in packed
    assert any(name.endswith("licenses/LICENSE") for name in names)


def test_the_sdist_has_what_the_wheel_is_made_of_and_nothing_else(built: Path) -> None:
    (path,) = built.glob("*.tar.gz")
    with tarfile.open(path) as archive:
        tops = {name.split("/")[1] for name in archive.getnames() if "/" in name}
    listed = {"src", "models", "README.md", "CHANGELOG.md", "LICENSE", "constraints.txt"}
    assert tops == listed | {"pyproject.toml", "PKG-INFO", ".gitignore"}


def test_it_predicts_where_neither_torch_nor_the_checkout_is(
    installed: Path, tmp_path: Path
) -> None:
    work = tmp_path / "work"
    work.mkdir()
    environment = nobody(tmp_path / "home")
    python, hilum = installed / "python", installed / "hilum"

    asked = "import hilum, importlib.util as u; print(u.find_spec('torch'), hilum.__file__)"
    done = ran(python, "-c", asked, cwd=work, environment=environment)
    torch, _, place = done.stdout.strip().partition(" ")
    assert torch == "None"
    assert Path(place).is_relative_to(installed.parent)

    done = ran(hilum, "--help", cwd=work, environment=environment)
    assert done.returncode == 0
    assert "predict" in done.stdout

    drawn = ("phantom", "nih", "-o", "films", "--patients", 4, "--quiet")
    done = ran(hilum, *drawn, cwd=work, environment=environment)
    assert done.returncode == 0, done.stderr
    films = sorted(path.name for path in (work / "films" / "images").iterdir())

    predicted = ("predict", "starter", "films/images", "-o", "out")
    done = ran(hilum, *predicted, cwd=work, environment=environment)
    assert done.returncode == 0, done.stderr
    lines = (work / "out" / "results.jsonl").read_text("utf-8").splitlines()
    results = [json.loads(line) for line in lines]
    assert len(results) == len(films) > 0
    assert {result["status"] for result in results} <= {"ok", "warn"}
    assert "</html>" in (work / "out" / "report.html").read_text("utf-8")

    training = ("train", "demo", "--data", "films", "-o", "run")
    done = ran(hilum, *training, cwd=work, environment=environment)
    assert done.returncode == 2
    assert done.stderr.splitlines()[-1].startswith("hilum: this needs ")


def test_the_version_is_the_same_everywhere(wheel: Path) -> None:
    import hilum

    assert wheel.name == f"hilum-{hilum.__version__}-py3-none-any.whl"
    for name in ("compose.yaml", "Dockerfile", "docs/contributing/releasing.md"):
        tags = set(re.findall(r"\bhilum:([\w.]+)", (ROOT / name).read_text("utf-8")))
        assert tags == {hilum.__version__}, name
