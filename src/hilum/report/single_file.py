"""A page of films as one file: its pictures inside, so that it opens from a mail or a stick."""

from __future__ import annotations

import base64
import io
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import unquote

from hilum.files.films import RESULT_FOLDERS

__all__ = ["embedded", "read_picture", "size_of_single_file", "with_pictures_inside"]

_ADDRESS = re.compile(r'(\s[\w-]+)="\./([^"]*)"')
"""An attribute with the address of a file beside the page."""
_FILES = re.compile(r'<nav class="files".*?</nav>\n?', re.DOTALL)
_POLICY = re.compile(r"img-src (?:[^;&\"]|&#39;)*")
"""Sources of pictures in a policy, whose quotes are escaped as in any attribute."""

_LARGE = 100_000
"""Bytes above which a PNG without alpha is stored as JPEG."""
_QUALITY = 85
_JPEG_OF_PNG = 60_000
"""Bytes that such a PNG of 1,024 pixels takes as JPEG, about, for a size stated beforehand."""
_SIDE, _SIDE_OF_MANY, _MANY = 1024, 512, 4
"""Longest side of a picture; that of a film with more than so many pictures is the smaller one."""


def with_pictures_inside(page: str, picture: Callable[[str], bytes | None]) -> Iterator[str]:
    r"""Yield a page with the pictures beside it written into it, and no other file requested.

    The policy of the page then allows `data:` pictures alone. Links to other files go, as those
    files do not travel with it.

    Args:
        page: as a report renders it.
        picture: gives the bytes of a picture, by its path below the output folder; None where it
            is missing.

    >>> page = '<img src="./films/a.png" alt="a"><a href="./films/a.png">'
    >>> "".join(with_pictures_inside(page, lambda path: b"\xff\xd8"))
    '<img src="data:image/jpeg;base64,/9g=" alt="a"><a>'
    """
    page = _POLICY.sub("img-src data:", _FILES.sub("", page), count=1)
    done = 0
    for found in _ADDRESS.finditer(page):
        yield page[done : found.start()]
        done = found.end()
        if found[1].strip() == "href":
            continue
        data = picture(unquote(found[2], errors="surrogateescape"))
        kind = "png" if data and data.startswith(b"\x89PNG") else "jpeg"
        address = (
            f"data:image/{kind};base64,{base64.b64encode(data).decode()}" if data else "data:,"
        )
        yield f'{found[1]}="{address}"'
    yield page[done:]


def read_picture(root: Path, path: str) -> bytes | None:
    """Return a picture of a batch; None where there is none, or the path is not that of a picture.

    A path comes from a file that somebody may have edited: nothing but a plain file right in a
    folder of pictures is read.

    >>> read_picture(Path("out"), "films/../../etc/passwd") is None
    True
    """
    folder, _, name = path.partition("/")
    if folder not in RESULT_FOLDERS or "/" in name or "\\" in name or name in ("", ".", ".."):
        return None
    file = root / folder / name
    try:
        if "\0" in name or file.is_symlink() or not file.is_file():
            return None
        data = file.read_bytes()
    except OSError:  # it went meanwhile, or its name is one that no file can have
        return None
    return data if data.startswith((b"\x89PNG\r\n\x1a\n", b"\xff\xd8")) else None


def embedded(data: bytes, pictures: int = 1) -> bytes:
    """Return a picture as it is written into a page: a film with all of them stays below 1 MB.

    A large PNG without alpha becomes a JPEG. A map with alpha is small and stays as it is.

    Args:
        data: PNG or JPEG, of hilum's own making.
        pictures: of the film.
    """
    side = _SIDE_OF_MANY if pictures > _MANY else _SIDE
    if len(data) <= _LARGE or not data.startswith(b"\x89PNG"):
        return data
    from PIL import Image

    with Image.open(io.BytesIO(data)) as picture:
        if picture.mode not in ("RGB", "L"):
            return data
        picture.thumbnail((side, side))
        out = io.BytesIO()
        picture.save(out, "JPEG", quality=_QUALITY, optimize=True)
    return min(out.getvalue(), data, key=len)


def size_of_single_file(page: int, pictures: list[int]) -> int:
    """Return about how many bytes the file will have, from the sizes of page and pictures.

    >>> size_of_single_file(1_000, [900_000, 30_000])
    121000
    """
    kept = (_JPEG_OF_PNG if size > _LARGE else size for size in pictures)
    return page + 4 * sum(kept) // 3
