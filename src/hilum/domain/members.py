"""Extension folders: one more thing is one more file, found by its name.

In an extension folder `__init__.py` holds the contract and each other file is one member, named as
its file. A member's file defines one public annotated constant of the contract's type, such as
`LOSS: Loss = Loss(value)`. Packages inside the folder, such as `parts/`, are not members. Nothing
is registered anywhere.
"""

from __future__ import annotations

import pkgutil
import sys
from collections.abc import Iterable
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import TypeVar

from hilum.domain.errors import UsageError, suggestion

__all__ = ["member", "member_class", "members"]

_T = TypeVar("_T")


def members(package: str) -> tuple[str, ...]:
    """Return the names of all members of an extension folder, sorted; none is imported.

    Args:
        package: dotted name of the folder.

    >>> "nih" in members("hilum.datasets")
    True
    """
    found = pkgutil.iter_modules(_folders(package))
    return tuple(sorted(one.name for one in found if not one.ispkg))


def member(package: str, name: str, kind: type[_T], noun: str) -> _T:
    """Return the constant that a member's file defines.

    Args:
        package: dotted name of the folder.
        name: name of the member.
        kind: type of the constant.
        noun: word for a member in the message, such as "loss".

    Raises:
        UsageError: when no member has that name.
        TypeError: when its file does not define exactly one public annotated constant of that type.

    >>> from hilum.report.printed import Printed
    >>> member("hilum.report.printed", "jsno", Printed, "printed form")
    Traceback (most recent call last):
    ...
    hilum.domain.errors.UsageError: no printed form 'jsno'; there are: console, json, markdown. Did
    you mean 'json'?
    """
    module = _module(package, name, noun)
    return _only(module, kind, [one for one in _constants(module) if isinstance(one, kind)])


def member_class(package: str, name: str, kind: type[_T], noun: str) -> type[_T]:
    """Return the class that a member's file names by a constant such as `CURVE: type[Curve]`.

    Args:
        package: dotted name of the folder.
        name: name of the member.
        kind: class that it must be derived from.
        noun: word for a member in the message.

    Raises:
        UsageError: when no member has that name.
        TypeError: when its file does not define exactly one public annotated constant of that kind.
    """
    module = _module(package, name, noun)
    classes = [one for one in _constants(module) if isinstance(one, type) and issubclass(one, kind)]
    return _only(module, kind, classes)


def _folders(package: str) -> Iterable[str]:
    """Return the folders of a package without loading it: help and completion only list names."""
    if package in sys.modules:
        return sys.modules[package].__path__
    root, *below = package.split(".")
    return [str(Path(place, *below)) for place in import_module(root).__path__]


def _module(package: str, name: str, noun: str) -> ModuleType:
    known = members(package)
    if name not in known:
        raise UsageError(
            f"no {noun} '{name}'; there are: {', '.join(known)}.{suggestion(name, known)}"
        )
    return import_module(f"{package}.{name}")


def _constants(module: ModuleType) -> list[object]:
    """Return the values of the public annotated constants of a file."""
    return [vars(module).get(name) for name in module.__annotations__ if not name.startswith("_")]


def _only(module: ModuleType, kind: type, values: list[_T]) -> _T:
    if len(values) != 1:
        raise TypeError(
            f"{module.__name__} must define one public annotated constant of {kind.__name__}, such "
            f"as {kind.__name__.upper()}: {kind.__name__} = ...; it has {len(values)}"
        )
    return values[0]
