"""The matrix: spellings of tables, lists and film names, by reader and by verb, change nothing."""

from __future__ import annotations

import csv
import gzip
import io
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hilum.batch.inputs import list_films
from hilum.datasets import open_dataset, reader, without
from hilum.datasets.parts.records import age_years, label_state, sex_of
from hilum.domain.errors import DatasetError, UsageError
from hilum.domain.film_names import FilmNames
from hilum.domain.members import members
from hilum.domain.radiograph import Sex
from hilum.domain.record import Cohort
from hilum.predictions.columns import find_films
from hilum.stages.films import film_names

READERS = [name for name in members("hilum.datasets") if name != "base"]

Table = list[list[str]]
Rewrite = Callable[[Path], None]


def rows_of(path: Path) -> Table:
    return list(csv.reader(io.StringIO(path.read_text("utf-8-sig"))))


def text_of(rows: Table, separator: str = ",", end: str = "\n") -> str:
    text = io.StringIO()
    csv.writer(text, delimiter=separator, lineterminator=end).writerows(rows)
    return text.getvalue()


def semicolons(path: Path) -> None:
    path.write_text(text_of(rows_of(path), ";"), "utf-8")


def tabs(path: Path) -> None:
    path.write_text(text_of(rows_of(path), "\t"), "utf-8")


def declared(path: Path) -> None:
    path.write_text("sep=;\r\n" + text_of(rows_of(path), ";", "\r\n"), "utf-8")


def declared_tabs(path: Path) -> None:
    path.write_text("sep=\t\r\n" + text_of(rows_of(path), "\t", "\r\n"), "utf-8")


def zeros(path: Path) -> None:
    path.write_bytes(path.read_bytes() + bytes(512))


def marked(path: Path) -> None:
    path.write_text(text_of(rows_of(path), end="\r\n"), "utf-8-sig")


def utf16(path: Path) -> None:
    path.write_text(text_of(rows_of(path), "\t"), "utf-16")


def utf16_unmarked(path: Path) -> None:
    path.write_bytes(text_of(rows_of(path)).encode("utf-16-le"))


def packed(path: Path) -> None:
    path.with_name(f"{path.name}.gz").write_bytes(gzip.compress(path.read_bytes()))
    path.unlink()


def capital_header(path: Path) -> None:
    header, *rows = rows_of(path)
    path.write_text(text_of([[name.upper() for name in header], *rows]), "utf-8")


def blanks(path: Path) -> None:
    rows = [[f" {cell}\u00a0 " for cell in row] for row in rows_of(path)]
    path.write_text(text_of(rows), "utf-8")


def capital_name(path: Path) -> None:
    path.rename(path.with_name(path.name.upper()))


def as_tsv(path: Path) -> None:
    tabs(path)
    path.rename(path.with_suffix(".tsv"))


TABLES: dict[str, Rewrite] = {
    made.__name__: made
    for made in (
        *(tabs, declared_tabs, marked, packed),
        *(capital_header, blanks, capital_name, as_tsv),
    )
}
REFUSED: dict[str, tuple[Rewrite, str]] = {
    "semicolons": (semicolons, "separated by ';': save it with commas"),
    "declared": (declared, "separated by ';': save it with commas"),
    "utf16": (utf16, "UTF-16|must be UTF-8; it has the byte 0xff"),
    "utf16_unmarked": (utf16_unmarked, "UTF-16|zero byte"),
    "zeros": (zeros, "must be text; it has a zero byte"),
}
"""What a table of numbers may not be: in one line, with what is wrong."""


def capital_suffix(path: Path) -> Path:
    return path.with_suffix(path.suffix.upper())


def capitals(path: Path) -> Path:
    return path.with_name(path.name.upper())


def other_suffix(path: Path) -> Path:
    return path.with_suffix(".jpg" if path.suffix != ".jpg" else ".png")


FILMS = {made.__name__: made for made in (capital_suffix, capitals, other_suffix)}


def example(name: str, folder: Path) -> tuple[Path, Cohort]:
    place = reader(name).write_example(folder)
    return place, open_dataset(place)


def same(place: Path, before: Cohort) -> None:
    after = open_dataset(place)
    assert after.dataset == before.dataset
    assert after.sha256() == before.sha256()
    assert after.official_test == before.official_test
    here = [record.path is not None for record in after.records]
    assert here == [record.path is not None for record in before.records]


