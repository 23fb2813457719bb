"""The films of a run: those that it trains on, and those that it is bound to, found again later."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from hilum.bundle.bundle import shipped
from hilum.datasets import films_named, leave_out, open_dataset, without
from hilum.datasets.parts.disk import folder_of
from hilum.datasets.parts.records import first_names
from hilum.domain.errors import DatasetError, HilumError, LeakError, UsageError, counted
from hilum.domain.film_names import FILM_COLUMNS
from hilum.domain.findings import LabelSet, LabelState
from hilum.domain.policy import LabelPolicy, settle
from hilum.domain.record import Cohort, Split
from hilum.files.lines import read_names
from hilum.inspection.films import films_without_row
from hilum.runs.facts import BoundFilms
from hilum.runs.folder import RunFolder
from hilum.runs.recipe import TrainingConfig
from hilum.splits import (
    SeenPatients,
    SplitTable,
    TrainingFilms,
    assign,
    at_site,
    read_training_films,
)

__all__ = ["TrainingRequest", "bind", "film_names", "in_order", "split_of", "training_films"]

DEFAULT_POLICY = LabelPolicy()
"""The policy that training has too where none is named."""


def bind(run: RunFolder, data: Path, policy: LabelPolicy = DEFAULT_POLICY) -> None:
    """Bind an imported network to a dataset: write split.csv, and the films into run.json.

    A run that has films keeps them: `split_of` then refuses a dataset with different records.
    Patients that the network has seen, as far as its run lists them, calibrate and test nothing.

    Args:
        run: a finished run.
        data: the dataset's folder.
        policy: what uncertain, blank and contradicting labels count as.

    Raises:
        DatasetError: when the folder is not a dataset.
        LeakError: when the network has seen every patient that could calibrate it.
        UsageError: when the policy leaves a label of the dataset open.
    """
    facts = run.facts()
    if facts.films is not None:
        return
    cohort = settle(open_dataset(data), policy)
    seen = frozenset[str]()
    if run.seen.exists():
        seen = SeenPatients.read(run.seen).among(cohort.population, cohort.patients().tolist())
    splits = at_site(assign(cohort), seen)
    splits.check(cohort)
    if seen and not splits.patients(Split.CALIBRATE):
        raise LeakError(
            f"a network must be calibrated on patients that it has not seen; it has seen "
            f"{counted(len(seen), 'patient')} of {cohort.dataset} in {data}, and no other is left "
            "to calibrate on. Name a dataset of other patients with --data"
        )
    splits.write(run.split)
    films = BoundFilms.from_splits(cohort, splits, data, policy)
    run.write_facts(facts.model_copy(update={"films": films}))


def split_of(run: RunFolder, split: Split, data: Path | None) -> Cohort:
    """Return the run's films of one split.

    Args:
        run: a finished run.
        split: train, tune, calibrate or test.
        data: the dataset's folder; None for the folder that the run names.

    Raises:
        DatasetError: when films, patients or labels are not those that the run is bound to.
        LeakError: when patients cross splits.
        UsageError: for an imported network that no dataset was named for.
    """
    films = run.films()
    run.refuse_edited_config()
    root = data or Path(films.data)
    cohort = open_dataset(root, films.dataset)
    if run.excluded.exists():
        # the films themselves, as `keep_excluded` wrote them; a name may have blanks
        names = frozenset(run.excluded.read_text("utf-8").splitlines())
        cohort = leave_out(cohort, names, f"listed in {run.excluded.name}")
    cohort = settle(cohort, films.policy or DEFAULT_POLICY)
    if cohort.sha256() != films.records_sha256:
        raise DatasetError(
            f"the dataset must be the one of the run; films, patients or labels in "
            f"{root} differ from those of {run.root}. Name the right folder with --data"
        )
    table = SplitTable.read(run.split)
    for name, expected in films.split_sha256.items():
        if table.sha256(Split(name)) != expected:
            raise DatasetError(
                f"the split must be the one of the run; {run.split} was modified: its {name} films "
                "are different. Restore it"
            )
    return in_order(table.of(cohort, split), run.labels())


def in_order(cohort: Cohort, labels: LabelSet) -> Cohort:
    """Return a cohort with a network's findings, in its order; those without labels unlabeled.

    Args:
        cohort: labeled as its dataset has it.
        labels: findings of the network.

    Raises:
        DatasetError: when the two have no finding in common.
    """
    if cohort.labels.findings == labels.findings:
        return cohort
    columns = [cohort.labels.index(name) if name in cohort.labels else None for name in labels]
    absent = [name for name, column in zip(labels, columns, strict=True) if column is None]
    if len(absent) == len(labels):
        raise DatasetError(
            f"dataset and network must have a finding in common; {cohort.dataset} has "
            f"{', '.join(cohort.labels)}; the network has {', '.join(labels)}"
        )
    records = tuple(
        replace(
            record,
            states=tuple(
                LabelState.UNLABELLED if column is None else record.states[column]
                for column in columns
            ),
        )
        for record in cohort.records
    )
    notes = (
        (f"{cohort.dataset} has no labels of {', '.join(absent)}: not measured",) if absent else ()
    )
    return replace(cohort, labels=labels, records=records, notes=(*cohort.notes, *notes))


def training_films(place: Path, cohort: Cohort) -> TrainingFilms:
    """Read the films that a model was trained on, with their files where those of a run are here.

    Args:
        place: as `read_training_films` takes it, or the name of a bundle that ships with hilum.
        cohort: the dataset of the evaluated films.

    Raises:
        DatasetError, LeakError, UsageError: as `read_training_films`.
    """
    if not place.exists():
        place = shipped().get(str(place), place)
    found = read_training_films(place, cohort)
    if not (place / "run.json").is_file():
        return found
    try:
        bound = RunFolder(place).films()
        own = open_dataset(Path(bound.data), bound.dataset)
    except HilumError:
        return found  # the run's films are not on this machine: names and patients count
    files = {
        record.image_id: record.path
        for record in own.records
        if record.path is not None and record.image_id in found.films
    }
    return replace(found, files={**found.files, **files})


@dataclass(frozen=True)
class TrainingRequest:
    """Request for the films to train on.

    Attributes:
        config: the recipe.
        data: the dataset's top folder.
        exclude: a list of films to leave out, as `film_names` reads it; None to leave out none.
        allow_unlabelled: whether films that no row describes are expected.
    """

    config: TrainingConfig
    data: Path
    exclude: Path | None = None
    allow_unlabelled: bool = False

    def read(self) -> Cohort:
        """Read the dataset, less the films to leave out.

        Raises:
            DatasetError: when there is no dataset, or films that no row describes.
            UsageError: for a name to leave out that fits no film.
        """
        cohort = open_dataset(self.data)
        if not self.allow_unlabelled:
            _refuse_without_labels(cohort, self.data)
        if self.exclude is None:
            return cohort
        return without(cohort, film_names(self.exclude), f"listed in {self.exclude.name}")

    def settled(self, cohort: Cohort) -> tuple[Cohort, SplitTable]:
        """Apply the label policy and split the patients.

        Raises:
            DatasetError: when train, tune or calibrate is empty: now, and not after hours.
        """
        settled = settle(cohort, self.config.labels)
        config = self.config
        seed = config.seed if config.split_seed is None else config.split_seed
        splits = assign(settled, config.split, seed)
        for split in (Split.TRAIN, Split.TUNE, Split.CALIBRATE):
            splits.of(settled, split)
        return settled, splits

    def keep_excluded(self, run: RunFolder) -> None:
        """Write the names of the films left out into the run's folder, once, as the dataset has."""
        if self.exclude is not None and not run.excluded.exists():
            run.root.mkdir(parents=True, exist_ok=True)
            names = sorted(films_named(open_dataset(self.data), film_names(self.exclude)))
            run.excluded.write_text("".join(f"{name}\n" for name in names), "utf-8")


def film_names(path: Path) -> frozenset[str]:
    """Read a list of films as `--exclude` names it: one a line, or a column of a table.

    Raises:
        UsageError: when the file cannot be read, or names nothing.
    """
    try:
        names = frozenset(name for _, name in read_names(path, FILM_COLUMNS).names)
    except (DatasetError, UsageError) as error:
        raise UsageError(f"--exclude must be a readable list of films; {path}: {error}") from None
    if not names:
        raise UsageError(f"--exclude must name the films to leave out; {path} names none")
    return names


def _refuse_without_labels(cohort: Cohort, data: Path) -> None:
    """Refuse films that no row describes: a table that was cut short would train on what is left.

    Rows without a film, as a part of a download has, are accepted.
    """
    stray = [path.as_posix() for path in films_without_row(cohort, folder_of(data))]
    if stray:
        raise DatasetError(
            f"every film must have a row in the table; {len(stray):,} in {data} have none, first: "
            f"{first_names(stray)}. Is a part of the table missing? If not, --allow-unlabelled "
            "trains without them"
        )
