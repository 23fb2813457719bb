"""The house: small files, imports that do nothing, no trapdoors, and public names that stay.

After a change of public names or command-line options that is meant::

    .venv/bin/python tests/test_house.py --update
"""

from __future__ import annotations

import ast
import importlib
import inspect
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
SOURCE = ROOT / "src" / "hilum"
GOLDEN = ROOT / "tests" / "golden"
FILES = sorted(path for path in SOURCE.rglob("*.py") if path.stem != "__main__")
LAB = {"model", "training", "importing", "exporting"}

Function = ast.FunctionDef | ast.AsyncFunctionDef
Offences = Iterator[tuple[int, str]]


@cache
def tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text("utf-8"))


def room(path: Path) -> str:
    return path.relative_to(SOURCE).parts[0]


def module_name(path: Path) -> str:
    parts = path.relative_to(SOURCE.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def refuse(check: Callable[[Path], Offences]) -> None:
    """Fail with every breach of one rule, as `file:line: what`."""
    found = [f"{path.relative_to(ROOT)}:{at}: {what}" for path in FILES for at, what in check(path)]
    assert not found, "\n" + "\n".join(found)


def dotted(node: ast.expr) -> str:
    """The name that is called: `np.random.seed`; what cannot be named is a dot."""
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Attribute):
        return f"{dotted(node.value)}.{node.attr}"
    return ""


def keywords(call: ast.Call) -> dict[str, object]:
    """The keyword arguments of a call that are constants."""
    return {
        word.arg: word.value.value
        for word in call.keywords
        if word.arg is not None and isinstance(word.value, ast.Constant)
    }


def imports(path: Path) -> Iterator[tuple[int, str]]:
    """Line and dotted name of everything that a file imports."""
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, name.name) for name in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield from ((node.lineno, f"{node.module}.{name.name}") for name in node.names)


def calls(path: Path) -> Iterator[ast.Call]:
    return (node for node in ast.walk(tree(path)) if isinstance(node, ast.Call))


# budgets


def test_files_stay_small() -> None:
    def check(path: Path) -> Offences:
        lines = len(path.read_text("utf-8").splitlines())
        if lines > 400:
            yield lines, f"{lines} lines, more than 400: there are two nouns in the file"

    refuse(check)


def test_files_are_named_after_what_they_hold() -> None:
    banned = {"utils", "util", "common", "helpers", "misc", "core", "manager"}

    def check(path: Path) -> Offences:
        for part in path.relative_to(SOURCE).with_suffix("").parts:
            if part.strip("_") in banned:
                yield 1, f"'{part}' says nothing"

    refuse(check)


def test_functions_stay_small() -> None:
    """Code counts, and a docstring does not: it lists what must be known, however long that is."""

    def check(path: Path) -> Offences:
        for node in ast.walk(tree(path)):
            if not isinstance(node, Function):
                continue
            first = node.body[0]
            described = ast.get_docstring(node, clean=False) is not None
            lines = (node.end_lineno or node.lineno) - node.lineno + 1
            if described:
                lines -= (first.end_lineno or first.lineno) - first.lineno + 1
            if lines > 60:
                yield node.lineno, f"{node.name} has {lines} lines of code, more than 60"

    refuse(check)


def test_functions_have_few_parameters() -> None:
    """Verbs alone may have more: their parameters are options, which the golden files hold.

    A verb is a function that is reached as `hilum.NAME`, or the one that a file of `cli` is named
    after.
    """

    def check(path: Path) -> Offences:
        for node in ast.walk(tree(path)):
            if not isinstance(node, Function) or is_verb(path, node):
                continue
            given = node.args
            names = [arg.arg for arg in (*given.posonlyargs, *given.args, *given.kwonlyargs)]
            count = len([name for name in names if name not in ("self", "cls")])
            if count > 6:
                yield node.lineno, f"{node.name} has {count} parameters, more than 6"

    refuse(check)


def is_verb(path: Path, function: Function) -> bool:
    """Whether a function is one of hilum's verbs, in Python or on the command line."""
    if room(path) == "cli":
        return function.name == path.stem
    return room(path) == "api" and function.name in importlib.import_module("hilum.api").__all__


# imports


