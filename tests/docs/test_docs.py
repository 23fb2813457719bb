"""The documentation is true: made parts are fresh, links lead somewhere, commands run."""

from __future__ import annotations

import importlib
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"
PAGES = sorted([*ROOT.glob("*.md"), *DOCS.rglob("*.md")])
TUTORIAL = DOCS / "tutorial.md"
AFTER_THE_TUTORIAL = [ROOT / "README.md", *sorted((DOCS / "how-to").glob("*.md"))]
REAL = ROOT.parent / "shared" / "data" / "nih"
DECISIONS = sorted((DOCS / "decisions").glob("0*.md"))

FENCED = re.compile(
    r"^(?:<!-- (?P<mark>[^\n]*) -->\n)?```(?P<language>\w*)\n(?P<text>.*?)^```$", re.M | re.S
)


@dataclass(frozen=True)
class Block:
    """A fenced block, and what the comment right above it says of it."""

    mark: str
    language: str
    text: str


def blocks(page: Path) -> list[Block]:
    found = FENCED.finditer(page.read_text("utf-8"))
    return [Block(at["mark"] or "", at["language"], at["text"]) for at in found]


def name(page: Path) -> str:
    return str(page.relative_to(ROOT))


def is_history(page: Path) -> bool:
    """Whether a page says how things were, under the names of then."""
    return page.name in {"CHANGELOG.md", "lab-log.md"} or page.parent.name == "decisions"


def prose(page: Path) -> str:
    return FENCED.sub("", page.read_text("utf-8"))


def quoted(page: Path) -> set[str]:
    """Every word that stands in backticks."""
    spans = re.findall(r"`([^`\n]+)`", prose(page))
    return {*spans, *re.findall(r"\w+", " ".join(spans))}


# what is made from the code


def test_made_parts_are_fresh() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "docs.build", "--check"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_every_field_of_an_evaluation_is_explained() -> None:
    from pydantic import BaseModel

    from hilum.domain.documents import Interval, SplitFacts, evaluation
    from hilum.domain.documents.heatmaps import Localization, Pointed

    words = quoted(DOCS / "reference" / "evaluation.md")
    public = [getattr(evaluation, word) for word in evaluation.__all__]
    models = [one for one in public if isinstance(one, type) and issubclass(one, BaseModel)]
    models += [Interval, SplitFacts, Localization, Pointed]
    fields = {field for model in models for field in model.model_fields}
    assert fields - words == set()


def test_every_column_of_the_report_is_explained() -> None:
    from hilum.domain.findings import LabelSet
    from hilum.report.batch.clinical_csv import columns

    assert set(columns(LabelSet("one", ("Mass",)))) <= quoted(DOCS / "reference" / "outputs.md")


def test_every_reason_has_something_to_do() -> None:
    from hilum.domain.errors import ReasonCode

    page = (DOCS / "reference" / "outputs.md").read_text("utf-8")
    told = re.findall(
        r"`([A-Z0-9_]+)`", page.partition("### What to do\n")[2].partition("\n## ")[0]
    )
    assert sorted(told) == sorted(ReasonCode)


@pytest.mark.parametrize(("module", "page"), [("runs.folder", "run"), ("bundle", "bundle")])
def test_every_file_of_a_folder_is_explained(module: str, page: str) -> None:
    import importlib

    folder = re.search(
        r"\n    \w+/\n((?:      .*\n)+)", f"{importlib.import_module(f'hilum.{module}').__doc__}\n"
    )
    assert folder is not None
    files = re.findall(
        r"[\w/]+\.(?:json|jsonl|yaml|csv|txt|png|onnx|npz|md|safetensors)\b", folder[1]
    )
    explained = " ".join(quoted(DOCS / "reference" / f"{page}.md"))
    assert [file for file in files if Path(file).name not in explained] == []


# names and links


def commands() -> dict[str, set[str]]:
    """Verb to its options."""
    from typer.main import get_command

    from hilum.cli.app import app

    group: dict[str, object] = getattr(get_command(app), "commands", {})
    return {
        verb: {
            "--help",
            *(
                word
                for one in with_those_below(command)
                for p in getattr(one, "params", ())
                for word in [*p.opts, *p.secondary_opts]
            ),
        }
        for verb, command in group.items()
    }


def with_those_below(command: object) -> Iterator[object]:
    """A verb, and the verbs of the group that it is."""
    yield command
    for one in getattr(command, "commands", {}).values():
        yield from with_those_below(one)


def test_every_verb_and_option_has_help() -> None:
    from typer.main import get_command

    from hilum.cli.app import app

    for verb, command in getattr(get_command(app), "commands", {}).items():
        assert command.help, verb
        assert all(parameter.help for parameter in command.params), verb


def test_every_verb_is_told_outside_the_reference() -> None:
    told = "".join(page.read_text("utf-8") for page in [TUTORIAL, *AFTER_THE_TUTORIAL])
    assert [verb for verb in commands() if f"hilum {verb}" not in told] == []


