"""The service's page in a browser: time to a film's first paint, and frames of a dragged window.

    python -m bench viewer [--films FOLDER] [--gpu]

Films are opened as they are, and enlarged to 4 megapixels; the window is dragged on the last of
these, without its map and with it. Chromium is the one of the tests, drawing in
software (SwiftShader); `--gpu` leaves the choice to the browser. A frame counts when it has been
drawn: the drawing is waited for before the next animation frame is asked for.
"""

from __future__ import annotations

import argparse
import io
import shutil
import statistics
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from PIL import Image

from bench.clock import busy
from bench.material import films_in
from bench.serve import Service, send, served

SIDE = 2048
PAINT_MS = 700.0
FRAMES = 15.0
FRAMES_GPU = 50.0
DRAG_S = 4.0
TIMES = 9
LOOKED_MS = 1000
"""A reader looks at the list and at a film so long at least; the next film is loaded meanwhile."""
SOFTWARE = ("--use-angle=swiftshader", "--enable-unsafe-swiftshader")

OPENED = """(id) => new Promise((done) => {
  const begun = performance.now();
  const look = () => {
    const stage = document.querySelector(`.stage.live[data-film='${id}']`);
    if (!stage) return setTimeout(look, 5);
    const gl = stage.querySelector("canvas").getContext("webgl2"), one = new Uint8Array(4);
    requestAnimationFrame(() => {
      if (gl) gl.readPixels(0, 0, 1, 1, gl.RGBA, gl.UNSIGNED_BYTE, one);
      setTimeout(() => done(performance.now() - begun));
    });
  };
  location.hash = `#/films/${id}`;
  look();
})"""
"""Open a film; milliseconds until it has been drawn, and nothing of it is left to draw."""

DRAGGED = """(seconds) => new Promise((done) => {
  const stage = document.querySelector(".stage"), canvas = stage.querySelector("canvas");
  const box = stage.getBoundingClientRect();
  const gl = canvas.getContext("webgl2"), one = new Uint8Array(4), gaps = [];
  const at = (x) => ({ bubbles: true, pointerId: 1, isPrimary: true, button: 0, buttons: 1,
                       clientX: box.x + box.width / 2 + x, clientY: box.y + box.height / 2 });
  HTMLElement.prototype.setPointerCapture = () => {};
  stage.dispatchEvent(new PointerEvent("pointerdown", at(0)));
  const begun = performance.now();
  let last = begun, turn = 0;
  const step = () => {
    stage.dispatchEvent(new PointerEvent("pointermove", at(100 * Math.sin(turn++ / 9))));
    requestAnimationFrame(() => {
      if (gl) gl.readPixels(0, 0, 1, 1, gl.RGBA, gl.UNSIGNED_BYTE, one);
      const now = performance.now();
      gaps.push(now - last);
      last = now;
      if (now - begun < seconds * 1000) step();
      else {
        stage.dispatchEvent(new PointerEvent("pointerup", at(0)));
        done({ gaps, webgl: Boolean(gl), width: canvas.width, height: canvas.height });
      }
    });
  };
  step();
})"""
"""Drag the window for so many seconds; the milliseconds between drawn frames."""


def main(words: Sequence[str] = ()) -> None:
    """Measure, and print each figure beside its bar."""
    parser = argparse.ArgumentParser(prog="python -m bench viewer")
    parser.add_argument("--films", type=Path)
    parser.add_argument("--gpu", action="store_true", help="let the browser draw as it can")
    given = parser.parse_args(list(words))
    print(busy())
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        paths = films_in(root) if given.films is None else sorted(given.films.glob("*.png"))
        with served(root / "store") as service:
            films = [path.read_bytes() for path in paths[:TIMES]]
            looked_at(service, [*films, *map(large, paths[:TIMES])], given.gpu)


def looked_at(service: Service, films: Sequence[bytes], gpu: bool) -> None:
    """Open each film on the page of a service, and drag the window of the last."""
    from playwright.sync_api import sync_playwright

    ids = [send(service.client, film) for film in films]
    flags = ["--no-sandbox", *(() if gpu else SOFTWARE)]
    path = shutil.which("chromium") or shutil.which("google-chrome")
    if path is None:
        sys.exit("a browser is needed: install Chromium")
    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=path, args=flags)
        page = browser.new_page(viewport={"width": 1400, "height": 900})
        page.goto(str(service.client.base_url))
        page.get_by_label("Token").fill(service.client.headers["Authorization"].split()[1])
        page.keyboard.press("Enter")
        page.locator(".space .row .name a").first.wait_for()
        page.wait_for_timeout(LOOKED_MS)
        painted(page, "as it is", ids[: len(ids) // 2])
        painted(page, f"of {SIDE} x {SIDE} px", ids[len(ids) // 2 :])
        dragged(page, "without its map", FRAMES_GPU if gpu else FRAMES)
        page.keyboard.press("h")
        dragged(page, "with its map", FRAMES_GPU if gpu else FRAMES)
        browser.close()


def painted(page: Any, words: str, films: Sequence[str]) -> None:
    """Print the time to first paint; each film is loaded ahead, as when a reader goes on."""
    times: list[float] = []
    for film in films:
        times.append(float(page.evaluate(OPENED, film)))
        page.wait_for_timeout(LOOKED_MS)
    print(
        f"film {words} to first paint: median {statistics.median(times):.0f} ms, "
        f"longest {max(times):.0f} ms of {len(times)}, the first {times[0]:.0f} ms "
        f"(under {PAINT_MS:.0f})"
    )


def dragged(page: Any, words: str, bar: float) -> None:
    """Print frames a second while the window is dragged."""
    found = page.evaluate(DRAGGED, DRAG_S)
    gaps = found["gaps"][1:]
    drawn = "WebGL2" if found["webgl"] else "Canvas2D"
    rate = len(gaps) / (sum(gaps) / 1000)
    print(
        f"window dragged {words}: {rate:.0f} frames/s (at least {bar:.0f}), "
        f"longest gap {max(gaps):.0f} ms, {drawn}, canvas {found['width']} x {found['height']}"
    )


def large(path: Path) -> bytes:
    """Return a film as a PNG of 4 megapixels."""
    with Image.open(path) as film:
        grown = film.convert("L").resize((SIDE, SIDE), Image.Resampling.BICUBIC)
    held = io.BytesIO()
    grown.save(held, "PNG", compress_level=1)
    return held.getvalue()


if __name__ == "__main__":
    main(sys.argv[1:])
