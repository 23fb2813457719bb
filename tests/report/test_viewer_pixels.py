"""The viewer's painter of raw pixels: the gray on the screen is that of NumPy, at every window."""

from __future__ import annotations

import base64
import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from playwright.sync_api import Page

from hilum.explain.ramp import Style, layer_palette, mixed
from hilum.imaging.preprocess import Preprocessing

pytestmark = pytest.mark.slow

SHAPE = (220, 180)
FLAGS = ("--no-sandbox", "--use-angle=swiftshader", "--enable-unsafe-swiftshader")
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; require-trusted-types-for 'script'"
)
PAGE = """<!doctype html><html lang="en"><head><meta charset="utf-8"><title>Film</title>
<link rel="stylesheet" href="style.css"></head><body>
<div class="panel"><figure class="viewer">
<div class="stage" tabindex="0" role="group" data-name="a"></div><figcaption></figcaption>
</figure></div><script src="script.js"></script></body></html>"""
STYLE = ".panel { width: 400px } .panel .viewer .stage { width: 400px; height: 300px }"
START = """({ film, maps, plain }) => {
  const bytes = Uint8Array.from(atob(film.data), (letter) => letter.charCodeAt(0));
  const pixels = film.deep ? new Uint16Array(bytes.buffer) : bytes;
  const given = maps.map((map) => ({ ...map, values: Float32Array.from(map.values) }));
  const element = document.querySelector(".stage");
  const painter = hilumPixels.painter(element, { ...film, pixels }, given, { plain });
  window.stage = hilumViewer.show(document.querySelector(".viewer"), painter);
  return painter.ready.then(() => painter.kind);
}"""
READ = """(change) => {
  window.stage.set(change);
  const canvas = document.querySelector("canvas");
  const copy = new OffscreenCanvas(canvas.width, canvas.height).getContext("2d");
  copy.drawImage(canvas, 0, 0);
  const { data } = copy.getImageData(0, 0, canvas.width, canvas.height);
  const { x, y } = window.stage.state;
  let text = "";
  for (let at = 0; at < data.length; at += 8192) {
    text += String.fromCharCode(...data.subarray(at, at + 8192));
  }
  return { x, y, width: canvas.width, data: btoa(text) };
}"""


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        pass

    def end_headers(self) -> None:
        self.send_header("Content-Security-Policy", POLICY)
        super().end_headers()


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder: Path = tmp_path_factory.mktemp("page")
    templates = files("hilum.report").joinpath("templates")

    def text(name: str) -> str:
        return templates.joinpath(name).read_text("utf-8")

    (folder / "index.html").write_text(PAGE, "utf-8")
    (folder / "style.css").write_text(text("page.css") + text("viewer.css") + STYLE, "utf-8")
    (folder / "script.js").write_text(text("viewer.js") + text("viewer_pixels.js"), "utf-8")
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(folder)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_address[1]}/index.html"
    server.shutdown()
    server.server_close()


@pytest.fixture(scope="module")
def browser_flags() -> tuple[str, ...]:
    return FLAGS


def film_of(bits: int, inverted: bool = False) -> tuple[np.ndarray, dict]:
    values = np.random.default_rng(bits).integers(0, 2**bits, SHAPE)
    kind = np.uint8 if bits == 8 else np.dtype("<u2")
    pixels = values.astype(kind)
    data = base64.b64encode(pixels.tobytes()).decode()
    film = {"height": SHAPE[0], "width": SHAPE[1], "low": 0, "high": 2**bits - 1}
    return values, {**film, "inverted": inverted, "deep": bits > 8, "data": data}


def cells() -> np.ndarray:
    found = np.random.default_rng(3).random((7, 7), dtype=np.float32)
    found[2:4, 2:4] += 2.0
    return found


def map_of(grid: np.ndarray, finding: str = "Mass") -> dict:
    preprocessing = Preprocessing()
    place = vars(preprocessing.placement(SHAPE))
    peak = float(preprocessing.to_film(grid, SHAPE).max())
    return {
        "finding": finding,
        "values": grid.ravel().tolist(),
        "rows": grid.shape[0],
        "columns": grid.shape[1],
        "peak": peak,
        "place": {**place, "size": preprocessing.size},
    }


@pytest.fixture
def shown(pages: Any, address: str) -> Iterator[Page]:
    seen = pages.open(address, 900, 700)
    yield seen.page
    harmless = ("GPU stall", "favicon")
    assert [text for text in seen.troubles if not any(one in text for one in harmless)] == []


def begun(page: Page, plain: bool, film: dict, *maps: dict) -> None:
    kind = page.evaluate(START, {"film": film, "maps": list(maps), "plain": plain})
    if kind != ("2d" if plain else "webgl2"):
        pytest.skip("this browser has no WebGL2")


def pixels_of(seen: dict) -> np.ndarray:
    data = np.frombuffer(base64.b64decode(seen["data"]), np.uint8)
    return data.reshape(-1, seen["width"], 4)


