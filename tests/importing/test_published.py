"""Every published style: tensors bit for bit, and the scores that its own library gives."""

from __future__ import annotations

import hashlib
import sys
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from onnx import numpy_helper
from PIL import Image

from hilum.cli.import_ import write
from hilum.domain.errors import BundleError, HilumError, UsageError
from hilum.imaging.read import read
from hilum.importing.network import build_network
from hilum.importing.profile import ONNX, Profile
from hilum.importing.read import read_weights
from hilum.importing.reading import read_confined, read_graph_confined
from hilum.inference.engine import Engine
from hilum.phantom.film import draw_example

sys.path.insert(0, str(Path(__file__).parents[1]))

from make_published import STYLES, Published, Style, write_others

REAL = Path(__file__).parents[3] / "shared" / "data" / "nih_1024"
pytestmark = pytest.mark.filterwarnings("ignore")


@pytest.fixture(scope="module")
def films(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Two real films where they are here, and a drawn one that is oblong."""
    folder = tmp_path_factory.mktemp("films")
    paths = sorted(REAL.glob("*.png"))[:2]
    pixels = np.rint(draw_example("Effusion", seed=2).pixels * 255).astype(np.uint8)
    paths.append(folder / "oblong.png")
    Image.fromarray(pixels[:, 20:200]).save(paths[-1])
    return paths


def written(style: Style, folder: Path) -> Published:
    try:
        return style.write(folder)
    except ImportError as error:
        pytest.skip(f"{error.name} is not installed")


def prints(tensors: Iterable[np.ndarray]) -> Counter[tuple[Any, ...]]:
    """Shape, type and hash of each tensor's bytes: equal ones are equal to the bit."""
    return Counter(
        (t.shape, t.dtype.kind, hashlib.sha256(t.tobytes()).hexdigest()) for t in tensors
    )


def scores(style: Style, profile: Profile, folder: Path, films: list[Path]) -> np.ndarray:
    """What hilum gives the films: by the graph that it serves, or by the network that it built."""
    rasters = np.stack([profile.input.raster(read(path)) for path in films])
    if profile.backbone == ONNX:
        run = write(folder / style.file, profile, folder / "run")
        return Engine(run.model, profile.input, profile.outputs).run(rasters).logits.values
    built = build_network(read_weights(folder / style.file), profile, style.file)
    assert not built.signs
    with torch.no_grad():
        logits, heatmaps, *_ = built.network(torch.from_numpy(profile.input.normalize(rasters)))
    assert heatmaps.min() >= 0
    assert profile.pooling != "token" or heatmaps.max() == 0
    assert built.design.backbone == profile.backbone
    return logits.numpy()


@pytest.mark.slow
@pytest.mark.parametrize("style", STYLES.values(), ids=list(STYLES))
def test_tensors_and_scores_are_those_of_the_library(
    style: Style, films: list[Path], tmp_path: Path
) -> None:
    published = written(style, tmp_path)
    profile = style.profile_in(tmp_path)
    want = np.stack([published.score(path) for path in films])
    got = scores(style, profile, tmp_path, films)
    assert got.shape == want.shape == (len(films), len(profile.outputs))
    assert np.ptp(want) > 1e-3
    assert np.abs(got - want).max() <= 1e-4 * np.ptp(want), np.ptp(want)
    if profile.backbone == ONNX:
        graph = onnx.load_model_from_string(read_graph_confined(tmp_path / style.file))
        held = [numpy_helper.to_array(tensor) for tensor in graph.graph.initializer]
    else:
        found = read_confined(tmp_path / style.file).holders
        held = [tensor for tensors in found.values() for tensor in tensors.values()]
    assert not prints(published.tensors) - prints(held)


def test_other_files_are_named_for_what_they_are(tmp_path: Path) -> None:
    for name, word in write_others(tmp_path).items():
        with pytest.raises(HilumError, match=word):
            read_weights(tmp_path / name)
    with pytest.raises(UsageError, match="No such file"):
        read_weights(tmp_path / "absent.pth")


@pytest.mark.parametrize(
    "dtype", [torch.bfloat16, torch.float16, torch.float64, torch.int32, torch.bool]
)
@pytest.mark.parametrize("zipped", [True, False])
def test_numbers_of_every_kind(dtype: torch.dtype, zipped: bool, tmp_path: Path) -> None:
    values = torch.arange(-6, 6).reshape(3, 4).to(dtype)
    held = {
        "a": values,
        "b": values.t(),
        "c": values[1:, ::2],
        "empty": values[:0],
        "one": values[0, 0],
    }
    torch.save(held, tmp_path / "x", _use_new_zipfile_serialization=zipped)
    found = read_weights(tmp_path / "x").holders[""]
    for name, tensor in held.items():
        want = tensor.float() if dtype is torch.bfloat16 else tensor
        assert np.array_equal(found[name], want.numpy()), name


def test_an_unknown_class_may_stand_beside_tensors_but_not_around_them(tmp_path: Path) -> None:
    class Mine(torch.nn.Linear):
        pass

    Mine.__module__, Mine.__qualname__ = "hilum_elsewhere", "Mine"
    sys.modules["hilum_elsewhere"] = type(sys)("hilum_elsewhere")
    vars(sys.modules["hilum_elsewhere"])["Mine"] = Mine
    try:
        torch.save(Mine(2, 2), tmp_path / "mine.pt")
    finally:
        del sys.modules["hilum_elsewhere"]
    with pytest.raises(BundleError, match=r"has some in hilum_elsewhere\.Mine"):
        read_weights(tmp_path / "mine.pt")
