"""The device is what was asked for, or one clear line; and the process is left as it was."""

from __future__ import annotations

import copy
from collections.abc import Iterator

import numpy as np
import pytest
import torch
from torch import nn

from hilum.domain.errors import UsageError
from hilum.domain.findings import LabelSet
from hilum.imaging.preprocess import Preprocessing
from hilum.model.classifier import Classifier, classifier
from hilum.model.weights import digest
from hilum.runs.recipe_parts import ComputeConfig
from hilum.training.device import Device

CPU = ComputeConfig(device="cpu", precision="float32", threads=1)


@pytest.fixture(scope="module")
def network() -> Classifier:
    labels = LabelSet("two", ("Mass", "Edema"))
    return classifier("densenet121", labels, 3, {"growth_rate": 4}, seed=0)


@pytest.fixture
def two_gpus(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[int]]:
    """A machine with two GPUs, as far as the choice can see."""
    chosen: list[int] = []
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda **_: True)
    monkeypatch.setattr(torch.cuda, "set_device", chosen.append)
    return chosen


@pytest.fixture
def no_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)


def config(**changes: object) -> ComputeConfig:
    return CPU.model_copy(update=changes)


@pytest.mark.usefixtures("no_gpu")
@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"device": "cuda"}, "compute.device=cuda must find a GPU .*; there is none"),
        ({"precision": "float16"}, "compute.precision=float16 needs a GPU"),
        ({"device": "auto", "precision": "float16"}, "needs a GPU"),
    ],
)
def test_what_this_machine_cannot_do_is_refused(changes: dict[str, object], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        Device.of(config(**changes))


@pytest.mark.usefixtures("two_gpus")
def test_a_process_takes_the_gpu_of_its_rank() -> None:
    auto = config(device="auto", precision="auto")
    devices = [Device.of(auto, rank) for rank in range(2)]
    assert [(d.name, d.index, d.kind) for d in devices] == [
        ("cuda:0", 0, torch.bfloat16),
        ("cuda:1", 1, torch.bfloat16),
    ]
    assert Device.of(config(device="cuda", precision="float16")).kind == torch.float16
    assert Device.of(CPU, 1).name == "cpu"
    with pytest.raises(UsageError, match=r"number 3 and there are 2\. Lower --nproc_per_node"):
        Device.of(auto, 2)


@pytest.mark.usefixtures("no_gpu")
@pytest.mark.parametrize(
    ("precision", "kind"), [("float32", torch.float32), ("bfloat16", torch.bfloat16)]
)
def test_the_precision_is_that_of_convolutions_and_not_of_weights(
    network: Classifier, precision: str, kind: torch.dtype
) -> None:
    device = Device.of(config(precision=precision))
    with device.autocast():
        maps = nn.Conv2d(1, 2, 1)(torch.zeros(1, 1, 8, 8))
        logits = device.place(network).eval()(torch.zeros(1, 3, 32, 32))
    assert (device.kind, device.index) == (kind, None)
    assert (maps.dtype, logits.dtype) == (kind, torch.float32)
    assert {parameter.dtype for parameter in network.parameters()} == {torch.float32}


def test_only_float16_scales_its_loss(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[str] = []
    monkeypatch.setattr(torch.amp, "GradScaler", made.append)
    for kind in (torch.float32, torch.bfloat16):
        assert Device("cuda:1", kind, CPU).scaler() is None
    assert made == []
    Device("cuda:1", torch.float16, CPU).scaler()
    assert made == ["cuda"]


def flags() -> tuple[object, ...]:
    return (
        torch.get_num_threads(),
        torch.are_deterministic_algorithms_enabled(),
        torch.backends.cudnn.benchmark,
        torch.backends.cudnn.allow_tf32,
        torch.backends.cuda.matmul.allow_tf32,
        torch.utils.deterministic.fill_uninitialized_memory,
    )


def test_a_session_pins_the_threads_and_puts_them_back() -> None:
    before = flags()
    with Device.of(config(threads=before[0] + 1)).session():
        assert flags() == (before[0] + 1, *before[1:])
    assert flags() == before


@pytest.mark.parametrize("exact", [True, False])
def test_a_session_on_a_gpu_is_exact_or_fast_and_never_tf32(
    two_gpus: list[int], exact: bool
) -> None:
    before = flags()
    device = Device.of(config(device="cuda", deterministic=exact), 1)
    with device.session():
        assert two_gpus == [1]
        assert flags() == (before[0], exact, not exact, False, False, False)
    assert flags() == before
    with pytest.raises(KeyboardInterrupt), device.session():
        raise KeyboardInterrupt
    assert flags() == before


def test_an_operation_without_a_deterministic_algorithm_is_refused_in_one_line(
    two_gpus: list[int],
) -> None:
    with (
        pytest.raises(UsageError, match=r"compute\.deterministic=false") as caught,
        Device.of(config(device="cuda")).session(),
    ):
        torch.zeros(5).put_(torch.tensor([1]), torch.ones(1))
    assert "\n" not in str(caught.value)


def test_a_full_gpu_is_one_line_and_other_failures_stay_what_they_are() -> None:
    device = Device.of(CPU)
    with pytest.raises(UsageError, match="Halve batch_size"), device.session():
        raise torch.OutOfMemoryError("CUDA out of memory")
    with pytest.raises(RuntimeError, match="mat1"), device.session():
        torch.zeros(2, 3) @ torch.zeros(2, 3)


@pytest.mark.parametrize("channels_last", [True, False])
def test_the_memory_format_is_as_configured_and_changes_no_bit(
    network: Classifier, channels_last: bool
) -> None:
    device = Device.of(config(channels_last=channels_last))
    kind = torch.channels_last if channels_last else torch.contiguous_format
    placed = device.place(copy.deepcopy(network))
    images = device.images(np.zeros((2, 3, 8, 8), np.float32))
    for tensor in (images, *(p for p in placed.parameters() if p.ndim == 4)):
        assert tensor.is_contiguous(memory_format=kind)
    assert digest(placed) == digest(network)


def test_a_placed_network_keeps_its_parameters(network: Classifier) -> None:
    own = [id(parameter) for parameter in network.parameters()]
    assert [id(p) for p in Device.of(CPU).place(network).parameters()] == own


@pytest.mark.parametrize("channels_last", [True, False])
@pytest.mark.parametrize(
    "preprocessing",
    [Preprocessing(size=40), Preprocessing(size=32, channels=1, mean=(0.5,), std=(0.3,))],
)
def test_rasters_are_normalized_on_the_device_as_serving_does_it(
    preprocessing: Preprocessing, channels_last: bool
) -> None:
    device = Device.of(config(channels_last=channels_last))
    shape = (7, preprocessing.size, preprocessing.size)
    rasters = np.random.default_rng(0).integers(0, 256, shape).astype(np.uint8)
    images = device.pixels(rasters, preprocessing)
    assert np.array_equal(images.numpy(), preprocessing.normalize(rasters))
    assert torch.equal(device.pixels(torch.from_numpy(rasters), preprocessing), images)
    kind = torch.channels_last if channels_last else torch.contiguous_format
    assert images.is_contiguous(memory_format=kind)


def test_a_network_is_compiled_only_when_asked(
    network: Classifier, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch, "compile", lambda network: ("compiled", network))
    assert Device.of(CPU).callable(network) is network
    assert Device.of(config(compile=True)).callable(network) == ("compiled", network)


@pytest.mark.slow
def test_a_network_that_cannot_be_compiled_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(graph: object, example: object) -> object:
        raise ValueError("no C++ compiler\nwas found")

    real = torch.compile
    monkeypatch.setattr(torch, "compile", lambda network: real(network, backend=broken))
    device = Device.of(config(compile=True))
    with (
        pytest.raises(
            UsageError, match=r"no C\+\+ compiler was found.*compute\.compile=false"
        ) as caught,
        device.session(),
    ):
        device.callable(nn.Linear(2, 1))(torch.zeros(1, 2))
    assert "\n" not in str(caught.value)
