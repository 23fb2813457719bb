"""Write into the documentation what it takes from the code, so that it cannot go stale.

A page holds parts between two comments, and this module writes what stands between them::

    <!-- made: reasons -->
    <!-- end -->

The word after `made:` is one of `MAKERS`; what follows it is handed on. The JSON Schemas are files
of their own. `python -m docs.build` writes, `python -m docs.build --check` only tells what is
stale, and exits 1 if anything is.
"""

from __future__ import annotations

import ast
import configparser
import dataclasses
import importlib
import inspect
import itertools
import json
import re
import sys
from collections.abc import Callable, Iterator
from enum import Enum
from pathlib import Path
from typing import Any

from pydantic import BaseModel

__all__ = ["main", "pages"]

ROOT = Path(__file__).resolve().parents[1]
SOURCE = ROOT / "src" / "hilum"
SCHEMAS = ROOT / "docs" / "reference" / "schemas"
OPENAPI = ROOT / "docs" / "reference" / "openapi.json"

_PART = re.compile(r"(<!-- made: (\S+)([^\n]*?) -->\n).*?(<!-- end -->)", re.DOTALL)
_BOUNDS = {"ge": "≥", "gt": ">", "le": "≤", "lt": "<", "min_length": "length ≥"}


def main() -> int:
    """Write what is stale, or with `--check` name it."""
    check = sys.argv[1:] == ["--check"]
    stale = [(path, text) for path, text in pages() if not _holds(path, text)]
    for path, text in stale:
        sys.stdout.write(f"{'stale' if check else 'written'}: {path.relative_to(ROOT)}\n")
        if not check:
            path.write_text(text, "utf-8")
    if check and stale:
        sys.stdout.write("run `make docs`\n")
    return int(check and bool(stale))


def pages() -> Iterator[tuple[Path, str]]:
    """Every page and schema, with the text it should have."""
    for path in [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]:
        yield path, _PART.sub(_remade, path.read_text("utf-8"))
    yield OPENAPI, _openapi()
    for name, schema in _schemas().items():
        yield SCHEMAS / f"{name}.json", json.dumps(schema, indent=2, ensure_ascii=False) + "\n"


def _holds(path: Path, text: str) -> bool:
    return path.is_file() and path.read_text("utf-8") == text


def _remade(part: re.Match[str]) -> str:
    opening, name, given, closing = part.groups()
    return f"{opening}\n{MAKERS[name](given.strip())}\n\n{closing}"


def _openapi() -> str:
    """The schema of the HTTP API."""
    from hilum.service.app import openapi_text

    return openapi_text()


def _schemas() -> dict[str, dict[str, Any]]:
    from hilum.bundle.manifest import Manifest
    from hilum.domain.documents.agreement import ReaderAgreement
    from hilum.domain.documents.audit import Audit
    from hilum.domain.documents.comparison import CalibrationEffect, Comparison
    from hilum.domain.documents.evaluation import Evaluation
    from hilum.domain.documents.heatmaps import HeatmapEvaluation, Localization, Sanity
    from hilum.domain.documents.inspection import DatasetInspection
    from hilum.domain.documents.probe import ProbeRun
    from hilum.domain.documents.readers import ReaderStudy
    from hilum.domain.documents.rule_out import RuleOut
    from hilum.domain.documents.upgrade import Upgrade
    from hilum.domain.documents.watch import WatchCheck, WatchReference
    from hilum.domain.documents.worklist import WorklistRun
    from hilum.report.batch.results_jsonl import schema
    from hilum.runs.facts import RunFacts

    models = {
        "agreement": ReaderAgreement,
        "audit": Audit,
        "bundle": Manifest,
        "calibration_effect": CalibrationEffect,
        "check": DatasetInspection,
        "comparison": Comparison,
        "evaluation": Evaluation,
        "heatmaps": HeatmapEvaluation,
        "localisation": Localization,
        "probe": ProbeRun,
        "readers": ReaderStudy,
        "rule_out": RuleOut,
        "run": RunFacts,
        "sanity": Sanity,
        "upgrade": Upgrade,
        "watch": WatchCheck,
        "watch_reference": WatchReference,
        "worklist": WorklistRun,
    }
    made = {name: model.model_json_schema(mode="serialization") for name, model in models.items()}
    # its serializer leaves fields out, of which a schema of what is written knows nothing
    made["evaluation"] = Evaluation.model_json_schema()
    return {"results": schema(), **made}


