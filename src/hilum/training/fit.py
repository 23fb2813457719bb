"""The training loop: phases of epochs of steps, and how it stops anywhere and resumes.

The state of a run is two things, the tensors of its `Learner` and its `Progress`. They are
written together, atomically, after every epoch and every few minutes. All else in the run folder
follows from them: a run killed between any two writes resumes to the same bits.
"""

from __future__ import annotations

import math
import time
from collections.abc import Generator
from contextlib import closing
from dataclasses import dataclass
from itertools import islice
from typing import Any, Protocol

import numpy as np
import torch

from hilum.model.classifier import Classifier
from hilum.runs.facts import PhaseRecord
from hilum.runs.folder import RunFolder
from hilum.runs.recipe import TrainingConfig
from hilum.runs.recipe_parts import PhaseConfig
from hilum.training import losses, optimizer, phases, selection, stop, weighting
from hilum.training.checkpoint import CheckpointWriter
from hilum.training.data.batches import Batch, batches, steps_an_epoch
from hilum.training.data.films import Films
from hilum.training.data.places import DrawnPlaces
from hilum.training.device import Device, peak_mb
from hilum.training.optimizer import Plateau
from hilum.training.phases import Proof, check_optimizer
from hilum.training.ranks import ALONE, Ranks
from hilum.training.resume import ResumeKey
from hilum.training.selection import Choice, EpochScores, measure
from hilum.training.step import Learner, StepResult, Targets
from hilum.training.stop import StopSignal

__all__ = ["NO_CALLBACK", "Callback", "Fitted", "Job", "NoCallback", "fit"]


class Callback(Protocol):
    """A callback that receives the progress and the log of a run."""

    def advance(self, what: str, done: int, total: int) -> None:
        """Show that `done` of `total` films of `what` are finished."""
        ...

    def log(self, line: dict[str, Any]) -> None:
        """Receive the line of log.jsonl of a finished and saved epoch."""
        ...


class NoCallback:
    """A callback that does nothing."""

    def advance(self, what: str, done: int, total: int) -> None:
        """Do nothing."""

    def log(self, line: dict[str, Any]) -> None:
        """Do nothing."""


NO_CALLBACK = NoCallback()


@dataclass(frozen=True, eq=False)
class Job:
    """The inputs of a training run and its folder.

    Attributes:
        config: of the run.
        train: weights are fitted on these films.
        tune: the epoch is chosen on these.
        run: where log, state and weights go.
        resume_key: what must be equal for this job to resume from a saved state.
        places: where findings were drawn on the train films, for `loss.masks`; None without it.
    """

    config: TrainingConfig
    train: Films
    tune: Films
    run: RunFolder
    resume_key: ResumeKey
    places: DrawnPlaces | None = None


@dataclass(frozen=True)
class Fitted:
    """The result of the loop.

    Attributes:
        epoch: the selected one, saved as `best`; the last where no epoch could be measured on tune.
        value: selection metric on tune in that epoch (biased upwards: it was selected by it).
        phases: what each phase was proved to have trained.
        notes: where the run resumed under different conditions.
    """

    epoch: int
    value: float | None
    phases: tuple[PhaseRecord, ...]
    notes: tuple[str, ...]


def fit(
    job: Job, network: Classifier, ranks: Ranks = ALONE, watch: Callback = NO_CALLBACK
) -> Fitted:
    """Train through all phases; resume where an earlier process stopped.

    Args:
        job: of the run.
        network: freshly made; trained in place.
        ranks: the processes that train together; rank 0 writes.
        watch: called after every step and every epoch.

    Raises:
        UsageError: for fewer films than a batch, a loss that is not finite, or the state of a run
            of another resume_key.
        BundleError: when a phase did not train what it promised.
        KeyboardInterrupt: after a request to stop, once the state is written.
    """
    config = job.config
    device = Device.of(config.compute, ranks.local)
    gpus = [] if device.index is None else [device.index]
    with device.session(), torch.random.fork_rng(gpus), stop.stoppable() as signal:
        loop = _Loop(job, _learner(job, network, device, ranks), watch, signal)
        for phase in config.phases[loop.progress.phase :]:
            loop.begin(phase)
            while loop.goes_on(phase):
                loop.train_epoch(phase)
                loop.finish_epoch(phase)
            loop.end()
        return loop.fitted()


