"""Plain English in the code: what docs/contributing/style.md forbids and a machine can see."""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SOURCE = ROOT / "src" / "hilum"
FILES = sorted(SOURCE.rglob("*.py"))

OPENINGS = {"Of", "Than", "Whose", "Whom", "By", "As"}
IDENTIFIERS = {"said", "told", "asked", "taken", "whom", "learned_from", "last_words"}
BRITISH = re.compile(
    r"colour|behaviour|neighbour|honour|favour|centre|licence|catalogue|programme|judgement"
    r"|labelled|labelling|modelling|cancelled|travelled|grey|analys(?:e|ed|er|ing)(?![a-z])"
    r"|(?:normal|recogn|local|initial|optim|organ|summar|quant|standard|random|visual|serial"
    r"|general|minim|maxim|categor|pseudonym|anonym|synchron|equal|binar|vector|token|character)"
    r"is(?:e|ed|er|es|ing|ation)(?![a-z])"
)

# names that files and options have in public: `docs/reference` shows each of them
PUBLISHED = {
    "allow_unlabelled",
    "asked",
    "licence",
    "localisation",
    "quantised_sha256",
    "recognised",
    "unlabelled",
    "unlabelled_films",
}
WORDS = re.compile(r"(?<!\.)\b(?:said|told|asked)\b(?!:|=)")

Finding = tuple[int, str]
Rule = Callable[[Path], Iterator[Finding]]


@cache
def tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text("utf-8"))


def room(path: Path) -> str:
    return path.relative_to(SOURCE).parts[0]


def docstrings(module: ast.Module) -> Iterator[tuple[int, str]]:
    """Docstrings of modules, classes and functions, and strings below an assignment."""
    kinds = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
    for node in ast.walk(module):
        if not isinstance(node, kinds):
            continue
        for at, child in enumerate(node.body):
            after = at == 0 or isinstance(node.body[at - 1], ast.Assign | ast.AnnAssign)
            if after and isinstance(child, ast.Expr) and isinstance(child.value, ast.Constant):
                text = child.value.value
                if isinstance(text, str):
                    yield child.lineno, text


def names(module: ast.Module) -> Iterator[tuple[int, str]]:
    """Names that a module gives: variables, arguments, fields, functions, classes, aliases."""
    for node in ast.walk(module):
        match node:
            case ast.Name(id=name, ctx=ast.Store()) | ast.Attribute(attr=name, ctx=ast.Store()):
                yield node.lineno, name
            case ast.arg(arg=name) | ast.FunctionDef(name=name) | ast.ClassDef(name=name):
                yield node.lineno, name
            case ast.AsyncFunctionDef(name=name) | ast.ExceptHandler(name=str(name)):
                yield node.lineno, name
            case ast.MatchAs(name=str(name)) | ast.MatchStar(name=str(name)):
                yield node.lineno, name
            case ast.ImportFrom() | ast.Import():
                yield from ((node.lineno, each.asname) for each in node.names if each.asname)
            case _:
                pass


def openings(path: Path) -> Iterator[Finding]:
    for line, text in docstrings(tree(path)):
        first = text.split(maxsplit=1)[:1]
        if first and first[0].rstrip(",.;:") in OPENINGS:
            yield line, f"a docstring begins with {first[0]!r}: write a phrase that stands alone"


def identifiers(path: Path) -> Iterator[Finding]:
    for line, name in names(tree(path)):
        if name.strip("_") in IDENTIFIERS - PUBLISHED:
            yield line, f"{name!r}: use the field's word, such as report, request or source"


def spelling(path: Path) -> Iterator[Finding]:
    for line, name in names(tree(path)):
        if name.lower().strip("_") not in PUBLISHED and BRITISH.search(name.lower()):
            yield line, f"{name!r}: American spelling"


def words(path: Path) -> Iterator[Finding]:
    for line, text in enumerate(path.read_text("utf-8").splitlines(), 1):
        if found := WORDS.search(text):
            yield line, f"{found[0]!r}: name what is reported or requested"


RULES: dict[str, Rule] = {
    "openings": openings,
    "identifiers": identifiers,
    "spelling": spelling,
    "words": words,
}


@pytest.mark.parametrize("rule", RULES)
def test_the_code_is_written_in_plain_english(rule: str) -> None:
    found = [(path, line, what) for path in FILES for line, what in RULES[rule](path)]
    assert not found, "\n".join(
        ["", *(f"{p.relative_to(ROOT)}:{line}: {w}" for p, line, w in found)]
    )


def test_exceptions_are_published_names() -> None:
    pages = sorted((ROOT / "docs" / "reference").rglob("*"))
    text = "".join(page.read_text("utf-8") for page in pages if page.is_file()).lower()
    assert [name for name in PUBLISHED if name not in text.replace("-", "_")] == []


def test_help_fits_a_terminal() -> None:
    from typer.main import get_command

    from hilum.cli.app import app

    commands = getattr(get_command(app), "commands", {})
    assert commands
    for verb, command in commands.items():
        texts = [command.help, *(getattr(option, "help", None) for option in command.params)]
        for line in "\n".join(text or "" for text in texts).splitlines():
            assert len(line) <= 100, f"hilum {verb}: {line}"


@pytest.mark.parametrize(
    ("rule", "text"),
    [
        ("openings", '"""Of the film."""'),
        ("openings", 'class A:\n    x: int\n    """Whose film."""'),
        ("identifiers", "said = 1"),
        ("identifiers", "def f(told: int) -> int:\n    return told"),
        ("identifiers", "class A:\n    taken: int"),
        ("spelling", "normalised_colour = 1"),
        ("spelling", "def analyse() -> None: ..."),
        ("words", "# what was asked"),
    ],
)
def test_a_breach_is_seen(rule: str, text: str, tmp_path: Path) -> None:
    (tmp_path / "one.py").write_text(text, "utf-8")
    assert list(RULES[rule](tmp_path / "one.py"))


def test_plain_words_are_no_breach(tmp_path: Path) -> None:
    (tmp_path / "one.py").write_text(
        '"""Official films of a split."""\nanalysis = resize = promise = 1\n', "utf-8"
    )
    assert [rule for rule in RULES if list(RULES[rule](tmp_path / "one.py"))] == []
