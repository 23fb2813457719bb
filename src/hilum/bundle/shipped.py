"""Bundles that ship with hilum, found by name instead of by folder."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path

from hilum.domain.errors import BundleError, suggestion

__all__ = ["locate", "shipped"]


def shipped() -> dict[str, Path]:
    """Return names and folders of the bundles that ship with hilum.

    An installed package has them beside this file, a checkout in its `models/`.
    """
    here = Path(str(files("hilum.bundle")))
    for home in (here / "shipped", here.parents[2] / "models"):
        if home.is_dir():
            return {path.name: path for path in sorted(home.iterdir()) if path.is_dir()}
    return {}


def locate(bundle: Path | str) -> Path:
    """Return the folder of a bundle: the path itself, or a bundle that ships with hilum, by name.

    A folder of that name in the working directory takes precedence.

    Raises:
        BundleError: when there is neither.

    Example:
        >>> locate("startr")
        Traceback (most recent call last):
        ...
        hilum.domain.errors.BundleError: a bundle must be a folder or one of starter;
        startr is neither. Did you mean 'starter'?
    """
    path = Path(bundle)
    if path.exists() or len(path.parts) != 1:
        return path
    known = shipped()
    if path.name in known:
        return known[path.name]
    names = ", ".join(known) or "none that ship"
    raise BundleError(
        f"a bundle must be a folder or one of {names}; {path} is neither."
        f"{suggestion(path.name, tuple(known))}"
    )
