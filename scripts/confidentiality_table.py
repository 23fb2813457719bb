"""Rewrite the two tables that de-identification follows, from their sources.

`table.tsv` is Table E.1-1 of DICOM PS3.15; `types.tsv` says how much an object needs an attribute
(Type 1, 1C, 2, 2C of PS3.3), for the objects that hilum de-identifies::

    python -m scripts.confidentiality_table --part15 part15.xml --edition 2026d
    python -m scripts.confidentiality_table --types FOLDER

`part15.xml` is the standard's own DocBook source, which NEMA publishes; FOLDER is `_standard` of
highdicom (MIT), whose JSON files were made from PS3.3. Of 2026d, the rows in the order and JSON of
`canonical` have the SHA-256 that another reading of the standard has (PyMedPhys, `e1_1.json`).
"""

from __future__ import annotations

import argparse
import hashlib
import json
import re
import xml.etree.ElementTree as ElementTree
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from pydicom.datadict import keyword_dict

ROOT = Path(__file__).resolve().parents[1] / "src/hilum/interchange/deidentify"
DOCBOOK = "{http://docbook.org/ns/docbook}"
XML_ID = "{http://www.w3.org/XML/1998/namespace}id"
OPTIONS = {
    "private": "retain_safe_private",
    "uids": "retain_uids",
    "device": "retain_device_identity",
    "institution": "retain_institution_identity",
    "characteristics": "retain_patient_characteristics",
    "dates": "retain_longitudinal_full_dates",
    "dates-shifted": "retain_longitudinal_modified_dates",
    "descriptors": "clean_descriptors",
    "content": "clean_structured_content",
    "graphics": "clean_graphics",
}
"""Column of the file to the option of the standard, in the order of the standard's columns."""
SHA256 = {"2026d": "e257bc5e1cfecb3156ad3b871c43e6d73581cba6e80df460f4a4a87694e89442"}
OBJECTS = {
    "CR": "computed-radiography-image",
    "DX": "digital-x-ray-image",
    "SC": "secondary-capture-image",
    "PR": "grayscale-softcopy-presentation-state",
    "TEXT": "basic-text-sr",
    "ESR": "enhanced-sr",
    "CSR": "comprehensive-sr",
    "C3D": "comprehensive-3d-sr",
    "KO": "key-object-selection-document",
}
RANK = ("1", "1C", "2", "2C", "3")
Row = dict[str, Any]


def rows_of_docbook(path: Path) -> list[Row]:
    """Return the rows of Table E.1-1."""
    # the file is the standard's, named by whoever runs this
    root = ElementTree.parse(path).getroot()  # noqa: S314
    table = next(one for one in root.iter(f"{DOCBOOK}table") if one.get(XML_ID) == "table_E.1-1")
    body = table.find(f"{DOCBOOK}tbody")
    if body is None:
        raise ValueError("the table has no rows")
    return [_row([_text(cell) for cell in row]) for row in body.iter(f"{DOCBOOK}tr")]


def _text(cell: ElementTree.Element) -> str:
    words = "".join(cell.itertext()).replace("\u200b", "")
    return " ".join(words.split())


def _row(cells: list[str]) -> Row:
    name, tag, retired, standard, basic, *options = cells
    columns = zip(OPTIONS.values(), options, strict=True)
    if re.fullmatch(r"\([0-9A-Fa-fx]{4},[0-9A-Fa-fx]{4}\)", tag):
        tag = tag.upper().replace("X", "x")
    return {
        "name": name,
        "tag": tag,
        "retired": retired == "Y",
        "in_standard_iod": standard == "Y",
        "basic_profile": basic,
        "options": {column: action for column, action in columns if action},
    }


def canonical(rows: list[Row]) -> str:
    """Return the SHA-256 of rows in canonical JSON."""
    text = json.dumps(rows, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()


def table_text(rows: list[Row], edition: str) -> str:
    """Return `table.tsv`."""
    lines = [
        f"# DICOM PS3.15 {edition}, Table E.1-1, (c) NEMA: facts of the standard, one attribute a "
        "line.",
        f"# rows sha256 {canonical(rows)}; made by scripts/confidentiality_table.py",
        "\t".join(("tag", "name", "retired", "standard", "basic", *OPTIONS)),
    ]
    for row in rows:
        flags = ["Y" if row[key] else "N" for key in ("retired", "in_standard_iod")]
        options = [row["options"].get(column, "") for column in OPTIONS.values()]
        cells = (row["tag"], row["name"], *flags, row["basic_profile"], *options)
        lines.append("\t".join(cells).rstrip("\t"))
    return "\n".join(lines) + "\n"


def rows_of_table(text: str) -> list[Row]:
    """Return the rows that `table.tsv` holds, as `rows_of_docbook` has them."""
    _, *lines = [line for line in text.splitlines() if not line.startswith("#")]
    width = 5 + len(OPTIONS)
    cells = [line.split("\t") for line in lines]
    whole = [row + [""] * (width - len(row)) for row in cells]
    return [_row([name, tag, *rest]) for tag, name, *rest in whole]


def types_text(folder: Path) -> str:
    """Return `types.tsv`."""
    read = {
        name: json.loads((folder / f"{name}.json").read_text("utf-8"))
        for name in ("iod_module_map", "module_attribute_map")
    }
    top: dict[str, dict[str, str]] = {}
    nested: dict[tuple[str, str], str] = {}
    for code, iod in OBJECTS.items():
        for module in read["iod_module_map"][iod]:
            for attribute in read["module_attribute_map"][module["key"]]:
                keyword, kind, path = attribute["keyword"], attribute["type"], attribute["path"]
                if keyword not in keyword_dict:
                    continue
                if path:
                    pair = (path[-1], keyword)
                    nested[pair] = _stricter(nested.get(pair, "3"), kind)
                else:
                    kind = kind if module["usage"] == "M" or kind not in "12" else f"{kind}C"
                    known = top.setdefault(keyword, {})
                    known[code] = _stricter(known.get(code, "3"), kind)
    lines = [
        "# Types of DICOM PS3.3 for the objects that are de-identified, where not 3; of highdicom",
        "# (MIT). A sequence's attribute has the strictest type that it has in any of them.",
        "sequence\tattribute\ttype\tobjects",
    ]
    for keyword, kinds in sorted(top.items()):
        for kind in RANK[:-1]:
            codes = [code for code, one in kinds.items() if one == kind]
            if codes:
                lines.append(f"\t{keyword}\t{kind}\t{' '.join(codes)}")
    for (sequence, keyword), kind in sorted(nested.items()):
        if kind != "3":
            lines.append(f"{sequence}\t{keyword}\t{kind}")
    return "\n".join(lines) + "\n"


def _stricter(*kinds: str) -> str:
    return min(kinds, key=RANK.index)


def main(words: Iterable[str] | None = None) -> None:
    """Write the table that was asked for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--part15", type=Path)
    parser.add_argument("--edition", default="2026d")
    parser.add_argument("--types", type=Path)
    parser.add_argument("--out", type=Path, default=ROOT)
    options = parser.parse_args(None if words is None else list(words))
    if options.part15:
        rows = rows_of_docbook(options.part15)
        expected = SHA256.get(options.edition)
        if expected not in (None, canonical(rows)):
            raise SystemExit(f"the rows of {options.edition} must have the SHA-256 {expected}")
        (options.out / "table.tsv").write_text(table_text(rows, options.edition), "utf-8")
    if options.types:
        (options.out / "types.tsv").write_text(types_text(options.types), "utf-8")


if __name__ == "__main__":
    main()
