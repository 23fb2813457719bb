"""Pages from templates: everything escaped, nothing loaded from outside."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from importlib.resources import files
from importlib.resources.abc import Traversable
from urllib.parse import quote

from jinja2 import Environment, PackageLoader, StrictUndefined, Template
from markupsafe import Markup

from hilum.domain.findings import display_name
from hilum.domain.notice import NOT_A_DEVICE
from hilum.report.parts.results import BatchResults
from hilum.report.parts.text import (
    BY_HAND,
    EVIDENCE,
    evaluation_headline,
    evaluation_line,
    percent,
    shown,
)

__all__ = ["document", "link", "page", "prepare"]

_PARTS_A_PIECE = 256
"""Parts of a template, of a few characters each, that are joined into one piece."""

_FILES = {
    "report.html": "Film report",
    "dashboard.html": "Dashboard",
    "final_clinical_report.csv": "Table (CSV)",
    "results.jsonl": "Results (JSON lines)",
}
"""Files beside a page, with the words of their links."""


def page(
    name: str, batch: BatchResults, values: Mapping[str, object], parts: Sequence[str] = ()
) -> Iterator[str]:
    """Yield the HTML of a report on a batch in pieces; it may show images in its folder.

    Args:
        name: the template; `NAME.html.j2`, and `NAME.js` if it has a script.
        batch: for what every page says: bundle, evaluation, date.
        values: what this template alone needs.
        parts: style and script that it shares with other pages, as for `document`.
    """
    shared = {
        "batch": batch,
        "evidence": EVIDENCE,
        "threshold_by_hand": batch.tally.by_hand,
        "by_hand": BY_HAND,
        "files": [(words, file) for file, words in _FILES.items()],
        "headline": evaluation_headline(batch.bundle.evaluation),
        "measured_in_short": evaluation_line(batch.bundle.evaluation),
    }
    return document(name, {**values, **shared}, images=True, parts=parts)


def prepare(name: str) -> None:
    """Compile the template of a report, which takes longer than to fill it for a few films."""
    _template(name)


def document(
    name: str,
    values: Mapping[str, object],
    *,
    images: bool = False,
    parts: Sequence[str] = (),
) -> Iterator[str]:
    """Yield the HTML of a template in pieces, as one self-contained file.

    Style and script are written into the page, and a content security policy allows those two by
    their hash and nothing else: no request leaves the file except for images beside it, where it
    has any, and markup that came in through a name could not run even if it were not escaped.

    Args:
        name: the template, `NAME.html.j2`; with `NAME.js` and `NAME.css` where there are any. The
            template extends `shell.html.j2`, and its style follows that of all pages.
        values: what the template needs beside style, script, policy and notice.
        images: whether the page shows images that lie beside it.
        parts: further `PART.css` and `PART.js`, such as `viewer`, that stand before the page's own.
    """
    own = files("hilum.report").joinpath("templates")
    style = "".join(_text(own.joinpath(f"{part}.css")) for part in ("page", *parts, name))
    script = "".join(_text(own.joinpath(f"{part}.js")) for part in (*parts, name))
    policy = ["default-src 'none'", f"style-src {_hash(style)}"]
    policy += ["img-src 'self' file:"] if images else []
    policy += [f"script-src {_hash(script)}"] if script else []
    stream = _template(name).stream(
        **values,
        notice=NOT_A_DEVICE,
        policy="; ".join(policy),
        style=Markup(style),  # noqa: S704 -- our own file, checked by its hash
        script=Markup(script),  # noqa: S704 -- our own file, checked by its hash
    )
    stream.enable_buffering(_PARTS_A_PIECE)
    return stream


def _template(name: str) -> Template:
    return _environment().get_template(f"{name}.html.j2")


@cache
def _environment() -> Environment:
    """Made once, as it keeps the templates that it has compiled."""
    environment = Environment(
        loader=PackageLoader("hilum.report", "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters.update(shown=shown, percent=percent, link=link, display_name=display_name)
    return environment


def link(path: str) -> str:
    """Return a path below the output folder as the address of an image.

    The leading `./` keeps it a path: `//host/x` or `javascript:x` cannot become an address.

    >>> link("overlays/a b#1.png"), link("//host/x")
    ('./overlays/a%20b%231.png', './//host/x')
    """
    return "./" + quote(path, errors="surrogateescape")


def _text(file: Traversable) -> str:
    return file.read_text("utf-8") if file.is_file() else ""


def _hash(text: str) -> str:
    digest = hashlib.sha256(text.encode()).digest()
    return f"'sha256-{base64.b64encode(digest).decode()}'"