@pytest.mark.parametrize("name", READERS)
@pytest.mark.parametrize("rewrite", TABLES)
def test_a_table_spelled_otherwise_is_the_same_dataset(
    tmp_path: Path, name: str, rewrite: str
) -> None:
    place, before = example(name, tmp_path)
    for table in sorted(place.rglob("*.csv")):
        TABLES[rewrite](table)
    same(place, before)


@pytest.mark.parametrize("name", READERS)
@pytest.mark.parametrize("rewrite", REFUSED)
def test_a_table_that_may_be_misread_is_refused_with_the_reason(
    tmp_path: Path, name: str, rewrite: str
) -> None:
    place, _ = example(name, tmp_path)
    rewritten, message = REFUSED[rewrite]
    for table in sorted(place.rglob("*.csv")):
        rewritten(table)
    with pytest.raises(DatasetError, match=message) as caught:
        open_dataset(place)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", READERS)
@pytest.mark.parametrize("renamed", FILMS)
def test_films_of_another_suffix_or_case_are_found(tmp_path: Path, name: str, renamed: str) -> None:
    place, before = example(name, tmp_path)
    for record in before.records:
        if record.path is not None:
            record.path.rename(FILMS[renamed](record.path))
    same(place, before)


def test_a_dicom_file_without_a_suffix_is_found_by_every_table(tmp_path: Path) -> None:
    for name in ("vindr", "vinbigdata", "rsna", "siim"):
        place, before = example(name, tmp_path / name)
        for record in before.records:
            if record.path is not None:
                record.path.rename(record.path.with_name(record.image_id))
        same(place, before)


def test_what_is_known_by_its_path_may_have_the_separator_of_windows(tmp_path: Path) -> None:
    place, before = example("chexpert", tmp_path)
    for table in sorted(place.rglob("*.csv")):
        header, *rows = rows_of(table)
        rows = [[row[0].replace("/", "\\"), *row[1:]] for row in rows]
        table.write_text(text_of([header, *rows]), "utf-8")
    same(place, before)


def test_numbers_saved_as_decimals_are_the_same_numbers(tmp_path: Path) -> None:
    for name, columns in {
        "nih": ("Follow-up #", "Patient Age"),
        "chexpert": ("Age",),
        "mimic": ("subject_id", "study_id"),
        "table": ("age",),
    }.items():
        place, before = example(name, tmp_path / name)
        for table in sorted(place.rglob("*.csv")):
            header, *rows = rows_of(table)
            at = [header.index(column) for column in columns if column in header]
            for row in rows:
                for column in at:
                    row[column] += ".0" if row[column] else ""
            table.write_text(text_of([header, *rows]), "utf-8")
        same(place, before)


@given(st.integers(1, 120), st.sampled_from(["", ".0", ".", ".00", "Y", ".0Y", " Y", "y"]))
def test_an_age_is_a_number_however_it_was_saved(age: int, end: str) -> None:
    assert age_years(f"{age}{end}") == age
    assert age_years(f"0{age:02d}{end}") == age


@given(st.sampled_from(["F", "Female", "M", "Male"]), st.sampled_from([str, str.upper, str.lower]))
def test_a_sex_is_a_letter_or_a_word(word: str, spelled: Callable[[str], str]) -> None:
    assert sex_of(f" {spelled(word)} ") is (Sex.FEMALE if word[0] == "F" else Sex.MALE)


@given(st.sampled_from([-1, 0, 1]), st.sampled_from(["", ".", ".0", ".000"]))
def test_a_label_is_a_number_however_it_was_saved(state: int, end: str) -> None:
    assert label_state(f"{state}{end}") == label_state(str(state))


# names in lists, by every verb that takes one

SPELLINGS: dict[str, Callable[[str], str]] = {
    "as it is": str,
    "blanks around": lambda name: f"  {name} \u00a0",
    "windows": lambda name: name.replace("/", "\\"),
    "capitals": str.upper,
    "other suffix": lambda name: name.replace(".png", ".jpg"),
    "suffix in capitals": lambda name: name.replace(".png", ".PNG"),
    "drive": lambda name: "D:\\study\\" + name.replace("/", "\\"),
    "dot": lambda name: f"./{name}",
}
LISTS: dict[str, Callable[[list[str]], bytes]] = {
    "lines": lambda names: "\n".join(names).encode(),
    "lines, marked": lambda names: "\r\n".join(names).encode("utf-8-sig"),
    "lines, utf-16": lambda names: "\n".join(names).encode("utf-16"),
    "column": lambda names: text_of([["view", "Path"], *(["PA", n] for n in names)]).encode(),
    "column, semicolons": lambda names: text_of(
        [["PATH", "view"], *([n, "PA"] for n in names)], ";"
    ).encode(),
    "column, tabs": lambda names: text_of(
        [["image_path", "view"], *([n, "PA"] for n in names)], "\t"
    ).encode("utf-16"),
    "column, sep": lambda names: (
        "sep=;\r\n" + text_of([["Image Index", "x"], *([n, "1"] for n in names)], ";")
    ).encode("utf-8-sig"),
}
NAMES = ["images/chest film_1.png", "images/b_2.png"]


