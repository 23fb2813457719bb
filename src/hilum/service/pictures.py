"""What can be looked at of a film, wherever it comes from."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from hilum.service.store.films import FilmRow

__all__ = ["FilmPictures"]


class FilmPictures(Protocol):
    """Where pictures of films come from. Each method gives bytes, or None where there are none."""

    def offers(self, film: FilmRow) -> Mapping[str, bool]:
        """Return which of `preview`, `pixels` and `maps` a film has, or can have."""
        ...

    def overlays(self, film: FilmRow) -> tuple[str, ...]:
        """Return the findings whose overlay can be requested."""
        ...

    def layers(self, film: FilmRow) -> tuple[str, ...]:
        """Return the findings whose map alone can be requested as a picture."""
        ...

    def layer(self, film: FilmRow, finding: str) -> bytes | None:
        """Return a PNG with alpha of a finding's map, which spans the film."""
        ...

    def preview(self, film: FilmRow) -> bytes | None:
        """Return a JPEG."""
        ...

    def pixels(self, film: FilmRow) -> bytes | None:
        """Return a frame with the grays, deflated."""
        ...

    def maps(self, film: FilmRow) -> bytes | None:
        """Return a frame with the heatmaps of all findings, as float32."""
        ...

    def overlay(self, film: FilmRow, finding: str) -> bytes | None:
        """Return a PNG or JPEG of a finding's map over the film."""
        ...

    def close(self) -> None:
        """End what makes pictures."""
        ...
