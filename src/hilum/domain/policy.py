"""Label policies: the named choice of how uncertain, blank and conflicting labels count."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from enum import StrEnum

from pydantic import BaseModel, ConfigDict, model_validator

from hilum.domain.errors import UsageError
from hilum.domain.findings import (
    NO_FINDING,
    SUPPORT_DEVICES,
    LabelSet,
    LabelState,
    label_set,
)
from hilum.domain.radiograph import ViewPosition
from hilum.domain.record import Cohort, Record

__all__ = [
    "Blank",
    "Conflict",
    "LabelPolicy",
    "Uncertain",
    "Views",
    "Votes",
    "conflicts",
    "relabel",
    "settle",
]


class Uncertain(StrEnum):
    """The value of an uncertain label. Irvin et al. 2019 call the first three U-policies."""

    IGNORE = "ignore"
    """Left out of loss and evaluation (U-Ignore)."""
    POSITIVE = "positive"
    """Positive (U-Ones)."""
    NEGATIVE = "negative"
    """Negative (U-Zeros)."""
    SOFT = "soft"
    """A target drawn from a range in training (label smoothing); not evaluated."""


class Blank(StrEnum):
    """The value of a finding that is not mentioned."""

    UNLABELLED = "unlabelled"
    """Unknown: left out."""
    NEGATIVE = "negative"
    """Negative: a reader who does not mention a finding did not see it."""


class Conflict(StrEnum):
    """The treatment of a film that is labeled `No Finding` and a finding at once."""

    DROP = "drop"
    """The film is left out."""
    TRUST_FINDINGS = "trust_findings"
    """`No Finding` becomes negative."""
    KEEP = "keep"
    """Both labels stay."""


class Views(StrEnum):
    """Views of the films used."""

    FRONTAL = "frontal"
    """Those known to be frontal; all, where the dataset states no view of any film."""
    FRONTAL_OR_UNKNOWN = "frontal_or_unknown"
    """Those not known to be lateral or oblique."""
    ALL = "all"
    """All."""


class Votes(StrEnum):
    """The rule that merges several readers' labels."""

    MAJORITY = "majority"
    """Positive where more than half of the readers are positive."""
    ANY = "any"
    """Positive where one reader is positive; `No Finding` where all are."""
    UNANIMOUS = "unanimous"
    """Positive or negative where all readers agree, else uncertain."""


