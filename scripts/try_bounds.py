"""Try four ways to bound a miss rate on halves of patients: docs/explanation/what-a-bound-says.md.

    python -m scripts.try_bounds [PREDICTIONS --labels ROOT] [--miss 0.05 0.01] [--splits 100]

Patients are dealt into halves again and again; a threshold for "any finding" is made on one half
and tried on the other. Without a table of predictions the scores are drawn: patients of 1 to 10
films, whose films are alike, and who have the more films the more of these are abnormal.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from hilum.calibration.abstention.fit import films_for
from hilum.calibration.abstention.thresholds import Goal, RuleFilms, rule_out_threshold
from hilum.datasets import open_dataset
from hilum.domain.documents.rule_out import ANY, MissUnit
from hilum.domain.policy import LabelPolicy, settle
from hilum.domain.record import patient_folds
from hilum.predictions.read import read_predictions
from hilum.report.parts.markdown import table
from hilum.stages.films import in_order

ERROR = 0.05
"""1 less the confidence of a bound."""
SIZES = (1, 1, 1, 2, 2, 3, 5, 10)
"""Films a patient, skewed as in NIH."""
PATIENTS, ALIKE = 6_000, 0.5
"""Drawn patients, and the share of a score's variance that is the patient's."""
HEADER = (
    "Miss rate allowed",
    "How it is bounded",
    "Films ruled out",
    "Of the normal",
    "Broken, by film",
    "Broken, by patient",
)
Way = Callable[[RuleFilms, float], float | None]


@dataclass(frozen=True)
class Tried:
    """A threshold on films that it was not made on; shares in [0, 1]."""

    ruled_out: float
    normal: float
    by_film: float
    by_patient: float


def observed(films: RuleFilms, limit: float) -> float | None:
    """Return the threshold that misses at most the limit of these very films."""
    scores = np.sort(films.scores[films.positive])
    return float(scores[int(limit * len(scores))])


def binomial(films: RuleFilms, limit: float) -> float | None:
    """Return the threshold of the exact binomial test, films taken as independent."""
    alone = replace(films, patients=np.arange(len(films.scores)))
    return rule_out_threshold(alone, Goal(limit, ERROR, MissUnit.FILM)).threshold


def design_effect(films: RuleFilms, limit: float) -> float | None:
    """Return hilum's threshold by film, which divides films by the clusters' design effect."""
    return rule_out_threshold(films, Goal(limit, ERROR, MissUnit.FILM)).threshold


def betting(films: RuleFilms, limit: float) -> float | None:
    """Return hilum's threshold by patient."""
    return rule_out_threshold(films, Goal(limit, ERROR, MissUnit.PATIENT)).threshold


WAYS: dict[str, Way] = {
    "the observed rate": observed,
    "exact binomial on films": binomial,
    "the same, design effect": design_effect,
    "mean over patients, betting": betting,
}


def tried(films: RuleFilms, threshold: float | None) -> Tried:
    """Return what a threshold rules out and misses; nothing where there is none."""
    below = np.zeros(len(films.scores), bool) if threshold is None else films.scores < threshold
    missed = below[films.positive].astype(float)
    _, patient = np.unique(films.patients[films.positive], return_inverse=True)
    shares = np.bincount(patient, missed) / np.bincount(patient)
    normal = below[~films.positive].mean()
    return Tried(float(below.mean()), float(normal), float(missed.mean()), float(shares.mean()))


def lines(films: RuleFilms, limits: Sequence[float], splits: int) -> list[list[str]]:
    """Return a row for each limit and way, over `splits` halvings of the patients."""
    names = [str(number) for number in films.patients]
    halves = [np.asarray(patient_folds(names, 2, seed)) == 0 for seed in range(splits)]
    rows: list[list[str]] = []
    for limit in limits:
        for name, way in WAYS.items():
            found = [tried(films.where(~own), way(films.where(own), limit)) for own in halves]
            film = np.mean([one.by_film > limit for one in found])
            patient = np.mean([one.by_patient > limit for one in found])
            out = np.mean([one.ruled_out for one in found])
            normal = np.mean([one.normal for one in found])
            shares = (f"{out:.1%}", f"{normal:.1%}", f"{film:.0%}", f"{patient:.0%}")
            rows.append([f"{limit:.0%}", name, *shares])
    return rows


def drawn(seed: int) -> RuleFilms:
    """Return films with drawn scores; patients with many films are the sicker ones."""
    rng = np.random.default_rng(seed)
    sizes = rng.choice(SIZES, size=PATIENTS)
    patients = np.repeat(np.arange(PATIENTS), sizes)
    own = rng.normal(size=PATIENTS) + 0.5 * np.log(sizes)
    sick = rng.random(len(patients)) < 1.0 / (1.0 + np.exp(1.2 - own[patients]))
    noise: NDArray[np.float64] = rng.normal(size=len(patients))
    scores = np.sqrt(ALIKE) * own[patients] + np.sqrt(1.0 - ALIKE) * noise + 0.8 * sick
    return RuleFilms(scores, sick, patients)


def predicted(path: Path, labels: Path) -> RuleFilms:
    """Return the films of a table of predictions that are labeled, by "any finding"."""
    read = read_predictions(path, settle(open_dataset(labels), LabelPolicy()))
    cohort = in_order(read.cohort, read.probabilities.labels)
    findings = read.probabilities.labels.findings
    return films_for(read.probabilities, cohort, ANY, findings, None)[0]


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("predictions", type=Path, nargs="?")
    parser.add_argument("--labels", type=Path)
    parser.add_argument("--miss", type=float, nargs="+", default=[0.05, 0.01])
    parser.add_argument("--splits", type=int, default=100)
    parser.add_argument("--seed", type=int, default=0, help="of drawn scores")
    given = parser.parse_args()
    if (given.predictions is None) != (given.labels is None):
        sys.exit("a table of predictions needs --labels ROOT, and --labels a table")
    if given.predictions is None:
        films, of = drawn(given.seed), "drawn scores"
    else:
        films, of = predicted(given.predictions, given.labels), given.predictions.name
    sys.stdout.write(
        f"{of}: {len(films.scores):,} films of {len(np.unique(films.patients)):,} patients, "
        f"{films.positive.mean():.0%} of the films abnormal; {given.splits} halvings\n\n"
    )
    rows = lines(films, given.miss, given.splits)
    sys.stdout.write(table(HEADER, rows, align="rlrrrr") + "\n")


if __name__ == "__main__":
    main()