def predicted(path: Path, cohort: Cohort) -> set[str]:
    del cohort
    return {item.path.relative_to(path.parent).as_posix() for item in list_films([str(path)])}


def excluded(path: Path, cohort: Cohort) -> set[str]:
    kept = without(cohort, film_names(path), "as requested").image_ids()
    return set(cohort.image_ids()) - set(kept)


VERBS = {"predict": predicted, "exclude": excluded}


@pytest.fixture
def study(tmp_path: Path) -> tuple[Path, Cohort]:
    rows = [["image_id", "Mass"], *([name, "1"] for name in [*NAMES, "images/c.png"])]
    (tmp_path / "labels.csv").write_text(text_of(rows), "utf-8")
    (tmp_path / "images").mkdir()
    for name in NAMES:
        (tmp_path / name).touch()
    return tmp_path, open_dataset(tmp_path)


@pytest.mark.parametrize("verb", VERBS)
@pytest.mark.parametrize("written", LISTS)
@pytest.mark.parametrize("spelled", SPELLINGS)
def test_a_list_names_the_same_films_to_every_verb(
    study: tuple[Path, Cohort], verb: str, written: str, spelled: str
) -> None:
    folder, cohort = study
    if verb == "predict" and spelled == "capitals":
        pytest.skip("a folder in capitals is a different folder")
    path = folder / ("list.csv" if written.startswith("column") else "list.txt")
    path.write_bytes(LISTS[written]([SPELLINGS[spelled](name) for name in NAMES]))
    assert VERBS[verb](path, cohort) == set(NAMES)


@pytest.mark.parametrize("written", ["column"])
@pytest.mark.parametrize("spelled", SPELLINGS)
def test_predictions_name_the_same_films(
    study: tuple[Path, Cohort], written: str, spelled: str
) -> None:
    folder, cohort = study
    path = folder / "scores.csv"
    path.write_bytes(LISTS[written]([SPELLINGS[spelled](name) for name in NAMES]))
    assert find_films(path, cohort).cohort.image_ids() == cohort.image_ids()


@given(
    st.lists(st.text("abcXYZ 0123456789_é", min_size=1, max_size=8), min_size=1, unique=True),
    st.sampled_from([".png", ".dcm", ".IMA", ""]),
    st.sampled_from(list(SPELLINGS.values())),
)
def test_a_spelling_never_names_another_film(
    stems: list[str], suffix: str, spelled: Callable[[str], str]
) -> None:
    names = [f"a/{stem.strip() or 'x'}{suffix}" for stem in stems]
    names = list(dict.fromkeys(names))
    films = FilmNames(names)
    for row, name in enumerate(names):
        found = films.find(spelled(name))
        alike = [other for other in names if other.casefold() == name.casefold()]
        if len(alike) == 1:
            assert found.row == row
        else:
            assert found.row is None or names[found.row].casefold() == name.casefold()


# leaving films out


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (["b_2.png", "d.png", "e.png"], r"2 of 3 fit no film, first: d\.png, e\.png"),
        (["film.png"], r"1 of 1 fit several films, first: film\.png"),
    ],
)
def test_names_that_fit_no_film_are_counted_and_refused(
    tmp_path: Path, names: list[str], message: str
) -> None:
    films = ["a/film.png", "b/film.png", "b_2.png"]
    rows = [["image_id", "Mass"], *([name, "1"] for name in films)]
    (tmp_path / "labels.csv").write_text(text_of(rows), "utf-8")
    with pytest.raises(UsageError, match=message):
        without(open_dataset(tmp_path), names, "as requested")


def test_an_empty_list_to_leave_out_is_refused(tmp_path: Path) -> None:
    (tmp_path / "list.txt").write_text("\n \n")
    with pytest.raises(UsageError, match="--exclude must name the films to leave out"):
        film_names(tmp_path / "list.txt")