def test_module_bodies_only_define() -> None:
    defining = (
        *(ast.Import, ast.ImportFrom, ast.Assign, ast.AnnAssign),
        *(ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef),
    )
    guards = {"TYPE_CHECKING", "__name__ == '__main__'"}

    def check(path: Path) -> Offences:
        for node in tree(path).body:
            text = isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
            guard = isinstance(node, ast.If) and ast.unparse(node.test) in guards
            # registering a verb is the one thing that cli's bodies do
            verb = isinstance(node, ast.Expr) and room(path) == "cli"
            if not (isinstance(node, defining) or text or guard or verb):
                yield node.lineno, f"the module's body does work: {ast.unparse(node)[:60]}"

    refuse(check)


IMPORT_ALL = """
import importlib, logging, os, random, sys
import numpy as np
before = random.getstate(), np.random.get_state()[1].tolist(), os.getcwd()
for name in sys.argv[1:]:
    importlib.import_module(name)
after = random.getstate(), np.random.get_state()[1].tolist(), os.getcwd()
assert after == before, "an import moved the random state or the working folder"
assert not logging.getLogger().handlers, "an import set up logging"
print("torch" if "torch" in sys.modules else "no torch")
"""


def said_on_import(modules: list[str], home: Path) -> str:
    """What a fresh interpreter says when it imports the modules, in an empty home."""
    environment = {"HOME": str(home), "PATH": os.defpath, "PYTHONDONTWRITEBYTECODE": "1"}
    done = subprocess.run(
        [sys.executable, "-c", IMPORT_ALL, *modules],
        cwd=home,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert list(home.iterdir()) == [], "an import wrote a file"
    return done.stdout + done.stderr


def test_importing_does_nothing_and_needs_no_torch(tmp_path: Path) -> None:
    modules = [module_name(path) for path in FILES if room(path) not in LAB]
    assert said_on_import(modules, tmp_path) == "no torch\n"


@pytest.mark.slow
def test_importing_the_lab_does_nothing_else(tmp_path: Path) -> None:
    modules = [module_name(path) for path in FILES if room(path) in LAB]
    assert said_on_import(modules, tmp_path) == "torch\n"


def test_imports_point_down() -> None:
    done = subprocess.run(
        [Path(sys.executable).with_name("lint-imports"), "--no-cache"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


# trapdoors


def test_nothing_is_unpickled() -> None:
    banned = {"pickle", "cPickle", "dill", "cloudpickle", "joblib", "shelve", "marshal"}

    def check(path: Path) -> Offences:
        for at, name in imports(path):
            if name.split(".")[0] in banned:
                yield at, f"imports {name}"
        for call in calls(path):
            name, given = dotted(call.func), keywords(call)
            if name == "torch.load" and given.get("weights_only") is not True:
                yield call.lineno, "torch.load must say weights_only=True"
            if name.endswith((".read_pickle", ".to_pickle")) or given.get("allow_pickle") is True:
                yield call.lineno, f"{name} would execute a pickle"

    refuse(check)


def test_nothing_is_evaluated_or_given_to_a_shell() -> None:
    banned = {"eval", "exec", "compile", "__import__", "os.system", "os.popen"}
    unsafe_yaml = {"yaml.load", "yaml.load_all", "yaml.unsafe_load", "yaml.full_load"}

    def check(path: Path) -> Offences:
        for call in calls(path):
            name = dotted(call.func)
            if name in banned | unsafe_yaml or keywords(call).get("shell") is True:
                yield call.lineno, f"calls {name}"

    refuse(check)


def test_the_environment_is_no_configuration() -> None:
    def check(path: Path) -> Offences:
        for at, line in enumerate(path.read_text("utf-8").splitlines(), start=1):
            # to hand it on whole to a child, or to tell a library something, is not to ask it
            asked = line.replace("**os.environ", "").replace("os.environ.update(", "")
            if re.search(r"\bos\.(environ|getenv|putenv)|\benvvar\s*=", asked):
                yield at, line.strip()
        for at, name in imports(path):
            if name in ("os.environ", "os.getenv"):
                yield at, f"imports {name}"

    refuse(check)


def test_randomness_is_an_argument() -> None:
    makers = ("default_rng", "Generator", "SeedSequence", "BitGenerator", "PCG64", "Philox")

    def check(path: Path) -> Offences:
        for at, name in imports(path):
            if name.split(".")[0] == "random":
                yield at, "imports random: take a numpy.random.Generator as argument"
        for call in calls(path):
            name = dotted(call.func)
            if name.startswith(("np.random.", "numpy.random.")) and not name.endswith(makers):
                yield call.lineno, f"{name} draws from numpy's global state"
            if name.endswith("random.default_rng") and not (call.args or call.keywords):
                yield call.lineno, "default_rng() without a seed differs from run to run"

    refuse(check)


def test_only_the_command_line_prints() -> None:
    def check(path: Path) -> Offences:
        for call in calls(path):
            if dotted(call.func) == "print" and room(path) != "cli":
                yield call.lineno, "prints"

    refuse(check)


def test_nothing_names_the_place_where_it_was_written() -> None:
    words = re.compile("/" + "work/|sub" + "agent", re.IGNORECASE)
    kept = {".py", ".md", ".txt", ".yaml", ".toml", ".html", ".css", ".js", ".json", ".csv", ""}
    tops = (
        "README.md",
        "CONTRIBUTING.md",
        "CHANGELOG.md",
        "Makefile",
        "pyproject.toml",
        "constraints.txt",
    )
    folders = ("src", "docs", "tests", "bench", ".ci")
    files = [ROOT / name for name in tops]
    files += [path for name in folders for path in (ROOT / name).rglob("*")]
    found = [
        str(path.relative_to(ROOT))
        for path in files
        if path.is_file() and path.suffix in kept and words.search(path.read_text("utf-8"))
    ]
    assert found == []


# names that stay


DOCUMENTED = (
    *("hilum", "hilum.bundle", "hilum.calibration", "hilum.datasets", "hilum.explain"),
    *("hilum.imaging", "hilum.metrics", "hilum.splits"),
)
"""Packages whose `__all__` is the documented API."""
HELD = ("Bundle", "Explanation", "Prediction")
"""Classes of `hilum.bundle` whose methods and attributes belong to it."""


def public_names() -> list[str]:
    """Every name of the documented API, each of which must be there."""
    names = [
        f"{package}.{name}"
        for package in DOCUMENTED
        for name in importlib.import_module(package).__all__
        if getattr(importlib.import_module(package), name) is not None
    ]
    bundle = importlib.import_module("hilum.bundle")
    for word in HELD:
        kind = getattr(bundle, word)
        parts = {*vars(kind), *inspect.get_annotations(kind)}
        names += [f"hilum.bundle.{word}.{part}" for part in parts if not part.startswith("_")]
    return sorted(names)


def cli_options() -> list[str]:
    """Every command with its arguments and options."""
    from typer.main import get_command

    from hilum.cli.app import app

    return sorted(command_lines("hilum", get_command(app)))


def command_lines(path: str, command: object) -> Iterator[str]:
    """A line for the command and each of its parameters, and for its subcommands in turn."""
    yield path
    for parameter in getattr(command, "params", ()):
        words = [*parameter.opts, *parameter.secondary_opts]
        word = ", ".join(words) if words[0].startswith("-") else words[0].upper()
        many = " ..." if parameter.multiple or parameter.nargs != 1 else ""
        need = " (required)" if parameter.required else ""
        yield f"{path} {word}{many}{need}"
    for name, child in getattr(command, "commands", {}).items():
        yield from command_lines(f"{path} {name}", child)


def compare(file: str, now: list[str]) -> None:
    """Fail with what came and what went."""
    frozen = (GOLDEN / file).read_text("utf-8").splitlines()
    gone, new = sorted(set(frozen) - set(now)), sorted(set(now) - set(frozen))
    assert (gone, new) == ([], []), (
        f"{file} differs: gone {gone}, new {new}. If that is meant, run "
        "`.venv/bin/python tests/test_house.py --update` and tell it in CHANGELOG.md"
    )


def test_public_names_stay() -> None:
    compare("public_names.txt", public_names())


def test_command_line_options_stay() -> None:
    compare("cli_options.txt", cli_options())


def update() -> None:
    """Write the golden files anew."""
    GOLDEN.mkdir(exist_ok=True)
    for file, names in {"public_names.txt": public_names, "cli_options.txt": cli_options}.items():
        (GOLDEN / file).write_text("".join(f"{name}\n" for name in names()), "utf-8")


@pytest.mark.skipif(not (ROOT / ".git").exists(), reason="not a checkout")
def test_data_runs_and_weights_stay_out_of_git() -> None:
    ignored = ("data/a.png", "runs/a/log.jsonl", "demo/report.html", "film.dcm")
    ignored += tuple(f"weights.{kind}" for kind in ("safetensors", "onnx", "pth", "pt", "ckpt"))
    kept = ("src/hilum/imaging/gate/chest1.npz", "models/starter/model.onnx")
    said = subprocess.run(
        ["git", "check-ignore", "--no-index", *ignored, *kept],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert set(said.stdout.split()) == set(ignored)


if __name__ == "__main__":
    if sys.argv[1:] != ["--update"]:
        sys.exit("usage: python tests/test_house.py --update")
    update()
