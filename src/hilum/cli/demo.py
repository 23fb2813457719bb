"""`hilum demo`: every stage on drawn films, then where to look and what was measured."""

from __future__ import annotations

import shutil
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from hilum.cli import bundle as bundle_verb
from hilum.cli.options import INPUT, OUTPUT, Json, Quiet, Seed, writable
from hilum.cli.terminal import Step, print_json, progress, say
from hilum.cli.train import Watching
from hilum.domain.errors import UsageError, counted

if TYPE_CHECKING:
    from hilum.domain.documents.heatmaps import Localization
    from hilum.evaluation.localize import Mapped
    from hilum.phantom.corpus import PhantomCorpus
    from hilum.report.parts.results import BatchResults
    from hilum.runs.folder import RunFolder
    from hilum.stages.evaluate import Evaluated

__all__ = ["demo"]

ENRICHMENT = 4.0
"""Odds of rare findings times this, so that a small corpus has all of them."""
INBOX_FILMS = 24
RESAMPLES = 1000


def demo(
    out: Annotated[
        Path,
        typer.Option(
            "-o", "--out", help="New folder to write to.", rich_help_panel=OUTPUT, callback=writable
        ),
    ] = Path("demo"),
    patients: Annotated[
        int, typer.Option(min=40, help="Number of patients to draw.", rich_help_panel=INPUT)
    ] = 480,
    seed: Seed = 0,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Run the whole pipeline on drawn films: minutes on two cores.

    Everything is synthetic: the numbers show that the pipeline works, not how it reads patients.
    """
    from hilum.phantom.corpus import PhantomCorpus
    from hilum.runs.folder import RunFolder
    from hilum.stages.index import note_bundle

    if out.exists() and any(out.iterdir()):
        raise UsageError(f"the demo needs a new folder; {out} is not empty. Name another with -o")
    started = time.monotonic()
    corpus = PhantomCorpus(patients=patients, seed=seed, enrichment=ENRICHMENT)
    run = RunFolder(out / "run")
    with progress(quiet) as step:
        _train(corpus, run, out / "films", step, quiet)
        done, localisation = _evaluate(corpus, run, step, quiet)
        say("5/6  bundling", quiet)
        note_bundle(run, out / "bundle", bundle_verb.write(run.root, out / "bundle"))
        batch = _predict(done, out, step, quiet)
    if as_json:
        print_json(_document(out, done, batch, time.monotonic() - started))
    else:
        _tell(out, done, localisation, batch, time.monotonic() - started)


def _train(corpus: PhantomCorpus, run: RunFolder, films: Path, step: Step, quiet: bool) -> None:
    from hilum.datasets import open_dataset
    from hilum.phantom.nih import write_nih
    from hilum.runs.folder import Places
    from hilum.runs.recipe import load_config
    from hilum.splits import assign
    from hilum.training.train import train

    say(
        f"1/6  drawing {counted(len(corpus.films()), 'film')} of "
        f"{counted(corpus.patients, 'patient')}",
        quiet,
    )
    write_nih(corpus, films, lambda done, total: step("drawing films", done, total))
    config = load_config("demo", (f"seed={corpus.seed}",))
    cohort = open_dataset(films)
    say(f"2/6  training {config.model.backbone} on films of {config.preprocessing.size} px", quiet)
    splits = assign(cohort, config.split, config.seed)
    train(config, cohort, splits, Places(run, films), Watching(step, quiet=True))


def _evaluate(
    corpus: PhantomCorpus, run: RunFolder, step: Step, quiet: bool
) -> tuple[Evaluated, Localization]:
    from hilum.domain.record import Split
    from hilum.evaluation.localize import measure_localization
    from hilum.files.sealed import write_sealed
    from hilum.stages.calibrate import CalibrationRequest, calibrate_run
    from hilum.stages.evaluate import RunEvaluation, evaluate_run
    from hilum.stages.films import split_of

    say("3/6  calibrating on patients that did not train", quiet)
    calibrate_run(run, split_of(run, Split.CALIBRATE, None), CalibrationRequest())
    say("4/6  evaluating on patients that did neither", quiet)
    done = evaluate_run(run, split_of(run, Split.TEST, None), RunEvaluation(RESAMPLES, corpus.seed))
    localisation = measure_localization(
        _against_masks(corpus, run, done, step), "drawn masks", corpus.seed
    )
    write_sealed(localisation, run.root / "localisation.json")
    return done, localisation


def _against_masks(
    corpus: PhantomCorpus, run: RunFolder, done: Evaluated, step: Step
) -> Iterator[Mapped]:
    """Each planted finding of the test films: the heatmap, and the mask it was drawn with."""
    import cv2
    import numpy as np

    from hilum.evaluation.localize import Mapped
    from hilum.stages.evaluate import GRID, map_on_grid

    preprocessing = run.facts().network.preprocessing
    plans = {plan.image_id: plan for plan in corpus.films()}
    records = done.scored.cohort.records
    for row, record in enumerate(records):
        for finding, mask in corpus.draw(plans[record.image_id]).masks.items():
            small = cv2.resize(mask.astype(np.uint8), GRID[::-1], interpolation=cv2.INTER_NEAREST)
            heatmap = map_on_grid(done.scored, preprocessing, row, finding)
            yield Mapped(record.patient_id, finding, heatmap, small > 0)
        step("comparing heatmaps with the drawn masks", row + 1, len(records))


def _predict(done: Evaluated, out: Path, step: Step, quiet: bool) -> BatchResults:
    """The latest film of some test patients and one damaged file, as they would arrive."""
    from hilum.batch.inputs import list_films
    from hilum.batch.run import run_batch
    from hilum.bundle import Bundle

    say("6/6  predicting, explaining, reporting", quiet)
    inbox = out / "inbox"
    inbox.mkdir()
    latest = {r.patient_id: r.path for r in done.scored.cohort.records if r.path is not None}
    paths = list(latest.values())[:INBOX_FILMS]
    for path in paths:
        shutil.copyfile(path, inbox / path.name)
    whole = paths[0].read_bytes()
    (inbox / "damaged.png").write_bytes(whole[: len(whole) // 2])
    finished = run_batch(
        Bundle.load(out / "bundle"),
        list_films([str(inbox)]),
        out / "report",
        advance=lambda read, total: step("scoring films", read, total),
    )
    return finished.batch


def _document(out: Path, done: Evaluated, batch: BatchResults, seconds: float) -> dict[str, object]:
    from hilum.domain.notice import NOT_A_DEVICE

    return {
        "notice": NOT_A_DEVICE,
        "synthetic": True,
        "macro_auroc": done.evaluation.macro.auroc.model_dump(mode="json"),
        "inputs": len(batch.results),
        "scored": batch.tally.scored,
        "seconds": round(seconds, 1),
        "report": str(out / "report" / "report.html"),
        "evaluation": str(out / "run" / "evaluation.json"),
        "bundle": str(out / "bundle"),
    }


def _command() -> str:
    """The command as it must be typed here: its full path, unless the shell finds the same."""
    own = Path(sys.argv[0])
    if own.name == "__main__.py":
        return f"{sys.executable} -m hilum"
    found = shutil.which(own.name)
    same = found is not None and own.exists() and Path(found).samefile(own)
    return own.name if same else str(own.absolute())


def _tell(
    out: Path, done: Evaluated, localisation: Localization, batch: BatchResults, seconds: float
) -> None:
    from hilum.domain.notice import NOT_A_DEVICE
    from hilum.stages.evaluate import pointing_line

    evaluation = done.evaluation
    area = evaluation.macro.auroc
    split = evaluation.split
    scored = sum(result.status.scored for result in batch.results)
    lines = [
        "",
        "Measured on synthetic films (drawn, not patients):",
        f"  macro AUROC {area.in_words()} over {evaluation.macro.findings_counted} of "
        f"{counted(evaluation.macro.findings_total, 'finding')}, "
        f"{counted(split.images, 'film')} of {split.patients} test patients",
        f"  mean ECE {evaluation.macro.ece_equal_mass.in_words()}; a constant predictor, which "
        f"sees no film, has {evaluation.constant_predictor.ece_equal_mass.in_words()}",
    ]
    if localisation.mean is not None:
        lines.append(f"  {pointing_line(localisation)}")
    lines += [
        f"  {scored} of {counted(len(batch.results), 'input')} scored; "
        "the damaged file has its row",
        "",
        "Look at:",
        f"  {out / 'report' / 'report.html'}       films, heatmaps, probabilities",
        f"  {out / 'report' / 'dashboard.html'}    counts and distributions",
        f"  {out / 'report' / 'final_clinical_report.csv'}",
        f"  {out / 'run' / 'evaluation.html'}      every number with its interval, and the curves",
        f"  {out / 'run' / 'index.html'}           what each stage wrote, with its numbers",
        f"  {out / 'bundle' / 'CARD.md'}           what the bundle is",
        "",
        "Review them in a browser (needs hilum[serve]):",
        f"  {_command()} serve --results {out / 'report'}",
        "",
        "Score films of your own:",
        f"  {_command()} predict {out / 'bundle'} FILMS -o REPORT",
        "",
        f"{seconds:.0f} s in all. {NOT_A_DEVICE}",
    ]
    typer.echo("\n".join(lines))
