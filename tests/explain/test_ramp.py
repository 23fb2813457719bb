"""The colors of a map: lightness rises, and no kind of color vision loses the peak."""

from __future__ import annotations

import re
from importlib.resources import files

import numpy as np
import pytest

from hilum.explain.ramp import LEVELS, OPACITY, Style, layer_palette, mixed, ramp

DEFICIENCIES = {
    "protanopia": [
        [0.152286, 1.052583, -0.204868],
        [0.114503, 0.786281, 0.099216],
        [-0.003882, -0.048116, 1.051998],
    ],
    "deuteranopia": [
        [0.367322, 0.860646, -0.227968],
        [0.280085, 0.672501, 0.047413],
        [-0.011820, 0.042940, 0.968881],
    ],
    "tritanopia": [
        [1.255528, -0.076749, -0.178779],
        [-0.078411, 0.930809, 0.147602],
        [0.004733, 0.691367, 0.303900],
    ],
}
"""Machado, Oliveira and Fernandes 2009, table 1, severity 1.0, on linear RGB."""
XYZ = [[0.4124564, 0.3575761, 0.1804375], [0.2126729, 0.7151522, 0.072175],
       [0.0193339, 0.119192, 0.9503041]]  # fmt: skip
WHITE = [0.95047, 1.0, 1.08883]
"""sRGB to CIE XYZ and its white, D65 (IEC 61966-2-1)."""


def lab(rgb: np.ndarray, vision: str | None = None) -> np.ndarray:
    """CIELAB of (N, 3) sRGB colors in 0 to 255, as a kind of color vision sees them."""
    share = np.asarray(rgb, float) / 255.0
    linear = np.where(share <= 0.04045, share / 12.92, ((share + 0.055) / 1.055) ** 2.4)
    if vision is not None:
        linear = np.clip(linear @ np.array(DEFICIENCIES[vision]).T, 0.0, 1.0)
    t = linear @ np.array(XYZ).T / WHITE
    f = np.where(t > (6 / 29) ** 3, np.cbrt(t), t / (3 * (6 / 29) ** 2) + 4 / 29)
    return np.stack(
        [116 * f[:, 1] - 16, 500 * (f[:, 0] - f[:, 1]), 200 * (f[:, 1] - f[:, 2])], axis=1
    )


def apart(colors: np.ndarray, vision: str | None) -> float:
    """Distance (CIE76) of half the peak and the peak; of their lightness alone for gray."""
    middle, peak = lab(colors[[128, 255]], None if vision == "gray" else vision)
    return float(abs(peak[0] - middle[0]) if vision == "gray" else np.linalg.norm(peak - middle))


def test_lab_is_that_of_known_colors() -> None:
    found = lab(np.array([[255, 255, 255], [255, 0, 0], [0, 0, 0]]))
    assert np.allclose(found, [[100, 0, 0], [53.24, 80.09, 67.2], [0, 0, 0]], atol=0.1)


def test_lightness_rises_from_none_to_the_peak() -> None:
    lightness = lab(ramp(Style.PLASMA))[:, 0]
    assert (np.diff(lightness) > -0.05).all()
    assert (np.diff(lightness[::16]) > 2.0).all()
    for vision in DEFICIENCIES:
        assert (np.diff(lab(ramp(Style.PLASMA), vision)[::16, 0]) > 0.0).all(), vision


@pytest.mark.parametrize("vision", [None, *DEFICIENCIES, "gray"])
def test_the_peak_stands_out_for_every_kind_of_color_vision(vision: str | None) -> None:
    assert apart(ramp(Style.PLASMA), vision) >= 30.0


def test_hot_would_fail_both() -> None:
    lightness = lab(ramp(Style.HOT))[:, 0]
    assert lightness[255] < lightness[128] - 20
    assert apart(ramp(Style.HOT), "deuteranopia") < 30.0
    assert apart(ramp(Style.HOT), "gray") < 30.0


def test_no_color_is_gray_where_it_shows_so_that_none_passes_for_anatomy() -> None:
    shown = layer_palette()[:, 3] > 0
    chroma = np.hypot(*lab(ramp(Style.PLASMA)[shown])[:, 1:].T)
    assert chroma.min() > 40.0


def test_plasma_is_matplotlibs() -> None:
    import matplotlib as mpl

    theirs = mpl.colormaps["plasma"](np.arange(LEVELS))[:, :3] * 255
    assert np.abs(ramp(Style.PLASMA) - theirs).max() <= 6


def test_the_layer_over_the_film_is_the_overlay() -> None:
    palette = layer_palette().astype(float)
    alpha = OPACITY * palette[:, 3:] / 255.0
    for gray in (0, 90, 255):
        over = gray * (1.0 - alpha) + palette[:, :3] * alpha
        assert np.abs(over - mixed(Style.PLASMA)[gray]).max() <= 1.0


def test_alpha_rises_with_the_level() -> None:
    alpha = layer_palette()[:, 3].astype(int)
    assert alpha[:26].max() == 0
    assert (np.diff(alpha[26:154]) > 0).all()
    assert (alpha[154:] == 255).all()


def template(name: str) -> str:
    return files("hilum.report").joinpath("templates", name).read_text("utf-8")


def test_the_page_has_the_same_colors_opacity_and_half_peak() -> None:
    gradient = re.search(
        r"\.map-ramp \{.*?linear-gradient\(90deg, (.*?)\)", template("viewer.css"), re.DOTALL
    )
    assert gradient is not None
    stops = [list(bytes.fromhex(stop.strip("# "))) for stop in gradient[1].split(",")]
    at = np.rint(np.linspace(0, 255, len(stops))).astype(int)
    assert np.abs(np.array(stops) - ramp(Style.PLASMA)[at]).max() <= 2
    assert f"opacity: {OPACITY};" in template("viewer.css")
    assert f"opacity: {OPACITY}," in template("viewer.js")
    cuts = re.search(r"const CUTS = (.*?);", template("viewer.js"))
    assert cuts is not None
    at = {
        float(of): float(cut)
        for of, cut in re.findall(r'\[([0-9.]+), \[".*?", ([0-9.]+)\]', cuts[1])
    }
    palette = layer_palette()
    assert palette[127, 3] < 255 * at[0.5] < palette[128, 3]  # alpha, which rises until 0.6
    assert palette[203, 1] < 255 * at[0.8] < palette[205, 1]  # green
