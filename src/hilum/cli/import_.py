"""`hilum import`: published weights to a run, without running a byte of them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from hilum.cli.options import INPUT, MODEL, OTHER, OUTPUT, Json, Quiet, writable
from hilum.cli.terminal import print_json, say
from hilum.domain.errors import UsageError

if TYPE_CHECKING:
    from hilum.importing.profile import Profile
    from hilum.runs.folder import RunFolder

__all__ = ["import_"]


Weights = Annotated[
    str | None,
    typer.Argument(
        help="File or folder of weights, a bundle, or a name of --list to fetch (default: none)."
    ),
]
ProfileName = Annotated[
    str | None,
    typer.Option(
        "--profile",
        help="Shipped name, timm:NAME, torchvision:NAME or YAML file (default: its own).",
        rich_help_panel=MODEL,
    ),
]
RunOut = Annotated[
    Path | None,
    typer.Option(
        "-o",
        "--out",
        help="Run folder to write (default: none, and required to import).",
        rich_help_panel=OUTPUT,
        callback=writable,
    ),
]
Changes = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        help="Field of the profile to set, such as findings=[Edema] (default: none).",
        rich_help_panel=MODEL,
    ),
]
PrintProfile = Annotated[
    bool,
    typer.Option(
        "--print-profile", help="Print a draft of the file's profile.", rich_help_panel=OTHER
    ),
]
Listed = Annotated[
    bool, typer.Option("--list", help="List the shipped profiles.", rich_help_panel=OTHER)
]
AcceptLicense = Annotated[
    str | None,
    typer.Option(
        help="License to accept by name, where a profile asks for it (default: none).",
        rich_help_panel=MODEL,
    ),
]
Mirror = Annotated[
    str | None,
    typer.Option(
        help="HTTPS folder to download from (default: the authors' address).",
        rich_help_panel=INPUT,
    ),
]
Offline = Annotated[
    bool, typer.Option("--offline", help="Use downloaded files only.", rich_help_panel=INPUT)
]


def import_(
    weights: Weights = None,
    profile: ProfileName = None,
    out: RunOut = None,
    changes: Changes = None,
    print_profile: PrintProfile = False,
    listed: Listed = False,
    accept_license: AcceptLicense = None,
    mirror: Mirror = None,
    offline: Offline = False,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Turn published weights into a run, without running a byte.

    Nothing in the file is executed. What it does not say, its profile says. The license is
    printed, and until `hilum calibrate` every output of the run says that it is not calibrated. A
    bundle becomes a run that can be measured and calibrated on films of another site.
    """
    if listed:
        _list(as_json)
        return
    if weights is None:
        raise UsageError("hilum import needs a file of weights, or --list. Name the file")
    if print_profile:
        from hilum.importing.draft import draft
        from hilum.importing.reading import read_confined

        typer.echo(draft(read_confined(Path(weights)), Path(weights).name), nl=False)
        return
    if out is None:
        raise UsageError("hilum import needs a folder for the run. Name it with -o RUN")
    bundle = _bundle(weights)
    if bundle is not None:
        run = _write_bundle(bundle, profile, changes, out)
    else:
        found = _profile(weights, profile, changes or [])
        file = _file(weights, found, mirror, offline, quiet)
        run = write(file, found, out, accept_license or "")
        say(f"license: {found.license}. {found.terms or f'Cite: {found.citation}'}", quiet)
    facts = run.facts()
    for note in facts.network.notes:
        say(note, quiet)
    if as_json:
        print_json({"out": str(out), "model_sha256": facts.network.model_sha256})
    else:
        typer.echo(out)


def write(file: Path, profile: Profile, out: Path, accept: str = "") -> RunFolder:
    """Import a file by a profile into a new run folder."""
    from hilum.domain.radiograph import Radiograph
    from hilum.importing.run import ImportRequest, import_weights
    from hilum.phantom.film import draw_example

    pixels = [draw_example("Effusion", seed=1).pixels, draw_example(None, seed=2).pixels[:, 20:220]]
    films = [Radiograph(p.copy(), source=f"drawn-{number}") for number, p in enumerate(pixels)]
    return import_weights(ImportRequest(file, profile, accept), out, films)


def _bundle(weights: str) -> Path | None:
    from hilum.bundle.bundle import shipped

    path = Path(weights)
    if not path.exists():
        return shipped().get(weights)
    return path if (path / "bundle.json").is_file() else None


def _write_bundle(
    root: Path, profile: str | None, changes: list[str] | None, out: Path
) -> RunFolder:
    from hilum.importing.bundle_run import import_bundle

    if profile is not None or changes:
        raise UsageError(
            f"a bundle says everything by itself; {root} is one. Leave out --profile and --set"
        )
    return import_bundle(root, out)


def _profile(weights: str, word: str | None, changes: list[str]) -> Profile:
    import yaml

    from hilum.importing.hf import hf_profile, is_hf_folder
    from hilum.importing.profile import HF_PROFILE, load_profile, shipped_profiles

    fields: dict[str, Any] = {}
    for change in changes:
        name, equals, value = change.partition("=")
        if not equals or not name:
            raise UsageError(f"--set must read FIELD=VALUE; got '{change}'")
        try:
            fields[name] = yaml.safe_load(value)
        except yaml.YAMLError:
            raise UsageError(f"--set must read FIELD=VALUE; got '{change}'") from None
    if word == HF_PROFILE or (word is None and is_hf_folder(Path(weights))):
        return hf_profile(Path(weights), fields)
    if word is None:
        if weights not in shipped_profiles():
            raise UsageError(
                f"a file does not say what its outputs and inputs are; name the profile of "
                f"{weights} with --profile (`hilum import --list` lists the shipped ones)"
            )
        word = weights
    return load_profile(word, fields)


def _file(weights: str, profile: Profile, mirror: str | None, offline: bool, quiet: bool) -> Path:
    """Return the local file: the one named, or the download of a name of the catalog."""
    path = Path(weights)
    if path.exists() or weights != profile.name:
        return path
    from hilum.importing.download import fetched

    return fetched(profile, mirror, offline, lambda words: say(words, quiet))


def _list(as_json: bool) -> None:
    from hilum.importing.profile import shipped_profiles

    rows = [
        {
            "name": name,
            "findings": len(one.trained),
            "license": one.license,
            "seen": sorted({films.dataset for films in one.seen}),
            "size_bytes": one.size_bytes or None,
            "url": one.download or one.url,
        }
        for name, one in shipped_profiles().items()
    ]
    if as_json:
        print_json({"profiles": rows})
        return
    for name, one in shipped_profiles().items():
        size = f"{one.size_bytes / 1e6:.0f} MB" if one.size_bytes else "size not known"
        seen = ", ".join(sorted({films.dataset for films in one.seen})) or "no chest film"
        typer.echo(
            f"{name}: {len(one.trained)} findings; {one.license}; seen {seen}; {size}; "
            f"{one.download or one.url}"
        )
