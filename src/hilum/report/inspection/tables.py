"""An inspection of a dataset in words: aligned tables that read in a terminal and are Markdown."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from hilum.domain.documents.inspection import (
    DatasetInspection,
    FilmInspection,
    FindingCounts,
    Labels,
    Published,
    Severity,
    SplitCounts,
    States,
)
from hilum.domain.errors import counted
from hilum.domain.notice import NOT_A_DEVICE
from hilum.report.parts.markdown import ALIGNED, document, table
from hilum.report.parts.text import columned, wrapped

__all__ = ["co_occurrence_csv", "completeness", "markdown", "terminal_summary", "verdict"]

_NONE = "–"
_GROUP = ("Split", "Films", "Share", "Patients", "Used")
_BRIEF = 12  # findings in a terminal's summary; the tables have all


def markdown(inspection: DatasetInspection) -> str:
    """Return the whole inspection; the verdict stands last, where a terminal shows it."""
    parts = [
        f"# {inspection.card.title}: {inspection.root}",
        _card(inspection),
        _split_table(inspection),
        _group_table("View", inspection.population.views),
        _group_table("Sex", inspection.population.sexes),
        _group_table("Age", inspection.population.ages),
        _finding_table(inspection.labels.findings),
        _histogram(inspection),
        _label_remarks(inspection),
        _films(inspection.films),
        _copies(inspection.films),
        "\n".join(_notes(inspection)),
        "## Verdict",
        _verdict(inspection),
        NOT_A_DEVICE,
    ]
    return document(parts)


def terminal_summary(found: DatasetInspection, width: int) -> str:
    """Return the inspection in short: at most 38 lines of at most `width` characters."""
    films, read = found.films, "SYNTHETIC films, drawn, nobody's chest; " * found.synthetic
    read += f"films read: {films.read:,} of {films.here:,} here; copies: {len(films.copies):,}"
    top = [
        *wrapped(f"# {found.card.title}: {found.root}", width)[:2],
        *wrapped(completeness(found.published), width),
        *wrapped(read, width),
    ]
    rows = [_group_row(name, one, found.listed) for name, one in found.split.groups.items()]
    splits = columned([_GROUP, *rows], width) if rows else []
    ordered = sorted(found.labels.findings.items(), key=lambda item: -item[1].used.positive)
    rows = [
        (
            name[:24],
            f"{one.used.positive:,}",
            _percent(one.prevalence),
            f"{one.positive_patients:,}",
        )
        for name, one in ordered[:_BRIEF]
    ]
    labels = columned([("Finding", "Positive films", "Share", "Patients"), *rows], width)
    labels += [f"and {len(ordered) - _BRIEF} more findings"] * (len(ordered) > _BRIEF)
    problems = sorted(found.problems, key=lambda one: one.level is not Severity.ERROR)
    lines = [*top, *splits, *labels, "## Verdict"]
    most = (34 - len(lines)) // 2
    for one in problems[:most]:
        lines += wrapped(f"{one.level} {one.code}: {one.message}", width)[:2]
    lines += [f"and {len(problems) - most} more"] if len(problems) > most else []
    lines += [p for note in found.notes for p in wrapped(f"note: {note}", width)][: 34 - len(lines)]
    last = wrapped(verdict(found), width) + wrapped(NOT_A_DEVICE, width)
    return "\n".join(lines + last)


def completeness(found: Published) -> str:
    """Return films and patients against those published.

    >>> completeness(Published(films=2725, films_published=112120, patients=700,
    ...     patients_published=30805, complete=False))
    'this is a part: 2,725 of 112,120 films, 700 of 30,805 patients'
    """
    if found.films_published is None or found.patients_published is None:
        films, patients = counted(found.films, "film"), counted(found.patients, "patient")
        return f"{films}, {patients}; nothing to compare them with"
    text = (
        f"{found.films:,} of {counted(found.films_published, 'film')}, "
        f"{found.patients:,} of {counted(found.patients_published, 'patient')}"
    )
    larger = found.films > found.films_published or found.patients > found.patients_published
    if found.complete:
        return f"{text}, complete"
    return f"this is {'more or other than was published' if larger else 'a part'}: {text}"


def co_occurrence_csv(labels: Labels) -> str:
    """Return the matrix of how many films have two findings, named on both sides."""
    both = labels.co_occurrence
    rows = [("", *both.findings)]
    rows += [
        (name, *map(str, films)) for name, films in zip(both.findings, both.films, strict=True)
    ]
    return "".join(f"{','.join(row)}\n" for row in rows)


def _card(found: DatasetInspection) -> str:
    card = found.card
    lines = [
        completeness(found.published),
        f"licence: {card.licence}",
        f"source: {card.citation}; {card.url}",
        f"labels: {card.labels}",
        *(f"known fault: {fault}" for fault in card.known_faults),
    ]
    if found.synthetic:
        lines.insert(0, "these films are SYNTHETIC: they were drawn, and are nobody's chest")
    return "\n".join(f"- {line}" for line in lines)


def _split_table(found: DatasetInspection) -> str:
    if not found.split.groups:
        return ""
    rows = [
        (*_group_row(name, group, found.listed), found.split.sha256[name][:12])
        for name, group in found.split.groups.items()
    ]
    official = found.official
    notes = [f"split {found.split.name}"]
    for name, films in (("test", official.test_films), ("tune", official.tune_films)):
        notes += (
            []
            if films is None
            else [f"official {name} list honored, {counted(films, 'film')} listed"]
        )
    if official.test_films is not None or official.tune_films is not None:
        notes.append(f"patients on both sides: {official.patients_on_both_sides:,}")
    notes += [f"recognised: {name}" for name in official.recognised]
    return f"## Films\n\n{'; '.join(notes)}\n\n{_numbers((*_GROUP, 'Film list'), rows)}"


def _group_table(title: str, groups: Mapping[str, SplitCounts]) -> str:
    total = sum(group.films for group in groups.values())
    rows = [_group_row(name, group, total) for name, group in groups.items()]
    return _numbers((title, *_GROUP[1:]), rows)


def _group_row(name: str, group: SplitCounts, total: int) -> tuple[str, ...]:
    share = _percent(group.films / total if total else None)
    return name, f"{group.films:,}", share, f"{group.patients:,}", f"{group.used:,}"


def _finding_table(findings: Mapping[str, FindingCounts]) -> str:
    """Label states as listed, and what is used of them, the most frequent finding first."""
    header = (
        *("Finding", "Positive", "Negative", "Uncertain", "Unlabelled"),
        *("Used +", "Used −", "Films", "Patients +", "Patients"),
    )
    ordered = sorted(findings.items(), key=lambda item: -item[1].used.positive)
    rows = [
        (
            name,
            *_states(f.listed),
            f"{f.used.positive:,}",
            f"{f.used.negative:,}",
            _percent(f.prevalence),
            f"{f.positive_patients:,}",
            _percent(f.patient_prevalence),
        )
        for name, f in ordered
    ]
    caption = (
        "As listed, all films; then as training would see it. Prevalence by film and by patient."
    )
    return f"## Labels\n\n{caption}\n\n{_numbers(header, rows)}"


def _states(listed: States | None) -> tuple[str, ...]:
    if listed is None:
        return (_NONE,) * 4
    counts = (listed.positive, listed.negative, listed.uncertain, listed.unlabelled)
    return tuple(f"{count:,}" for count in counts)


def _histogram(found: DatasetInspection) -> str:
    counts = found.labels.findings_per_film
    header = ("Findings on a film", *map(str, counts))
    return _numbers(header, [("films", *(f"{films:,}" for films in counts.values()))])


def _label_remarks(found: DatasetInspection) -> str:
    clash, population = found.labels.no_finding, found.population
    lines = [
        f"films per patient: {population.films_per_patient_mean:.2f} on average, at most "
        f"{population.films_per_patient_max:,}",
        f"No Finding beside a finding: {clash.conflicts:,}; beside support devices alone, which "
        f"is legitimate: {clash.with_support_devices:,}",
        f"ages that cannot be: {population.impossible_ages:,}",
        f"policy: {_policy(found)}",
    ]
    return "\n".join(f"- {line}" for line in lines)


def _policy(found: DatasetInspection) -> str:
    choices = found.policy.model_dump(mode="json", exclude={"soft_range"})
    return ", ".join(f"{name} {value or 'not given'}" for name, value in choices.items())


def _films(films: FilmInspection) -> str:
    if not films.asked:
        return ""
    read = f"read: {films.read:,} of {films.asked:,}"
    lines = [
        read if films.asked == films.here else f"{read}, a sample of {films.here:,}",
        f"here without a row: {films.without_row:,}",
        f"alike by hash: {counted(films.candidates, 'pair')}; "
        f"one film: {counted(len(films.copies), 'pair')}",
        *(f"read with {code}: {count:,}" for code, count in films.remarks.items()),
        *(f"{film.image_id}: {film.code}, {film.message}" for film in films.unreadable_first),
    ]
    return "\n".join(f"- {line}" for line in lines)


def _copies(films: FilmInspection) -> str:
    header = ("One film", "and", "Copy", "Bits of 256", "Correlation", "Detail")
    rows = [
        (
            f"{copy.first} ({copy.first_split or _NONE})",
            f"{copy.second} ({copy.second_split or _NONE})",
            "same bytes" if copy.exact else copy.variant.value,
            str(copy.distance),
            f"{copy.correlation:.3f}",
            f"{copy.detail:.3f}",
        )
        for copy in films.copies[:20]
    ]
    return _numbers(header, rows) if rows else ""


def _notes(found: DatasetInspection) -> Iterator[str]:
    yield from (f"- spelling: {note}" for note in found.mappings)
    yield from (f"- note: {note}" for note in found.notes)
    yield from (f"- by the policy: {note}" for note in found.policy_notes)


def verdict(found: DatasetInspection) -> str:
    """Return in a sentence whether anything would make training or measuring wrong."""
    errors = sum(problem.level is Severity.ERROR for problem in found.problems)
    if found.sound:
        return "Nothing was found that would make training or measuring wrong."
    return (
        f"{errors} {'thing' if errors == 1 else 'things'} would make training or measuring wrong."
    )


def _verdict(found: DatasetInspection) -> str:
    lines = [f"- {p.level} {p.code}: {p.message}" for p in found.problems]
    return "\n\n".join([*(["\n".join(lines)] if lines else []), verdict(found)])


def _percent(share: float | None) -> str:
    return _NONE if share is None else f"{100 * share:.1f} %"


def _numbers(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a table that also aligns in a terminal; numbers stand right."""
    return table(header, rows, "lr", ALIGNED)
