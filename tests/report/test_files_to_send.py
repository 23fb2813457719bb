"""A page with its pictures inside, and a film on a sheet of paper."""

from __future__ import annotations

import base64
import io
import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from hilum.domain.notice import NOT_A_DEVICE
from hilum.report.batch import film_report
from hilum.report.film_sheet import write_film_sheet
from hilum.report.parts.results import BatchResults
from hilum.report.single_file import (
    embedded,
    read_picture,
    size_of_single_file,
    with_pictures_inside,
)


def picture_of(mode: str, side: int = 1024, kind: str = "PNG") -> bytes:
    bands = len(mode)
    noise = np.random.default_rng(0).integers(0, 60, (side, side, bands), np.uint8)
    out = io.BytesIO()
    Image.fromarray(noise.squeeze(), mode).save(out, kind)
    return out.getvalue()


def test_a_film_with_every_map_stays_below_a_megabyte() -> None:
    overlay = picture_of("RGB")
    for count in (1, 4, 5, 15):
        kept = embedded(overlay, count)
        assert kept.startswith(b"\xff\xd8")
        # noise is the worst that a picture can be; a film compresses five times as well
        assert 4 * count * len(kept) / 3 <= 5_000_000
    assert embedded(overlay, 15) != embedded(overlay, 1)


@pytest.mark.parametrize("data", [picture_of("RGBA", 200), picture_of("RGB", 700, "JPEG")])
def test_maps_with_alpha_and_jpegs_are_kept_as_they_are(data: bytes) -> None:
    assert len(data) > 100_000
    assert embedded(data) == data


def test_only_pictures_of_the_batch_are_written_in(hostile: BatchResults) -> None:
    asked: list[str] = []

    def picture(path: str) -> None:
        asked.append(path)

    page = film_report.REPORT.render(hostile)
    single = "".join(with_pictures_inside(page, picture))
    ours = [(one.film, *one.heatmaps.values()) for one in hostile.results]
    assert set(asked) <= {file for files in ours for file in files}
    assert not re.search(r'\s(?:src|href)="\./', single)
    assert 'src="data:,"' in single
    assert single.count("<article") == len(hostile.results)
    assert "img-src data:; script-src" in single


@pytest.mark.parametrize(
    "path",
    [
        *("films/../x.png", "films/..", "films/", "/etc/passwd", "films/a/b.png", "report.html"),
        *("overlays\\x.png", "films/a\0.png", "..", "", "films/link.png", "films/text.png"),
    ],
)
def test_nothing_but_a_plain_picture_is_read(tmp_path: Path, path: str) -> None:
    folder = tmp_path / "films"
    folder.mkdir()
    (tmp_path / "x.png").write_bytes(picture_of("L", 4))
    (folder / "link.png").symlink_to(tmp_path / "x.png")
    (folder / "text.png").write_text("not a picture")
    (folder / "good.png").write_bytes(picture_of("L", 4))
    assert read_picture(tmp_path, path) is None
    assert read_picture(tmp_path, "films/good.png") is not None


def test_the_size_is_told_about_right() -> None:
    pictures = [picture_of("L", 64) for _ in range(3)]
    page = "".join(f'<img src="./films/{n}.png">' for n in range(3))
    single = "".join(with_pictures_inside(page, lambda path: pictures[int(path[6])]))
    told = size_of_single_file(len(page), [len(one) for one in pictures])
    assert abs(told - len(single)) < 200
    assert base64.b64encode(pictures[1]).decode() in single


def test_each_film_is_one_page_and_the_same_every_time(mixed: BatchResults, tmp_path: Path) -> None:
    gray = picture_of("L", 32)
    for result in mixed.results[1:4]:  # one without findings, one with a heatmap, one not scored
        paths = [tmp_path / f"{result.image_id}-{n}.pdf" for n in range(2)]
        for path in paths:
            write_film_sheet(result, mixed, lambda _: gray, path)
        data = [path.read_bytes() for path in paths]
        assert data[0] == data[1]
        assert len(re.findall(rb"/Type /Page\b", data[0])) == 1
        assert NOT_A_DEVICE.encode() in data[0]  # the subject of the document
        assert (b"/Subtype /Image" in data[0]) is (result.film is not None)


def test_hostile_names_are_drawn_as_text(hostile: BatchResults, tmp_path: Path) -> None:
    named = [
        next(one for one in hostile.results if letter in one.image_id and bool(one.film) is scored)
        for letter, scored in (
            ("胸", True),
            ("{", True),
            ("<", False),
            ("\n", True),
            ("\udcff", False),
        )
    ]
    for number, result in enumerate(named):
        write_film_sheet(result, hostile, lambda _: None, tmp_path / f"{number}.pdf")
    assert len(list(tmp_path.glob("*.pdf"))) == len(named)
