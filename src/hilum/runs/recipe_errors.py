"""Error messages for a configuration, one line each: the file's line, the key, a suggestion."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, fields, is_dataclass
from typing import get_args

import yaml
from pydantic import BaseModel, ValidationError

from hilum.domain.errors import UsageError, suggestion
from hilum.files.sealed import first_fault

__all__ = ["Key", "Source", "describe"]

Key = tuple[str | int, ...]
"""Path to a value, such as `("phases", 0, "epochs")`."""

UNKNOWN = ("extra_forbidden", "unexpected_keyword_argument")
"""Error types of pydantic for an undeclared key, in a model and in a dataclass."""


@dataclass(frozen=True)
class Source:
    """Place where the values of a configuration were written.

    Attributes:
        name: name of the preset or the file.
        lines: line of each key in it, counted from 1.
    """

    name: str
    lines: dict[Key, int]

    @staticmethod
    def of(name: str, text: str) -> Source:
        r"""Return the lines of the keys in a YAML text.

        Raises:
            UsageError: for a key that occurs twice; YAML would silently take the last one.

        >>> Source.of("own.yaml", "name: own\nloss:\n  name: focal\n").lines
        {('name',): 1, ('loss',): 2, ('loss', 'name'): 3}
        """
        lines: dict[Key, int] = {}
        for key, line in _keys(yaml.compose(text, Loader=yaml.SafeLoader), ()):
            if key in lines:
                raise UsageError(
                    f"{name}:{line}: {_dotted(key)}: this key is in line {lines[key]} already. "
                    "Remove one of them"
                )
            lines[key] = line
        return Source(name, lines)

    def without(self, key: Key) -> Source:
        """Return the source without a key that a change has replaced, and so has no line."""
        kept = {at: line for at, line in self.lines.items() if at[: len(key)] != key}
        return Source(self.name, kept)

    def place(self, key: Key) -> str:
        """Return `own.yaml:7`, or the name alone for a key without a line."""
        return f"{self.name}:{self.lines[key]}" if key in self.lines else self.name


def describe(error: ValidationError, kind: type[BaseModel], source: Source) -> str:
    """Return the first fault in one line.

    Args:
        error: what validating `kind` raised.
        kind: the model of the whole file.
        source: where the values were written.
    """
    first = error.errors()[0]
    key: Key = first["loc"]
    place = source.place(key)
    if first["type"] not in UNKNOWN:
        return f"{place}: {first_fault(error)} (got {first['input']!r})"
    return f"{place}: {_dotted(key)}: no such field.{_nearest(key, list(_known(kind, ())))}"


def _nearest(key: Key, known: list[Key]) -> str:
    """Return a similarly named field of the same part, or a field of that name elsewhere."""
    part, word = key[:-1], str(key[-1])
    siblings = [str(at[-1]) for at in known if at[:-1] == _first_items(part)]
    similar = suggestion(word, siblings).replace("'", f"'{_dotted((*part, ''))}", 1)
    elsewhere = [f" Did you mean '{_dotted(at)}'?" for at in known if at[-1] == word]
    # at the top a word more likely belongs to a part than is misspelled
    ways = [*elsewhere[:1], similar] if not part else [similar, *elsewhere[:1]]
    return next(filter(None, ways), f" There are {', '.join(siblings)}")


def _first_items(part: Key) -> Key:
    """Return the part as `_known` lists it, where every item of a list has index 0."""
    return tuple(0 if isinstance(step, int) else step for step in part)


def _keys(node: yaml.Node | None, above: Key) -> Iterator[tuple[Key, int]]:
    if isinstance(node, yaml.MappingNode):
        for name, value in node.value:
            yield (*above, name.value), name.start_mark.line + 1
            yield from _keys(value, (*above, name.value))
    elif isinstance(node, yaml.SequenceNode):
        for place, value in enumerate(node.value):
            yield (*above, place), value.start_mark.line + 1
            yield from _keys(value, (*above, place))


def _known(kind: object, above: Key) -> Iterator[Key]:
    """Yield every field of a model, including those of its parts."""
    if isinstance(kind, type) and issubclass(kind, BaseModel):
        for name, field in kind.model_fields.items():
            yield (*above, name)
            yield from _known(field.annotation, (*above, name))
    elif isinstance(kind, type) and is_dataclass(kind):
        yield from ((*above, field.name) for field in fields(kind))
    elif getattr(kind, "__origin__", None) is tuple:
        yield from _known(get_args(kind)[0], (*above, 0))


def _dotted(key: Key) -> str:
    return ".".join(map(str, key))