def picture(page: Page, **change: object) -> np.ndarray:
    """The film's own pixels on the screen, at one to one."""
    seen = page.evaluate(READ, {"zoom": 1, **change})
    whole = pixels_of(seen).astype(int)
    top, left = round(seen["y"]), round(seen["x"])
    return whole[top : top + SHAPE[0], left : left + SHAPE[1], :3]


@pytest.mark.parametrize("plain", [False, True])
@pytest.mark.parametrize(("bits", "inverted"), [(8, False), (12, False), (15, False), (12, True)])
def test_gray_is_that_of_numpy_at_twenty_windows(
    shown: Page, plain: bool, bits: int, inverted: bool
) -> None:
    values, film = film_of(bits, inverted)
    begun(shown, plain, film)
    rng = np.random.default_rng(1)
    for number in range(20):
        center, width, invert = rng.random(), 0.02 + 1.9 * rng.random() ** 2, number % 4 == 3
        share = np.clip((values / film["high"] - center) / width + 0.5, 0.0, 1.0)
        wanted = 255.0 * (1.0 - share if invert != inverted else share)
        found = picture(shown, center=center, width=width, invert=invert, map=False)
        assert (found == found[..., :1]).all()
        assert np.abs(found[..., 0] - wanted).max() <= 1.0, (center, width, invert)


@pytest.mark.parametrize("plain", [False, True])
def test_the_map_is_the_heatmap_in_the_colors_of_the_overlay(shown: Page, plain: bool) -> None:
    values, film = film_of(8)
    values[:] = 90
    film["data"] = base64.b64encode(values.astype(np.uint8).tobytes()).decode()
    begun(shown, plain, film, map_of(cells()), map_of(0.5 * cells(), "Nodule"))
    on_film = Preprocessing().to_film(cells(), SHAPE)
    level = np.rint(255.0 * on_film / on_film.max()).astype(int)
    wanted = mixed(Style.PLASMA)[90][level].astype(int)
    found = picture(shown, finding="Mass", map=True)
    away = np.abs(found - wanted)
    # Canvas2D enlarges or shrinks a layer of 320 px: a level beside it, where colors change fast
    assert away.max() <= (9 if plain else 3)
    assert away.mean() <= 1.0
    # on the scale of a map that is twice as high, each level is half
    half = mixed(Style.PLASMA)[90][np.rint(127.5 * on_film / on_film.max()).astype(int)].astype(int)
    found = picture(shown, finding="Nodule", map=True, shared=True)
    assert np.abs(found - half).mean() <= 1.0
    assert np.abs(picture(shown, shared=False) - wanted).mean() <= 1.0
    assert (picture(shown, map=False) == 90).all()


@pytest.mark.parametrize("plain", [False, True])
def test_the_contour_runs_at_a_share_of_the_scale(shown: Page, plain: bool) -> None:
    values, film = film_of(8)
    values[:] = 90
    film["data"] = base64.b64encode(values.astype(np.uint8).tobytes()).decode()
    begun(shown, plain, film, map_of(cells()), map_of(0.5 * cells(), "Nodule"))
    on_film = Preprocessing().to_film(cells(), SHAPE)
    share = on_film / on_film.max()
    slope = np.hypot(*np.gradient(share))
    for finding, contour, shared, at in (
        ("Mass", 0.5, False, 0.5),
        ("Mass", 0.8, False, 0.8),
        ("Mass", 0.5, True, 0.5),
        ("Nodule", 0.8, False, 0.8),
    ):
        lined = picture(shown, finding=finding, map=False, contour=contour, shared=shared)
        rows, columns = np.nonzero((lined > 180).all(-1))
        assert len(rows) > 40
        away = np.abs(share - at)[rows, columns] / slope[rows, columns]
        assert np.median(away) < 1.0
        assert np.percentile(away, 95) < 2.5
    weak = picture(shown, finding="Nodule", map=False, contour=0.8, shared=True)
    assert (weak == 90).all(), "a map of half the height reaches no 80 % of the shared scale"


def test_the_palette_is_that_of_the_layers(shown: Page) -> None:
    found = shown.evaluate("() => Array.from(hilumPixels.palette())")
    away = np.array(found).reshape(256, 4) - layer_palette().astype(int)
    assert np.abs(away).max() <= 1


@pytest.mark.parametrize("plain", [False, True])
def test_zoom_and_move_are_those_of_the_stage(shown: Page, plain: bool) -> None:
    values, film = film_of(8)
    values[:] = 0
    values[100:120, 60:80] = 255
    film["data"] = base64.b64encode(values.astype(np.uint8).tobytes()).decode()
    begun(shown, plain, film)
    seen = shown.evaluate(READ, {"zoom": 3, "x": -100, "y": -200})
    whole = pixels_of(seen)[..., 0]
    rows, columns = np.nonzero(whole > 127)
    middle = (rows.mean() + 0.5, columns.mean() + 0.5)
    assert middle == pytest.approx((110 * 3 - 200, 70 * 3 - 100), abs=1.0)
