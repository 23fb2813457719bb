"""Train a network: from a cohort and its splits to a finished run folder."""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path

from hilum.domain.errors import UsageError
from hilum.domain.provenance import TRAINING, code_sha256, provenance
from hilum.domain.record import Cohort, Split, digest, prevalences
from hilum.files.lock import locked
from hilum.files.sealed import file_sha256
from hilum.model import weights
from hilum.model.classifier import Classifier
from hilum.model.export import Parity, export_onnx
from hilum.report.training import draw_curves
from hilum.runs.facts import BoundFilms, Design, NetworkFacts, RunFacts, Trained
from hilum.runs.folder import Places, RunFolder
from hilum.runs.recipe import TrainingConfig
from hilum.splits import SeenPatients, SplitTable
from hilum.training import losses, phases, weighting
from hilum.training.checkpoint import read_stopped
from hilum.training.data.augment import refuse_flip
from hilum.training.data.cache import films_of, ready
from hilum.training.data.films import Films
from hilum.training.data.places import drawn_places
from hilum.training.device import Device
from hilum.training.environment import write_environment
from hilum.training.fit import NO_CALLBACK, Callback, Fitted, Job, fit
from hilum.training.ranks import ALONE, Ranks
from hilum.training.resume import ResumeKey
from hilum.training.starting_weights import (
    empty_network,
    inherited_patients,
    refuse_contaminated,
    start_notes,
    starting_network,
)
from hilum.training.tables import write_prevalence, write_rows

__all__ = ["train"]


def train(
    config: TrainingConfig,
    cohort: Cohort,
    splits: SplitTable,
    places: Places,
    watch: Callback = NO_CALLBACK,
    ranks: Ranks = ALONE,
) -> None:
    """Train on the train split, choose on tune, export; calibrate and test are not read.

    A stopped run in the folder is resumed if it was started with the same configuration, records,
    split and films.

    Args:
        config: configuration of the run.
        cohort: records with films; those without one are left out and counted.
        splits: the split of each film; refused when a patient is in two.
        places: the run folder, the dataset's, and where reduced films are kept.
        watch: receives progress on films read and trained on, and every epoch.
        ranks: the processes that train together, as `joined` gives them. All call this with the
            same arguments; rank 0 writes.

    Raises:
        LeakError: when patients cross splits.
        DatasetError: when train or tune has no readable film.
        UsageError: for a folder that a different process trains in, a finished run, a stopped one
            that was started differently, an invalid configuration, or a loss that is not finite.
        BundleError: when a phase did not train what it promised.
        KeyboardInterrupt: after a request to stop; the run can be resumed.
    """
    source = _Source(config, cohort, splits, places.run)
    source.refuse_unfit(ranks)
    network = starting_network(config, cohort.labels)
    phases.check(network, config.phases)
    with locked(places.run.root) if ranks.main else nullcontext():
        _train(source, network, places, watch if ranks.main else NO_CALLBACK, ranks)


def _train(
    source: _Source, network: Classifier, places: Places, watch: Callback, ranks: Ranks
) -> None:
    run, config = source.run, source.config
    resume_key = source.resume_key(ranks)
    begun = read_stopped(run)
    if begun is not None:
        resume_key.refuse_difference(begun[1], run.root)
    films = source.films(places.cache, watch)
    if ranks.main:
        run.write_config(config)
        source.write_tables(films, ranks)
    resume_key = resume_key.model_copy(update={"films": films.sha256})
    drawn = drawn_places(config, films.train.names, source.cohort, places.data)
    job = Job(config, films.train, films.tune, run, resume_key, drawn)
    fitted = fit(job, network, ranks, watch)
    if ranks.main:
        draw_curves(run.epochs(), fitted.epoch, run.curves, run.rates)
        parity = source.export()
        run.write_facts(source.facts(str(places.data), films, fitted, parity))
        run.state.unlink(missing_ok=True)


@dataclass(frozen=True)
class _Films:
    """Films of a run that could be read, and notes on the others."""

    train: Films
    tune: Films
    notes: tuple[str, ...]

    @property
    def sha256(self) -> str:
        return digest((*self.train.names, *self.tune.names))


