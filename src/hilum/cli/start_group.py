"""Verbs under one word, whose `start` may be left out: `hilum serve starter`."""

from __future__ import annotations

from typing import Any

from typer.core import TyperGroup

__all__ = ["StartGroup"]


class StartGroup(TyperGroup):
    """The words after a verb; what is none of them goes to `start`."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Put `start` before a bundle or an option."""
        if args and args[0] not in (*self.commands, "--help"):
            args = ["start", *args]
        return super().parse_args(ctx, args)