def _table(header: tuple[str, ...], rows: list[tuple[str, ...]]) -> str:
    lines = [header, tuple("---" for _ in header), *rows]
    return "\n".join(
        f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in line)} |" for line in lines
    )


def _joined(text: str) -> str:
    return " ".join(text.split())


def _first(described: object) -> str:
    """The first paragraph of a docstring."""
    return _joined((inspect.getdoc(described) or "").split("\n\n")[0])


# the command line


def _verbs(_given: str) -> str:
    """Every verb with its arguments and options, as its `--help` has them."""
    from typer.main import get_command

    from hilum.cli.app import app

    commands: dict[str, Any] = getattr(get_command(app), "commands", {})
    return "\n\n".join(itertools.chain.from_iterable(_group("", commands)))


def _group(path: str, commands: dict[str, Any]) -> Iterator[list[str]]:
    """The verbs of a group, and of the groups in it."""
    for name, command in commands.items():
        below = getattr(command, "commands", None)
        yield from _group(f"{path}{name} ", below) if below else [[_verb(path + name, command)]]


def _verb(name: str, command: Any) -> str:
    rows: list[tuple[str, ...]] = []
    usage = [f"hilum {name}"]
    for parameter in command.params:
        argument = not parameter.opts[0].startswith("-")
        many = " …" if parameter.multiple or parameter.nargs != 1 else ""
        if argument:
            usage.append(f"{parameter.name.upper()}{many}")
        elif parameter.required:
            usage.append(f"{parameter.opts[0]} {parameter.name.upper()}")
        word = parameter.name.upper() if argument else ", ".join(parameter.opts)
        rows.append((f"`{word}`{many}", _default(parameter), _meaning(parameter)))
    if any(not parameter.required for parameter in command.params):
        usage.append("[OPTIONS]")
    parts = [f"## hilum {name}", f"```text\n{' '.join(usage)}\n```", inspect.cleandoc(command.help)]
    return "\n\n".join([*parts, _table(("Parameter", "Default", "Meaning"), rows)])


def _meaning(parameter: Any) -> str:
    """The help of a parameter, and the words of a closed list."""
    words = ", ".join(f"`{word}`" for word in parameter.type_descriptor.choices or ())
    text = getattr(parameter, "help", "") or ""
    return f"{text} One of {words}." if words else text


def _default(parameter: Any) -> str:
    if parameter.required:
        return "required"
    value = parameter.default
    return "none" if value is None else "off" if value is False else f"`{value}`"


# the HTTP API


def _routes(_given: str) -> str:
    """Every route with its scope, as the schema has it."""
    paths: dict[str, dict[str, Any]] = json.loads(_openapi())["paths"]
    rows = [
        (
            f"`{method.upper()}`",
            f"`{path}`",
            operation.get("x-scope", "open"),
            _joined(operation.get("description", "").split("\n\n")[0]),
            " ".join(sorted(operation["responses"])),
        )
        for path, operations in paths.items()
        for method, operation in operations.items()
    ]
    return _table(("Method", "Path", "Scope", "What it does", "Statuses"), rows)


# models


def _fields(name: str) -> str:
    """Fields of a pydantic model or dataclass: type, default, and the text below each."""
    module, _, word = name.rpartition(".")
    kind = getattr(importlib.import_module(module), word)
    described = _attribute_texts(kind)
    rows = [
        (f"`{field}`", shown, default, described.get(field, text))
        for field, shown, default, text in _declared(kind)
    ]
    return f"{_first(kind)}\n\n{_table(('Field', 'Type', 'Default', 'Meaning'), rows)}"


