"""The weights of an exported network, layer by layer, and the network without what it learned."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from openvino import Model

__all__ = ["Layer", "cascade", "layers", "write_untrained"]


@dataclass(frozen=True)
class Layer:
    """Weights that are used together.

    Attributes:
        name: as the network calls it.
        weights: their names in the graph.
    """

    name: str
    weights: tuple[str, ...]


def layers(network: Path, findings: int) -> tuple[Layer, ...]:
    """Return the network's layers from the head down to the stem.

    Weights are the graph's constants of a float type and more than one value. A layer is what the
    network calls by one name, with what has no name behind it; it stands as deep as the last
    operation on the film that uses it.
    Everything from the head's matrix on, the one with a row a finding, is one layer: an exporter
    may have put a second copy of it into the heatmaps' branch.

    Args:
        network: the `.onnx` file.
        findings: how many it has.
    """
    import openvino

    graph = openvino.Core().read_model(network)
    uses = _uses(graph)
    shapes = {node.get_friendly_name(): list(node.output(0).shape) for node in _weights(graph)}
    place = {name: use.place for name, use in uses.items()}
    heads = [at for name, at in place.items() if _is_head(shapes[name], findings)]
    head = min(heads, default=max(place.values()))
    found: dict[str, list[str]] = {}
    stem = "stem"
    for name in sorted(place, key=lambda name: (place[name], name)):
        stem = "head" if place[name] >= head else _stem(name) or stem
        found.setdefault(stem, []).append(name)
    deepest = sorted(found, key=lambda stem: -max(place[name] for name in found[stem]))
    return tuple(Layer(stem, tuple(found[stem])) for stem in deepest)


def cascade(found: Sequence[Layer], steps: int) -> tuple[tuple[Layer, ...], ...]:
    """Return the layers in steps from the head down: the head, then about equally many each.

    >>> parts = cascade([Layer(name, (name,)) for name in "abcde"], 3)
    >>> ["".join(layer.name for layer in part) for part in parts]
    ['a', 'bc', 'de']
    """
    rest = [
        part for part in np.array_split(np.arange(1, len(found)), max(1, steps - 1)) if len(part)
    ]
    return (tuple(found[:1]), *(tuple(found[at] for at in part) for part in rest))


def write_untrained(network: Path, untrained: Sequence[Layer], seed: int, out: Path) -> None:
    """Write the network with some layers as they might have been before training.

    Kernels and matrices are drawn from a normal distribution of variance 2 / fan-in (He et al.
    2015); what scales or divides becomes 1 and what is added or subtracted becomes 0, so norms do
    nothing. Activations keep their size through such layers: shuffled weights behind the trained
    norms' statistics would soon leave every channel dead, and a dead network's empty maps show
    nothing. Tensors of a layer of one shape are drawn alike, so a copy stays a copy unless it is
    transposed.

    Args:
        network: the `.onnx` file.
        untrained: the layers.
        seed: of what is drawn; a layer is drawn alike whatever others are.
        out: where to, ending in `.xml`; the weights go beside it.
    """
    import openvino
    from openvino import opset13

    graph = openvino.Core().read_model(network)
    nodes = {node.get_friendly_name(): node for node in _weights(graph)}
    uses = _uses(graph)
    for layer in untrained:
        for name in layer.weights:
            values = np.array(nodes[name].data)
            rng = np.random.default_rng(np.random.SeedSequence([seed, *layer.name.encode()]))
            made = opset13.constant(_initial(values, uses[name], rng).astype(values.dtype))
            for use in nodes[name].output(0).get_target_inputs():
                use.replace_source_output(made.output(0))
    openvino.save_model(graph, out, compress_to_fp16=False)


@dataclass(frozen=True)
class _Use:
    """The first operation on the film that has a weight: its place in the graph's order."""

    place: int
    operation: str
    port: int


_KERNELS = ("Convolution", "GroupConvolution", "MatMul")
"""Operations that multiply with their weights and add up, even where they are a vector."""
_NORM_SCALES = (1, 4)
"""Ports of a batch norm's factor and variance; the others are its offset and mean."""


def _initial(values: NDArray[np.floating], use: _Use, rng: np.random.Generator) -> NDArray[Any]:
    if use.operation not in _KERNELS and max(values.shape) == values.size:
        scales = use.operation in ("Multiply", "Divide")
        scales |= use.operation == "BatchNormInference" and use.port in _NORM_SCALES
        return np.full(values.shape, float(scales))
    fan_in = values.shape[-1] if values.ndim < 4 else values[0].size
    drawn = rng.standard_normal((values.size // fan_in, fan_in)) * np.sqrt(2.0 / fan_in)
    return drawn.reshape(values.shape)


def _weights(graph: Model) -> list[Any]:
    return [
        node
        for node in graph.get_ordered_ops()
        if node.get_type_name() == "Constant"
        and node.output(0).get_element_type().is_real()
        and np.prod(node.output(0).shape) > 1
    ]


def _uses(graph: Model) -> dict[str, _Use]:
    """Return each weight's first use on the film.

    What an operation makes of weights alone (a cast, a reshape) is followed to such a one.
    """
    ordered = graph.get_ordered_ops()
    place = {node.get_friendly_name(): at for at, node in enumerate(ordered)}
    live: set[str] = set()
    for node in ordered:
        sources = (value.get_node().get_friendly_name() for value in node.input_values())
        if node.get_type_name() == "Parameter" or any(name in live for name in sources):
            live.add(node.get_friendly_name())

    def uses(node: Any) -> Iterator[_Use]:
        for out in node.outputs():
            for use in out.get_target_inputs():
                user = use.get_node()
                name, kind = user.get_friendly_name(), user.get_type_name()
                if kind != "ShapeOf" and name in live:
                    yield _Use(place[name], kind, use.get_index())
                elif kind != "ShapeOf":
                    yield from uses(user)

    found = {node.get_friendly_name(): list(uses(node)) for node in _weights(graph)}
    return {name: min(all_, key=lambda use: use.place) for name, all_ in found.items() if all_}


def _is_head(shape: list[int], findings: int) -> bool:
    return 2 <= len(shape) <= 3 and findings in shape[-2:]


def _stem(weight: str) -> str:
    """Return the layer of a weight, by the network's own names; empty for the exporter's.

    >>> _stem("network.backbone.extractor.features.norm5.weight"), _stem("val_36")
    ('features.norm5', '')
    """
    name = weight.removeprefix("network.").removeprefix("backbone.extractor.").removesuffix(".half")
    return name.rpartition(".")[0]