def _learner(job: Job, network: Classifier, device: Device, ranks: Ranks) -> Learner:
    config = job.config
    targets = _targets(job.train, config)
    weights = weighting.state_weights(targets.y, targets.mask, config.loss)
    weighting.check_weights(network.labels, weights, config.loss)
    learner = Learner(config, network, device, ranks, weights)
    if job.places is not None:
        learner.point_at(job.places)
    return learner


class _Loop:
    """A run while it trains."""

    def __init__(self, job: Job, learner: Learner, watch: Callback, signal: StopSignal) -> None:
        self.job, self.config, self.learner = job, job.config, learner
        self.watch, self.signal, self.ranks = watch, signal, learner.ranks
        self.targets = _targets(job.train, job.config)
        self.batches = steps_an_epoch(job.train, job.config)
        self.steps = math.ceil(self.batches / job.config.optimizer.accumulate)
        self.writer = CheckpointWriter(job.run, job.resume_key, self.ranks)
        self.progress, self.restored = self.writer.restore()
        self.choice = Choice(job.config.choice)
        if self.restored is not None:
            self.choice = Choice.resume(job.config.choice, self.progress.choice)
            learner.load_network(self.restored, self.progress.scaler)
            self._save_weights()

    def begin(self, phase: PhaseConfig) -> None:
        """Freeze and unfreeze for the phase, or resume in the middle of it."""
        network, config, progress = self.learner.network, self.config, self.progress
        groups = self.learner.begin(phase)
        if self.restored is None:
            self.proof = Proof.start(network, phase, groups)
            self.plateau = Plateau(config.schedule, config.choice.by)
            self.choice.begin_phase()
            self._keep()
        else:
            self.proof = Proof.resume(network, phase, groups, progress.proof)
            self.plateau = Plateau.resume(config.schedule, config.choice.by, progress.plateau)
            self.learner.load_optimizer(self.restored.part("optimizer"))
            self.restored = None
        check_optimizer(self.learner.optimizer, groups)
        self.proved = False

    def goes_on(self, phase: PhaseConfig) -> bool:
        """Return whether the phase has another epoch."""
        return self.progress.phase_epoch < phase.epochs and not self.choice.exhausted()

    def train_epoch(self, phase: PhaseConfig) -> None:
        """Run the remaining steps of the epoch."""
        progress, size = self.progress, self.config.batch_size
        what = f"{phase.name} {progress.phase_epoch + 1}/{phase.epochs}"
        phases.set_mode(self.learner.network, phase)
        before = time.monotonic()
        with closing(self._shares(self.ranks.share)) as shares:
            while batches_of_step := list(islice(shares, self.config.optimizer.accumulate)):
                outcome = self._step(phase, batches_of_step)
                now = time.monotonic()
                progress.tally.seconds += now - before
                before = now
                self.watch.advance(what, progress.batch * size, self.batches * size)
                if outcome.stop or self.writer.older_than(self.config.compute.checkpoint_minutes):
                    self._keep()
                if outcome.stop:
                    raise KeyboardInterrupt

    def _step(self, phase: PhaseConfig, shares: list[Batch]) -> StepResult:
        """Run one step, check its result, and add it to the epoch's sums."""
        progress, learner, config = self.progress, self.learner, self.config
        done = progress.phase_epoch * self.steps + progress.step
        total = phase.epochs * self.steps
        factor = optimizer.factor(config.schedule, done, total, self.plateau.reductions)
        optimizer.set_rates(learner.optimizer, factor)
        progress.tally.rates = optimizer.rates(learner.optimizer)
        _seed(config.seed, progress.epoch + 1, progress.step, self.ranks.rank)
        outcome = learner.learn(shares, self.targets, self.signal.requested)
        if outcome.astray(learner.scaler is not None):
            self._stop_at(outcome, len(shares))
        progress.batch += len(shares)
        progress.step += 1
        progress.tally.add(outcome.terms, outcome.count, outcome.norm)
        progress.overflows = 0 if outcome.moved else progress.overflows + 1
        stop.refuse_overflows(progress.overflows)
        self.writer.rates.add(progress.epoch + 1, progress.step, phase.name, progress.tally.rates)
        if outcome.moved and not self.proved:
            self.proof.after_first_step(learner.network)
            self.proved = True
        return outcome

    def finish_epoch(self, phase: PhaseConfig) -> None:
        """Score tune, select, and write log, state and weights."""
        progress, tune = self.progress, self.job.tune
        logits = self.learner.score(tune)
        loss = self.learner.loss_of(logits, _targets(tune, self.config))
        measured = measure(tune.states, logits, loss)
        value = self.ranks.agreed(measured.value(self.config.choice.by))
        best = self.choice.offer(progress.epoch + 1, value)
        self.plateau.offer(value)
        line = {
            **self._trained(phase),
            **_scored(measured),
            "tune_auroc_by_finding": selection.areas(
                self.learner.network.labels, tune.states, logits
            ),
            "best": best,
        }
        progress.log_bytes = self.writer.log(line)
        progress.end_epoch()
        self._keep()
        self._save_weights()
        self.watch.log(line)
        if self.ranks.agreed(float(self.signal.requested)):
            raise KeyboardInterrupt

    def end(self) -> None:
        """Prove what the phase trained."""
        self.progress.end_phase(self.proof.at_end(self.learner.network))

    def fitted(self) -> Fitted:
        """Return the result; where no epoch was selected on tune, the last is saved as best."""
        progress, best = self.progress, self.choice.best
        if best is None:
            self.writer.save(self.learner.kept, "best", progress.epoch)
            return Fitted(progress.epoch, None, progress.records, progress.notes)
        return Fitted(best.epoch, best.value, progress.records, progress.notes)

    def _trained(self, phase: PhaseConfig) -> dict[str, Any]:
        """Return the log's values for the epoch's training."""
        progress, tally = self.progress, self.progress.tally
        films = self.batches * self.config.batch_size
        return {
            "epoch": progress.epoch + 1,
            "phase": phase.name,
            "phase_epoch": progress.phase_epoch + 1,
            "trained_tensors": sum(map(len, self.proof.trained.values())),
            "rates": {
                part: {"peak": phase.trains[part], "last": rate}
                for part, rate in tally.rates.items()
            },
            "train_loss": tally.loss,
            "gradient_norm": tally.gradient_norm,
            "skipped_steps": tally.skipped,
            "films_per_s": round(films / tally.seconds, 1),
            "seconds": round(tally.seconds, 3),
            "peak_memory_mb": peak_mb(self.learner.device.name),
        }

    def _stop_at(self, outcome: StepResult, batches_of_step: int) -> None:
        """Stop the run and write the films whose loss was not finite."""
        progress, learner, path = self.progress, self.learner, self.job.run.stopped_batch
        facts = {
            "epoch": progress.epoch + 1,
            "phase": self.proof.phase.name,
            "step": progress.step + 1,
            "loss": outcome.loss,
            "gradient_norm": outcome.norm,
            "rates": progress.tally.rates,
        }
        learner.undo_statistics()
        self.writer.save(learner.kept, "last", progress.epoch + 1)
        if self.ranks.main:
            with closing(self._shares((0, 1))) as whole_batches:
                films = list(islice(whole_batches, batches_of_step))
            stop.write_stopped_batch(path, learner.network.labels, self.job.train, films, facts)
        raise stop.stopped_error(facts, path)

    def _shares(self, share: tuple[int, int]) -> Generator[Batch]:
        """Return a rank's part of the epoch's remaining batches."""
        progress = self.progress
        return batches(
            self.job.train,
            self.config,
            progress.epoch + 1,
            start_step=progress.batch,
            share=share,
        )

    def _keep(self) -> None:
        """Write the state."""
        progress, scaler = self.progress, self.learner.scaler
        progress.proof = self.proof.state()
        progress.plateau = self.plateau.state()
        progress.choice = self.choice.state()
        progress.scaler = None if scaler is None else scaler.state_dict()
        self.writer.keep(self.learner.tensors, progress)

    def _save_weights(self) -> None:
        """Right after an epoch, write its weights as last, and as best if they are."""
        best, progress = self.choice.best, self.progress
        if progress.epoch == 0 or progress.batch > 0:
            return
        if best is not None and best.epoch == progress.epoch:
            self.writer.save(self.learner.kept, "best", progress.epoch)
        self.writer.save(self.learner.kept, "last", progress.epoch)


def _targets(films: Films, config: TrainingConfig) -> Targets:
    return Targets(*losses.targets(films.states, config.labels, config.seed))


def _scored(measured: EpochScores) -> dict[str, Any]:
    """Return the log's values for tune."""
    return {
        "tune_loss": measured.loss,
        "tune_auroc": measured.auroc,
        "tune_average_precision": measured.average_precision,
        "tune_findings": measured.findings,
    }


def _seed(seed: int, epoch: int, step: int, rank: int) -> None:
    """Seed drop-out and stochastic depth of a step by its place in the run only."""
    drawn = np.random.SeedSequence([seed, epoch, step, rank]).generate_state(1, np.uint64)
    torch.manual_seed(int(drawn[0]))