def _declared(kind: type) -> Iterator[tuple[str, str, str, str]]:
    """Name, type and default of each field, and what the field's own class says of itself."""
    if not issubclass(kind, BaseModel):
        for field in dataclasses.fields(kind):
            given = field.default is not dataclasses.MISSING
            default = _shown(field.default) if given else "required"
            yield field.name, f"`{field.type}`", default, ""
        return
    for name, field in kind.model_fields.items():
        bounds = [
            f"{sign} {getattr(rule, word):g}"
            for rule in field.metadata
            for word, sign in _BOUNDS.items()
            if hasattr(rule, word)
        ]
        default = "required" if field.is_required() else _shown(field.default)
        own = field.annotation if isinstance(field.annotation, type) else object
        text = _first(own) if own.__module__.startswith("hilum.") else ""
        yield name, ", ".join([f"`{_type(field.annotation)}`", *bounds]), default, text


def _type(annotation: Any) -> str:
    """An annotation in words: an enumeration by its values, a class by its name."""
    if isinstance(annotation, type) and issubclass(annotation, Enum):
        return ", ".join(str(member.value) for member in annotation)
    plain = isinstance(annotation, type) and not getattr(annotation, "__args__", None)
    text = annotation.__name__ if plain else str(annotation).replace("NoneType", "None")
    text = re.sub(r"typing\.Annotated\[(\w+), .*?\]\)\]", r"\1", text)
    return re.sub(r"(\w+\.)+(?=\w)", "", text)


def _shown(value: Any) -> str:
    if isinstance(value, BaseModel) or dataclasses.is_dataclass(value):
        return f"see {type(value).__name__}"
    plain = value.value if isinstance(value, Enum) else value
    return "none" if plain is None else f"`{json.dumps(plain, ensure_ascii=False)}`"


def _attribute_texts(kind: type) -> dict[str, str]:
    """Field to the string below it in the source, or to its entry under `Attributes:`."""
    (node,) = ast.parse(inspect.cleandoc("\n" + inspect.getsource(kind))).body
    body: list[ast.stmt] = getattr(node, "body", [])
    below = {
        ast.unparse(field.target): _joined(str(text.value.value))
        for field, text in itertools.pairwise(body)
        if isinstance(field, ast.AnnAssign)
        and isinstance(text, ast.Expr)
        and isinstance(text.value, ast.Constant)
    }
    listed = re.search(r"Attributes:\n((?:    .*\n?)+)", inspect.cleandoc(kind.__doc__ or ""))
    entries = re.findall(r"^    (\S.*?): ((?:.|\n(?!    \S))*)", listed[1] if listed else "", re.M)
    spread = {name: _joined(text) for names, text in entries for name in names.split(", ")}
    return {**spread, **below}


def _values(name: str) -> str:
    """Values of an enumeration, with the text below each."""
    module, _, word = name.rpartition(".")
    kind = getattr(importlib.import_module(module), word)
    described = _value_texts(kind)
    rows = [(f"`{member.value}`", described.get(member.name, "")) for member in kind]
    return _table(("Value", "Meaning"), rows)


def _value_texts(kind: type) -> dict[str, str]:
    """Name of each value to the string below it in the source."""
    (node,) = ast.parse(inspect.cleandoc("\n" + inspect.getsource(kind))).body
    body: list[ast.stmt] = getattr(node, "body", [])
    return {
        ast.unparse(value.targets[0]): _joined(str(text.value.value))
        for value, text in itertools.pairwise(body)
        if isinstance(value, ast.Assign)
        and isinstance(text, ast.Expr)
        and isinstance(text.value, ast.Constant)
    }


def _members(package: str) -> str:
    """Members of an extension folder, with the first line of each file."""
    from hilum.domain.members import members

    module = importlib.import_module(package)
    folder = Path(str(module.__file__)).parent
    rows = [
        (f"`{name}`", _joined((ast.get_docstring(tree) or "").split("\n\n")[0]))
        for name in members(package)
        for tree in [ast.parse((folder / f"{name}.py").read_text("utf-8"))]
    ]
    return _table(("Name", "What it is"), rows)


def _names(package: str) -> str:
    """Public names of a package, with the first line of each."""
    module = importlib.import_module(package)
    rows = [
        (f"`{name}`", _first(thing if callable(thing) else type(thing)))
        for name in sorted(module.__all__)
        for thing in [getattr(module, name)]
    ]
    return _table(("Name", "What it is"), rows)


