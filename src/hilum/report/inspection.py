"""An inspection of a dataset, in words and as one picture.

The words are aligned tables that read in a terminal and are Markdown; the picture shows prevalence,
co-occurrence, findings per film, and age by sex.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from hilum.domain.documents import NOT_A_DEVICE
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
from hilum.domain.radiograph import Sex
from hilum.report.parts.figures import ACCENT, GUIDE, INK, SAND, bare, figure
from hilum.report.parts.markdown import ALIGNED, document, table
from hilum.report.parts.text import columned, wrapped

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["co_occurrence_csv", "completeness", "markdown", "terminal_summary", "write_figure"]

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
    last = wrapped(_verdict(found).rpartition("\n\n")[2], width) + wrapped(NOT_A_DEVICE, width)
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


def _verdict(found: DatasetInspection) -> str:
    errors = sum(problem.level is Severity.ERROR for problem in found.problems)
    verdict = "Nothing was found that would make training or measuring wrong."
    if not found.sound:
        things = "thing" if errors == 1 else "things"
        verdict = f"{errors} {things} would make training or measuring wrong."
    lines = [f"- {p.level} {p.code}: {p.message}" for p in found.problems]
    return "\n\n".join([*(["\n".join(lines)] if lines else []), verdict])


def _percent(share: float | None) -> str:
    return _NONE if share is None else f"{100 * share:.1f} %"


def _numbers(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a table that also aligns in a terminal; numbers stand right."""
    return table(header, rows, "lr", ALIGNED)


_MOST = 24  # findings drawn, the most frequent ones: more cannot be read
_ANNOTATED = 16
_ABOVE: dict[str, Any] = {"textcoords": "offset points", "ha": "center", "fontsize": 7}
_STYLE: dict[str, object] = {
    "font.size": 8.0,
    "axes.linewidth": 0.6,
    "axes.labelcolor": INK,
    "xtick.color": INK,
    "ytick.color": INK,
}


def write_figure(inspection: DatasetInspection, path: Path) -> None:
    """Draw four panels to a PNG; the same inspection gives the same bytes."""
    with figure(path, (12.0, 10.4), 130, _STYLE) as drawing:
        drawing.get_layout_engine().set(w_pad=0.12, h_pad=0.12)  # pyright: ignore
        panels = drawing.subplots(2, 2, height_ratios=(1.35, 1.0))
        names = _most_frequent(inspection.labels)
        _prevalence(panels[0, 0], inspection.labels, names)
        _together(panels[0, 1], inspection.labels, names)
        _per_film(panels[1, 0], inspection)
        _ages(panels[1, 1], inspection)
        synthetic = ". SYNTHETIC films" if inspection.synthetic else ""
        drawing.suptitle(
            f"{inspection.card.title}: {completeness(inspection.published)}{synthetic}",
            fontsize=11,
            fontweight="bold",
        )


def _most_frequent(labels: Labels) -> list[str]:
    names = sorted(labels.findings, key=lambda name: -labels.findings[name].used.positive)
    return names[:_MOST]


def _frame(axes: Axes, title: str, grid: str | None = None) -> None:
    axes.set_title(title, loc="left", fontsize=9.5, fontweight="bold", pad=8)
    bare(axes)
    axes.tick_params(length=2, width=0.5)
    axes.set_axisbelow(True)
    if grid == "x":
        axes.grid(axis="x", color=GUIDE, alpha=0.3, linewidth=0.5)
    if grid == "y":
        axes.grid(axis="y", color=GUIDE, alpha=0.3, linewidth=0.5)


def _prevalence(axes: Axes, labels: Labels, names: list[str]) -> None:
    counts = [labels.findings[name] for name in names]
    films = [finding.used.positive for finding in counts]
    at = np.arange(len(names))
    axes.barh(at, films, color=ACCENT, height=0.72)
    for row, finding in enumerate(counts):
        share = "no known label" if finding.prevalence is None else f"{finding.prevalence:.1%}"
        note = f" {finding.used.positive:,}  ({share})"
        axes.annotate(note, (finding.used.positive, row), va="center", fontsize=7)
    axes.set_yticks(at, [name.replace("_", " ") for name in names])
    axes.set_ylim(len(names) - 0.4, -0.6)
    axes.set_xlim(0, 1.22 * max([*films, 1]))
    axes.set_xlabel("positive films, and their share of films with a known label")
    _frame(axes, "Findings", grid="x")


def _together(axes: Axes, labels: Labels, names: list[str]) -> None:
    order = [labels.co_occurrence.findings.index(name) for name in names]
    films = np.array(labels.co_occurrence.films)[np.ix_(order, order)]
    own = np.maximum(np.diag(films), 1)[:, None]
    share = films / own
    np.fill_diagonal(share, np.nan)
    # the largest share is the darkest; the diagonal, which says nothing, is left white
    image = axes.imshow(share, cmap="GnBu", vmin=0.0, vmax=max(np.nanmax(share, initial=0.0), 0.01))
    shown = [name.replace("_", " ") for name in names]
    axes.set_xticks(range(len(names)), shown, rotation=45, ha="right", rotation_mode="anchor")
    axes.set_yticks(range(len(names)), shown)
    if len(names) <= _ANNOTATED:
        middle = 0.6 * image.get_clim()[1]
        for (row, column), count in np.ndenumerate(films):
            if row != column and count:
                color = "white" if share[row, column] > middle else INK
                text = f"{count:,}" if count < 10_000 else f"{count / 1000:.0f}k"
                axes.text(column, row, text, ha="center", va="center", fontsize=5.6, color=color)
    _frame(axes, "Together on one film (number of films)")
    axes.spines[["left", "bottom"]].set_visible(False)
    bar = axes.figure.colorbar(image, ax=axes, shrink=0.75, pad=0.02)
    bar.set_label("share of the row's films that also have the column's finding")
    bar.outline.set_visible(False)  # pyright: ignore


def _per_film(axes: Axes, inspection: DatasetInspection) -> None:
    counts = inspection.labels.findings_per_film
    axes.bar(list(counts), list(counts.values()), color=ACCENT, width=0.72)
    for findings, films in counts.items():
        axes.annotate(f"{films:,}", (findings, films), (0, 2), **_ABOVE)
    axes.set_xticks(list(counts))
    axes.set(xlabel="positive findings on a film, No Finding not counted", ylabel="films")
    axes.margins(y=0.1)
    _frame(axes, "Findings per film", grid="y")


def _ages(axes: Axes, inspection: DatasetInspection) -> None:
    ages = inspection.population.age_by_sex
    at = np.arange(len(ages))
    for sex, word, color, offset in (
        (Sex.FEMALE.value, "female", SAND, -0.2),
        (Sex.MALE.value, "male", ACCENT, 0.2),
    ):
        films = [by_sex.get(sex, 0) for by_sex in ages.values()]
        label = f"{word}, {counted(sum(films), 'film')}"
        axes.bar(at + offset, films, width=0.38, color=color, label=label)
    axes.set_xticks(at, list(ages))
    axes.set(xlabel="age in years", ylabel="films")
    _frame(axes, "Age by sex", grid="y")
    if ages:
        axes.legend(frameon=False, loc="upper left")
    else:
        axes.text(0.5, 0.5, "not recorded", transform=axes.transAxes, ha="center", color=GUIDE)
