"""`hilum bundle`: write the one folder that leaves the lab."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from hilum.cli.options import MODEL, Json, Out, Quiet
from hilum.cli.terminal import print_json, say
from hilum.domain.errors import UsageError

if TYPE_CHECKING:
    from hilum.bundle.bundle import Bundle
    from hilum.imaging.gate import GateRules

__all__ = ["bundle", "write"]


def bundle(
    run: Annotated[Path, typer.Argument(help="A calibrated run.")],
    out: Out,
    gate: Annotated[
        list[str] | None,
        typer.Option(
            help="Rule of the input gate to change, such as min_age_years=0 (default: none).",
            rich_help_panel=MODEL,
        ),
    ] = None,
    watch: Annotated[
        Path | None,
        typer.Option(
            help="Reference of `hilum watch fit` to ship, of the same network (default: none).",
            rich_help_panel=MODEL,
        ),
    ] = None,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Put a run's network and evidence into one folder to serve."""
    from hilum.runs.folder import RunFolder
    from hilum.stages.index import note_bundle

    made = _written(run, out, gate or (), watch)
    note_bundle(RunFolder(run), out, made.id)
    replaces = made.manifest.replaces
    if replaces:
        say(f"replaces bundle {replaces[:12]}, which had a different calibration", quiet)
    if as_json:
        print_json({"out": str(out), "id": made.id, "replaces": replaces})
    else:
        typer.echo(out if quiet else f"{out}  {made.id}")


def write(run: Path, out: Path, gate: Sequence[str] = (), watch: Path | None = None) -> str:
    """Write the bundle and return its short id."""
    return _written(run, out, gate, watch).id


def _written(run: Path, out: Path, gate: Sequence[str], watch: Path | None = None) -> Bundle:
    from dataclasses import replace

    from hilum.bundle.write import BundleParts, write_bundle
    from hilum.domain.documents.watch import WATCH_REFERENCE
    from hilum.domain.radiograph import Radiograph
    from hilum.phantom.film import draw_example
    from hilum.runs.folder import RunFolder

    # drawn, since a bundle carries no patient; one is oblong, to test the geometry too
    pixels = [draw_example("Effusion", seed=1).pixels, draw_example(None, seed=2).pixels[:, 20:220]]
    films = [Radiograph(p.copy(), source=f"drawn-{number}") for number, p in enumerate(pixels)]
    parts = BundleParts.from_run(RunFolder(run))
    if watch is not None:
        parts = replace(parts, reference=watch / WATCH_REFERENCE if watch.is_dir() else watch)
    return write_bundle(parts, films, out, _rules(gate))


def _rules(words: Sequence[str]) -> GateRules:
    """The default rules of the gate, changed by words of the form `RULE=value`."""
    import yaml
    from pydantic import ValidationError

    from hilum.domain.errors import suggestion
    from hilum.files.sealed import first_fault
    from hilum.imaging.gate import GateRules

    changed: dict[str, object] = {}
    for word in words:
        name, equals, value = word.partition("=")
        if not equals or name not in GateRules.model_fields:
            near = suggestion(name, GateRules.model_fields)
            raise UsageError(f"--gate must read RULE=value with a rule it has; got '{word}'.{near}")
        try:
            changed[name] = yaml.safe_load(value)
        except yaml.YAMLError:
            raise UsageError(f"--gate must read RULE=value; got '{word}'") from None
    try:
        return GateRules.model_validate(changed)
    except ValidationError as error:
        raise UsageError(f"--gate: {first_fault(error)}") from None