def _presets(_given: str) -> str:
    """Every preset, as it stands in the package."""
    folder = SOURCE / "training" / "presets"
    return "\n\n".join(
        f"### {path.stem}\n\n```yaml\n{path.read_text('utf-8')}```"
        for path in sorted(folder.glob("*.yaml"))
    )


# words


def _reasons(_given: str) -> str:
    """Every reason code with its sentence, by the status it belongs to."""
    from hilum.domain.errors import ReasonCode
    from hilum.report.parts.text import REASONS

    raised = _raised()
    rows = [
        (
            status,
            f"`{code}`",
            REASONS[ReasonCode(code)] + ("" if code in raised else " *Not raised yet.*"),
        )
        for status, code in _reasons_in_source()
    ]
    return _table(("Status", "Code", "Sentence"), rows)


def _reasons_in_source() -> Iterator[tuple[str, str]]:
    """(status, code), in the order of the enumeration, whose comments name the statuses."""
    text = (SOURCE / "domain" / "errors.py").read_text("utf-8")
    body = text.partition("class ReasonCode")[2].partition("\nclass ")[0]
    status = ""
    for line in body.splitlines():
        if heading := re.match(r"    # (\w+):", line):
            status = heading[1]
        elif code := re.match(r"    [A-Z0-9_]+ = \"([A-Z0-9_]+)\"", line):
            yield status, code[1]


def _raised() -> set[str]:
    named = {SOURCE / "domain" / "errors.py", SOURCE / "report" / "parts" / "sentences.py"}
    files = [path for path in SOURCE.rglob("*.py") if path not in named]
    return {c for path in files for c in re.findall(r"ReasonCode\.(\w+)", path.read_text("utf-8"))}


def _statuses(_given: str) -> str:
    from hilum.report.parts.text import STATUSES

    rows = [
        (f"`{status}`", "yes" if status.scored else "no", sentence)
        for status, sentence in STATUSES.items()
    ]
    return _table(("Status", "Has probabilities", "Sentence"), rows)


def _findings(_given: str) -> str:
    """The catalog of findings."""
    from hilum.domain.findings import catalog

    rows = [
        (
            finding.name,
            finding.text,
            ", ".join(finding.aliases) or "–",
            "; ".join(f"{code.scheme} {code.value} ({code.source})" for code in finding.codes)
            or "none with a source",
        )
        for finding in catalog().values()
    ]
    return _table(("Name", "What it is", "Also read as", "Codes (source)"), rows)


# the house


def _house(_given: str) -> str:
    """The floors of `.importlinter` as a picture, and what each room is for."""
    contract = configparser.ConfigParser()
    contract.read(ROOT / ".importlinter", "utf-8")
    layers = contract["importlinter:contract:house"]["layers"].split("\n")
    floors = [[room.strip() for room in floor.split("|")] for floor in layers if floor.strip()]
    lines = ["   ".join(floor) for floor in floors]
    wide = max(map(len, lines)) + 2
    middle = f"├{'─' * wide}┤".join(f"│ {line:<{wide - 1}}│\n" for line in lines)
    middle = middle.replace("┤│", "┤\n│")
    picture = f"┌{'─' * wide}┐\n{middle}└{'─' * wide}┘"
    rows = [(f"`{room}`", _first_line(room)) for floor in floors for room in floor]
    return f"```text\n{picture}\n```\n\n{_table(('Room', 'What it is'), rows)}"


def _first_line(room: str) -> str:
    folder, file = SOURCE / room / "__init__.py", SOURCE / f"{room}.py"
    text = ast.get_docstring(ast.parse((folder if folder.is_file() else file).read_text("utf-8")))
    return _joined((text or "").split("\n\n")[0])


MAKERS: dict[str, Callable[[str], str]] = {
    "fields": _fields,
    "findings": _findings,
    "house": _house,
    "members": _members,
    "names": _names,
    "presets": _presets,
    "reasons": _reasons,
    "routes": _routes,
    "statuses": _statuses,
    "values": _values,
    "verbs": _verbs,
}


if __name__ == "__main__":
    sys.exit(main())
