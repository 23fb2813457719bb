"""`hilum export`: a bundle's network in a different format."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from hilum.cli.options import MODEL, OUTPUT, Json, Out, Quiet
from hilum.cli.terminal import say

__all__ = ["export"]

Format = Annotated[
    Literal["onnx", "openvino", "safetensors", "torchscript", "hf", "timm"],
    typer.Option("--to", help="Format to write.", rich_help_panel=OUTPUT),
]


def export(
    bundle: Annotated[
        Path, typer.Argument(help="A bundle's folder, or the name of one that ships.")
    ],
    to: Format,
    out: Out,
    backbone: Annotated[
        str | None,
        typer.Option(
            help="Backbone of a bundle that does not say it (default: as in the bundle).",
            rich_help_panel=MODEL,
        ),
    ] = None,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Write a bundle's network for other libraries, compared.

    The exported network is read back and given the drawn films of the bundle's self-test. How far
    it is from the bundle stands in export.json; where it is too far, nothing is written.
    """
    from hilum.exporting.export import export_bundle

    found = export_bundle(bundle, to, out, backbone or "")
    maps = (
        "no heatmaps"
        if found.heatmaps is None
        else f"heatmaps by {found.heatmaps:.2g} of a peak of {found.heatmaps_peak:.3g}"
    )
    say(
        f"on {found.films} drawn films logits differ by {found.logits:.2g} of a range of "
        f"{found.logits_range:.3g}, {maps}",
        quiet,
    )
    for note in found.notes:
        say(note, quiet)
    if as_json:
        typer.echo((out / "export.json").read_text("utf-8"), nl=False)
    else:
        typer.echo(out)