class LabelPolicy(BaseModel):
    """The choices that turn a dataset's labels into training targets and counts.

    They stand in every artifact. What an uncertain label counts as has no default: on data that has
    uncertain labels the choice is required.

    Attributes:
        uncertain: None refuses data with uncertain labels.
        soft_range: bounds in [0, 1] of the targets of `Uncertain.SOFT`.
        blank: what "not mentioned" counts as.
        no_finding: what becomes of contradictions. `No Finding` beside support devices is none.
        views: which films are used.
        votes: how several readers become one.
        label_set: the findings to bring the dataset to, by name; None keeps its own.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    uncertain: Uncertain | None = None
    soft_range: tuple[float, float] = (0.55, 0.85)
    blank: Blank = Blank.UNLABELLED
    no_finding: Conflict = Conflict.DROP
    views: Views = Views.FRONTAL
    votes: Votes = Votes.MAJORITY
    label_set: str | None = None

    @model_validator(mode="after")
    def _ordered(self) -> LabelPolicy:
        low, high = self.soft_range
        if not 0.0 <= low <= high <= 1.0:
            raise ValueError(f"soft_range must rise within [0, 1]; got {low:g} to {high:g}")
        return self

    def in_words(self) -> dict[str, str]:
        """Return the choices in words, for an artifact.

        >>> LabelPolicy(uncertain=Uncertain.SOFT).in_words()["uncertain"]
        'soft 0.55 to 0.85'
        """
        low, high = self.soft_range
        words = {name: str(value) for name, value in self.model_dump(mode="json").items()}
        del words["soft_range"]
        if self.uncertain is None:
            words["uncertain"] = "refused"
        elif self.uncertain is Uncertain.SOFT:
            words["uncertain"] = f"soft {low:g} to {high:g}"
        words["label_set"] = self.label_set or "the dataset's own"
        return words


def settle(cohort: Cohort, policy: LabelPolicy) -> Cohort:
    """Return the cohort with the policy applied, and a note of every change with its count.

    `ignore` and `soft` leave uncertain states as they are: loss and evaluation leave them out, or
    training draws their targets.

    Raises:
        UsageError: for uncertain labels without a policy for them.

    >>> from hilum.domain.findings import nih14
    >>> films = (Record("a.png", "1", (LabelState.UNCERTAIN,) * 14),)
    >>> settle(Cohort("mine", nih14(), films), LabelPolicy())
    Traceback (most recent call last):
    ...
    hilum.domain.errors.UsageError: mine has 14 uncertain labels: what they count as must be set,
    as ignore, positive, negative or soft (policy.uncertain, --uncertain)
    """
    counts: Counter[str] = Counter()
    records = tuple(_settled(cohort, policy, counts))
    left = sum(state is LabelState.UNCERTAIN for r in records for state in r.states)
    if left and policy.uncertain is None:
        raise UsageError(
            f"{cohort.dataset} has {left:,} uncertain labels: what they count as must be set, "
            "as ignore, positive, negative or soft (policy.uncertain, --uncertain)"
        )
    if left:
        counts[f"uncertain labels, policy {policy.uncertain}"] += left
    notes = (f"{what}: {count:,}" for what, count in sorted(counts.items()))
    settled = replace(cohort, records=records, notes=(*cohort.notes, *notes))
    return settled if policy.label_set is None else relabel(settled, label_set(policy.label_set))


def relabel(cohort: Cohort, labels: LabelSet) -> Cohort:
    """Return the cohort with a different label set; findings are matched by name only.

    `No Finding`, where the cohort has no such label, is positive on films whose findings are all
    negative, negative beside a positive one, else unlabeled. Findings that the cohort does not
    know are unlabeled. The mapping is noted.

    Raises:
        UsageError: when the two have no finding in common.
    """
    own = cohort.labels
    shared = [name for name in labels if name in own]
    if not shared:
        raise UsageError(
            f"{cohort.dataset} must have a finding of {labels.name}; it has {', '.join(own)}"
        )
    derived = NO_FINDING in labels and NO_FINDING not in own
    absent = [n for n in labels if n not in own and not (derived and n == NO_FINDING)]

    def states(record: Record) -> tuple[LabelState, ...]:
        known = dict(zip(own, record.states, strict=True))
        if derived:
            known[NO_FINDING] = _nothing_of(record.states)
        return tuple(known.get(name, LabelState.UNLABELLED) for name in labels)

    parts = [f"{labels.name} from {own.name} by name: {len(shared)} of {len(labels)} findings"]
    parts += ["No Finding is derived: all findings negative"] if derived else []
    parts += [f"unlabelled in {cohort.dataset}: {', '.join(absent)}"] if absent else []
    records = tuple(replace(r, states=states(r), votes=()) for r in cohort.records)
    return replace(cohort, labels=labels, records=records, notes=(*cohort.notes, "; ".join(parts)))


def _nothing_of(states: tuple[LabelState, ...]) -> LabelState:
    if LabelState.POSITIVE in states:
        return LabelState.NEGATIVE
    return LabelState.POSITIVE if set(states) == {LabelState.NEGATIVE} else LabelState.UNLABELLED


def conflicts(record: Record, labels: LabelSet) -> bool:
    """Return whether a film has `No Finding` and a finding at once; support devices are none."""
    if NO_FINDING not in labels:
        return False
    found = {n for n, s in zip(labels, record.states, strict=True) if s is LabelState.POSITIVE}
    return NO_FINDING in found and bool(found - {NO_FINDING, SUPPORT_DEVICES})


def _settled(cohort: Cohort, policy: LabelPolicy, counts: Counter[str]) -> Iterator[Record]:
    becomes = {
        LabelState.UNCERTAIN: {
            Uncertain.POSITIVE: LabelState.POSITIVE,
            Uncertain.NEGATIVE: LabelState.NEGATIVE,
        }.get(policy.uncertain or Uncertain.IGNORE, LabelState.UNCERTAIN),
        LabelState.UNLABELLED: LabelState.NEGATIVE
        if policy.blank is Blank.NEGATIVE
        else LabelState.UNLABELLED,
    }
    stated = any(record.view is not ViewPosition.UNKNOWN for record in cohort.records)
    for record in cohort.records:
        if policy.views is not Views.ALL and not record.view.frontal:
            unknown = record.view is ViewPosition.UNKNOWN
            if not unknown:
                counts[f"films left out as not frontal, policy views={policy.views}"] += 1
                continue
            if stated:
                left = policy.views is Views.FRONTAL
                what = "left out" if left else "used"
                counts[f"films of unknown view {what}, policy views={policy.views}"] += 1
                if left:
                    continue
        voted = _voted(record, cohort.labels, policy.votes)
        states = list(voted.states)
        for column, state in enumerate(states):
            if (new := becomes.get(state, state)) is not state:
                counts[f"{state.name.lower()} labels read as {new.name.lower()}"] += 1
                states[column] = new
        settled = replace(voted, states=tuple(states)) if tuple(states) != voted.states else voted
        if conflicts(settled, cohort.labels):
            counts[f"films with {NO_FINDING} beside a finding, policy {policy.no_finding}"] += 1
            if policy.no_finding is Conflict.DROP:
                continue
            if policy.no_finding is Conflict.TRUST_FINDINGS:
                states[cohort.labels.index(NO_FINDING)] = LabelState.NEGATIVE
                settled = replace(settled, states=tuple(states))
        yield settled


def _voted(record: Record, labels: LabelSet, votes: Votes) -> Record:
    if not record.votes or votes is Votes.MAJORITY:
        return record
    readers = zip(*(vote.states for vote in record.votes), strict=True)
    states = [_verdict(own, votes) for own in readers]
    if votes is Votes.ANY and NO_FINDING in labels:
        # where one reader sees something, the others' "nothing" is outvoted with their negatives
        column = labels.index(NO_FINDING)
        every = {vote.states[column] for vote in record.votes}
        states[column] = LabelState(int(every == {LabelState.POSITIVE}))
    return replace(record, states=tuple(states))


def _verdict(every: tuple[LabelState, ...], votes: Votes) -> LabelState:
    # a reader who did not judge the finding has no vote on it
    states = tuple(state for state in every if state is not LabelState.UNLABELLED) or every
    if votes is Votes.ANY and LabelState.POSITIVE in states:
        return LabelState.POSITIVE
    if len(set(states)) == 1:
        return states[0]
    return LabelState.UNCERTAIN if votes is Votes.UNANIMOUS else LabelState.NEGATIVE
