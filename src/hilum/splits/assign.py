"""Assignment of every patient to one split, by the hash of the patient's name."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping
from dataclasses import dataclass

from hilum.domain.errors import LeakError, UsageError
from hilum.domain.record import Cohort, Record, Split
from hilum.splits.overlap import first_names
from hilum.splits.table import Place, SplitTable

__all__ = ["DEFAULT_FRACTIONS", "Fractions", "assign", "at_site"]


@dataclass(frozen=True)
class Fractions:
    """Shares of the patients in each split. The four add up to 1.

    The defaults give calibration and test 15 % each, since isotonic curves and intervals of rare
    findings need the most positives, and tuning the least, since it only ranks epochs.

    Where a dataset has an official test list, that list is the test set and the other three keep
    their proportions among the patients left (by default 70.6, 11.8 and 17.6 %); the same holds of
    an official tune list.

    Raises:
        UsageError: for a share outside [0, 1], or shares that do not add up to 1.

    >>> Fractions(train=0.8, tune=0.1, calibrate=0.1, test=0.1)
    Traceback (most recent call last):
    ...
    hilum.domain.errors.UsageError: split fractions must add up to 1;
    got 0.8 + 0.1 + 0.1 + 0.1 = 1.1
    """

    train: float = 0.60
    tune: float = 0.10
    calibrate: float = 0.15
    test: float = 0.15

    def __post_init__(self) -> None:
        shares = (self.train, self.tune, self.calibrate, self.test)
        added = " + ".join(f"{share:g}" for share in shares)
        if not all(0.0 <= share <= 1.0 for share in shares):
            raise UsageError(f"split fractions must lie in [0, 1]; got {added}")
        if not math.isclose(math.fsum(shares), 1.0, abs_tol=1e-9):
            raise UsageError(f"split fractions must add up to 1; got {added} = {sum(shares):g}")

    def shares(self, official_test: bool, official_tune: bool = False) -> dict[Split, float]:
        """Return the share of each split among the patients that are on no official list.

        >>> Fractions(0.5, 0.1, 0.2, 0.2).shares(official_test=True)[Split.TRAIN]
        0.625
        """
        drawn = {Split.TRAIN: self.train}
        if not official_tune:
            drawn[Split.TUNE] = self.tune
        drawn[Split.CALIBRATE] = self.calibrate
        if not official_test:
            drawn[Split.TEST] = self.test
        if len(drawn) == len(Split):
            return drawn
        total = math.fsum(drawn.values())
        if total == 0.0:
            *others, last = [split.value for split in drawn]
            raise UsageError(
                "beside an official list, the uses without one must have a share; "
                f"{', '.join(others)} and {last} have 0"
            )
        return {split: share / total for split, share in drawn.items()}


DEFAULT_FRACTIONS = Fractions()


def assign(cohort: Cohort, fractions: Fractions = DEFAULT_FRACTIONS, seed: int = 0) -> SplitTable:
    """Assign every patient to one split, by the hash of the patient's name.

    A hash needs no list of patients: adding or leaving out patients never moves the others, and
    two sites that split the same dataset agree. The patient's number is
    ``u = sha256(seed, dataset, patient) / 2**256`` in [0, 1), cut at the running sums of the
    shares; shares are met approximately, as with any random draw.

    Official lists are respected: exactly their films are test, or tune, whatever the fractions are;
    the other splits keep their proportions among the patients left.

    Args:
        cohort: the whole dataset, before any selection.
        fractions: the shares of the four splits.
        seed: a different seed gives a different draw.

    Returns:
        A table named "<dataset>-official" where a test list was used, "<dataset>-official-tune"
        where only a tune list was, else "patient-hash".

    Raises:
        LeakError: when a film is on both official lists, or a patient has films on one and off it.
        UsageError: when no split without an official list has a share.
    """
    test, tune = cohort.official_test, cohort.official_tune
    shares = fractions.shares(official_test=test is not None, official_tune=tune is not None)
    listed = {
        **dict.fromkeys(tune or (), Split.TUNE),
        **dict.fromkeys(test or (), Split.TEST),
    }
    twice = (test or frozenset()) & (tune or frozenset())
    if twice:
        raise LeakError(
            f"a film must not be on two official lists; {len(twice):,} films of {cohort.dataset} "
            f"are for test and for tune, first: {', '.join(first_names(twice))}. Correct the lists"
        )

    def place(record: Record) -> Place:
        official = listed.get(record.image_id)
        if official is not None:
            return Place(record.patient_id, official)
        draw = _draw(seed, cohort.dataset, record.patient_id)
        return Place(record.patient_id, _cut(draw, shares))

    films = {record.image_id: place(record) for record in cohort.records}
    return SplitTable(_name(cohort), films)


def at_site(table: SplitTable, seen: frozenset[str]) -> SplitTable:
    """Return the split of a network that others trained, of a table that `assign` made.

    Nothing more is trained of it, so the patients that would train calibrate. Those that it has
    seen are in train, where they are of no use: neither calibrated nor measured on. Tune and test
    are as before, so that networks can be compared on them.

    Args:
        table: of the dataset.
        seen: patients that the network has seen, as the table spells them.

    >>> films = {"a": Place("1", Split.TRAIN), "b": Place("2", Split.TRAIN)}
    >>> at_site(SplitTable("patient-hash", films), frozenset("2")).films["a"].split.value
    'calibrate'
    """

    def moved(place: Place) -> Place:
        if place.patient_id in seen:
            return Place(place.patient_id, Split.TRAIN)
        if place.split is Split.TRAIN:
            return Place(place.patient_id, Split.CALIBRATE)
        return place

    films = {name: moved(place) for name, place in table.films.items()}
    return SplitTable(f"{table.name}-site", films)


def _name(cohort: Cohort) -> str:
    if cohort.official_test is not None:
        return f"{cohort.dataset}-official"
    if cohort.official_tune is not None:
        return f"{cohort.dataset}-official-tune"
    return "patient-hash"


def _draw(seed: int, dataset: str, patient_id: str) -> float:
    key = f"{seed}\t{dataset}\t{patient_id}".encode("utf-8", "surrogateescape")
    # 53 bits are all that a float in [0, 1) can hold
    return (int.from_bytes(hashlib.sha256(key).digest()[:8]) >> 11) / 2**53


def _cut(draw: float, shares: Mapping[Split, float]) -> Split:
    reached = 0.0
    for split, share in shares.items():
        reached += share
        if draw < reached:
            return split
    # the shares' running sum may end a rounding error below 1
    return max(shares, key=shares.__getitem__)