@dataclass(frozen=True)
class _Source:
    """Inputs of a run, and its folder."""

    config: TrainingConfig
    cohort: Cohort
    splits: SplitTable
    run: RunFolder

    def refuse_unfit(self, ranks: Ranks) -> None:
        """Refuse before training what would be refused, or be wrong, after hours of it."""
        config = self.config
        self.run.refuse_finished()
        self.splits.check(self.cohort)
        refuse_contaminated(config.model, self.cohort, self.splits)
        refuse_flip(self.cohort.labels, config.augment)
        if config.batch_size % ranks.size:
            raise UsageError(
                f"batch_size counts the films of all processes and must be a multiple of their "
                f"number; {config.batch_size} is none of {ranks.size}"
            )

    def resume_key(self, ranks: Ranks) -> ResumeKey:
        """Return what a checkpoint must have been made from for this run to resume it."""
        return ResumeKey(
            config=self.config.model_dump(mode="json"),
            labels=self.cohort.labels.findings,
            records=self.cohort.sha256(),
            split=digest(f"{split} {self.splits.sha256(split)}" for split in Split),
            code=code_sha256(*TRAINING),
            processes=ranks.size,
        )

    def films(self, cache: Path | None, watch: Callback) -> _Films:
        """Read the films of train and tune, from the cache where one is used."""
        cohorts = {s: self.splits.of(self.cohort, s) for s in (Split.TRAIN, Split.TUNE)}
        preprocessing, threads = self.config.preprocessing, self.config.compute.threads
        cached = None
        if cache is not None:
            names = {name for cohort in cohorts.values() for name in cohort.image_ids()}
            both = self.cohort.select(lambda record: record.image_id in names)
            cached = ready(both, preprocessing, cache, threads, watch.advance)
        (train, missed), (tune, missed_too) = (
            films_of(cohort, split, preprocessing, cached, threads, watch.advance)
            for split, cohort in cohorts.items()
        )
        return _Films(train, tune, (*missed, *missed_too))

    def write_tables(self, films: _Films, ranks: Ranks) -> None:
        """Write what is known before the first step: split, patients, labels, weights, machine."""
        config, labels, run = self.config, self.cohort.labels, self.run
        self.splits.write(run.split)
        self.seen().write(run.seen)
        states = {Split.TRAIN.value: films.train.states, Split.TUNE.value: films.tune.states}
        write_prevalence(run.root / "prevalence.csv", labels, states)
        train_states = films.train.states
        rows = weighting.effective(labels, train_states, train_states, config)
        write_rows(run.root / "weights.csv", rows)
        device = Device.of(config.compute, ranks.local)
        precision = str(device.kind).removeprefix("torch.")
        path = run.root / "environment.json"
        write_environment(path, config.compute, device.name, precision, ranks.size)

    def seen(self) -> SeenPatients:
        """Return the patients seen: all but test, plus those of the starting weights."""
        own = (self.splits.patients(split) for split in Split if split is not Split.TEST)
        patients = SeenPatients.of(self.cohort.population, frozenset[str]().union(*own))
        return patients.union(inherited_patients(self.config.model))

    def export(self) -> Parity:
        """Write the best weights, read back into a new network, as ONNX."""
        network, shape = empty_network(self.config, self.cohort.labels), self.config.preprocessing
        weights.load(network, self.run.checkpoint("best"))
        half = self.config.model.half
        return export_onnx(network, self.run.model, shape.size, shape.channels, half)

    def facts(self, data: str, films: _Films, fitted: Fitted, parity: Parity) -> RunFacts:
        """Return the facts for run.json."""
        config, cohort, splits, run = self.config, self.cohort, self.splits, self.run
        y, mask = losses.targets(films.train.states, config.labels, config.seed)
        state_weights = weighting.state_weights(y, mask, config.loss).tolist()
        kept = run.epochs()[fitted.epoch - 1]
        network = NetworkFacts(
            name=config.name,
            label_set=cohort.labels.name,
            labels=cohort.labels.findings,
            preprocessing=config.preprocessing,
            architecture=config.model.in_words(),
            design=Design(backbone=config.model.backbone, options=config.model.options),
            limits=config.limits,
            model_sha256=file_sha256(run.model),
            seen_sha256=self.seen().sha256,
            train_prevalence=prevalences(cohort.labels, films.train.states),
            parity={"logits": parity.logits, "heatmaps": parity.heatmaps},
            notes=(*cohort.notes, *start_notes(config), *films.notes, *fitted.notes),
            provenance=provenance(),
        )
        origin = Trained(
            config_sha256=config.sha256(),
            seed=config.seed,
            state_weights=dict(zip(cohort.labels, map(tuple, state_weights), strict=True)),
            chosen_by=config.choice.by.value,
            best_epoch=fitted.epoch,
            best_tune=fitted.value,
            best_tune_auroc=kept["tune_auroc"],
            phases=fitted.phases,
        )
        bound = BoundFilms.from_splits(cohort, splits, data, config.labels)
        return RunFacts(network=network, origin=origin, films=bound)