def typed(text: str) -> Iterator[list[str]]:
    """The hilum commands of a shell block, as words."""
    for line in re.sub(r"\\\n", " ", text).splitlines():
        if re.match(r"(\S*/)?hilum ", line):
            words = shlex.split(line, comments=True)
            yield words[1 : words.index("||")] if "||" in words else words[1:]


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_commands_have_the_verbs_and_options_they_use(page: Path) -> None:
    known = commands()
    for block in blocks(page):
        if block.language != "bash":
            continue
        for verb, *words in typed(block.text):
            assert verb in known
            used = {word for word in words if word.startswith("-")}
            assert used <= known[verb], f"hilum {verb}"


def anchors(page: Path) -> set[str]:
    headings = re.findall(r"^#+ (.+)$", prose(page), re.M)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_links_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)\s]+)\)", prose(page)):
        if target.startswith("https://"):
            continue
        path, _, anchor = target.partition("#")
        there = (page.parent / path).resolve() if path else page
        assert there.exists(), target
        assert not anchor or anchor in anchors(there), target


@pytest.mark.parametrize("page", [page for page in PAGES if not is_history(page)], ids=name)
def test_names_in_the_code_exist(page: Path) -> None:
    missing = [d for d in re.findall(r"`(hilum\.[\w.]+)", prose(page)) if not exists(d)]
    assert missing == []


def exists(dotted: str) -> bool:
    """Whether a dotted name is a module, or something in one, down to a class's field."""
    parts = dotted.split(".")
    for count in range(len(parts), 0, -1):
        try:
            place: object = importlib.import_module(".".join(parts[:count]))
        except ModuleNotFoundError:
            continue
        for part in parts[count:]:
            if part in getattr(place, "__annotations__", {}):
                return True
            if not hasattr(place, part):
                return False
            place = getattr(place, part)
        return True
    return False


def test_a_name_that_is_nowhere_is_seen() -> None:
    assert exists("hilum.metrics.auroc")
    assert not exists("hilum.metrics.no_such_name")
    assert not exists("hilum.no_such_module.auroc")


def test_decisions_are_numbered_and_whole() -> None:
    assert [int(page.name[:4]) for page in DECISIONS] == list(range(1, len(DECISIONS) + 1))
    listed = (DOCS / "decisions" / "README.md").read_text("utf-8")
    for page in DECISIONS:
        text = page.read_text("utf-8")
        assert text.startswith(f"# {page.name[:4]}: "), page.name
        assert re.findall(r"^## (\w+)$", text, re.M) == ["Context", "Decision", "Consequences"]
        assert len(text.splitlines()) <= 40, page.name
        assert page.name in listed


# commands, run


def follow(page: Path, folder: Path, prepared: dict[str, str]) -> None:
    """Run a page's blocks one after the other, as its reader would.

    Those that need the films of NIH run where these are, under the name `NIH`.
    """
    printed, skipped = "", False
    for block in blocks(page):
        needs = block.mark.startswith("needs NIH: ")
        if needs and REAL.is_dir() and not (folder / "NIH").exists():
            (folder / "NIH").symlink_to(REAL)
        if block.mark.startswith("not run: ") or (needs and not REAL.is_dir()):
            skipped = needs
            continue
        if block.mark == "printed":
            if skipped:
                continue
            missing = [line for line in block.text.splitlines() if line not in printed]
            assert not missing, f"{missing} not in what was printed: {printed}"
        elif block.language == "bash":
            printed, skipped = run(["bash", "-euc", block.text], folder, prepared), False
        elif block.language == "python":
            printed, skipped = run(["python", "-c", block.text], folder, prepared), False


def run(command: list[str], folder: Path, prepared: dict[str, str]) -> str:
    done = subprocess.run(
        command,
        cwd=folder,
        # the key of the pseudonyms, which is the user's, is made beside the outputs
        env={**prepared, "XDG_CONFIG_HOME": str(folder / "settings")},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    assert done.returncode == 0, f"{command[-1]}\n{done.stdout}"
    return done.stdout


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory, prepared: dict[str, str]) -> Path:
    """The folder in which the tutorial was done."""
    folder = tmp_path_factory.mktemp("tutorial")
    follow(TUTORIAL, folder, prepared)
    return folder


@pytest.mark.slow
@pytest.mark.xdist_group("docs")
def test_the_tutorial_leaves_what_it_says(done: Path) -> None:
    mentioned = set(re.findall(r"`((?:run|bundle|report)/[\w./]+\w)`", prose(TUTORIAL)))
    assert len(mentioned) > 5
    assert [path for path in sorted(mentioned) if not (done / path).exists()] == []


@pytest.mark.slow
@pytest.mark.xdist_group("docs")
@pytest.mark.parametrize("page", AFTER_THE_TUTORIAL, ids=name)
def test_what_follows_the_tutorial_runs(page: Path, done: Path, prepared: dict[str, str]) -> None:
    follow(page, done, prepared)
