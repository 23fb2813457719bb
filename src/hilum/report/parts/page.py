"""Pages from templates: everything escaped, nothing loaded from outside."""

from __future__ import annotations

import base64
import hashlib
from importlib.resources import files
from urllib.parse import quote

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from hilum.domain.result import NOT_A_DEVICE
from hilum.report.base import BatchResults
from hilum.report.parts.names import shown
from hilum.report.parts.sentences import EVIDENCE, evaluation_headline, percent

__all__ = ["link", "page"]


def page(name: str, batch: BatchResults, values: dict[str, object]) -> str:
    """The HTML of a template, as one self-contained file.

    Style and script are written into the page, and a content security policy allows those two by
    their hash and nothing else: no request leaves the file except for images beside it, and markup
    that came in through a name could not run even if it were not escaped.

    Args:
        name: the template; `NAME.html.j2`, and `NAME.js` if it has a script.
        batch: for what every page says: bundle, evaluation, date.
        values: what this template alone needs.
    """
    folder = files("hilum.report").joinpath("templates")
    style = folder.joinpath("page.css").read_text("utf-8")
    source = folder.joinpath(f"{name}.js")
    script = source.read_text("utf-8") if source.is_file() else ""
    policy = f"default-src 'none'; img-src 'self' file:; style-src {_hash(style)}"
    if script:
        policy += f"; script-src {_hash(script)}"
    environment = Environment(
        loader=PackageLoader("hilum.report", "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters.update(shown=shown, percent=percent, link=link)
    return environment.get_template(f"{name}.html.j2").render(
        **values,
        batch=batch,
        notice=NOT_A_DEVICE,
        evidence=EVIDENCE,
        headline=evaluation_headline(batch.bundle.evaluation),
        policy=policy,
        style=Markup(style),  # noqa: S704 -- our own file, checked by its hash
        script=Markup(script),  # noqa: S704 -- our own file, checked by its hash
    )


def link(path: str) -> str:
    """A path below the output folder as the address of an image.

    The leading `./` keeps it a path: `//host/x` or `javascript:x` cannot become an address.

    >>> link("overlays/a b#1.png"), link("//host/x")
    ('./overlays/a%20b%231.png', './//host/x')
    """
    return "./" + quote(path, errors="surrogateescape")


def _hash(text: str) -> str:
    digest = hashlib.sha256(text.encode()).digest()
    return f"'sha256-{base64.b64encode(digest).decode()}'"
