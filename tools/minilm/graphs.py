"""
MiniLM as an ONNX graph: one description, two kinds of linears.

Only tokens that are there are computed: where texts of several lengths run together, what one is shorter than the
longest is left out of everything but the attention. Addition and LayerNormalization stand apart: fused into
SkipLayerNormalization they run a tenth slower.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from tools.minilm.wheel import LAYERS, Array, Wheel

_HEADS, _DIMENSION, _EPSILON = 12, 384, 1e-12
_OPSET, _IR = 17, 8
_VENDOR = "com.microsoft"
_STEPS = 127
"""Steps of a term: 7 bits, so that two products with 8-bit weights fit the 16 bits in which AVX2 adds them up."""


class Range(NamedTuple):
    """What the input of a linear lies within."""

    low: float
    high: float


class Linear(NamedTuple):
    """One matrix product of the model: several of the wheel's matrices side by side, on one input."""

    name: str
    matrices: Sequence[str]
    bias: Array


class Places(NamedTuple):
    """Where tokens lie: one after the other, or in a row for each text, with padding."""

    there: str
    """Of each token its place in the rows, laid end to end."""
    back: str
    """In the form of the rows the number of each place's token; of padding that of some token."""
    mask: str
    """In the form of the rows 0 where there is padding."""


class GraphBuilder:
    """Nodes and constants, put down one after the other."""

    def __init__(self, wheel: Wheel) -> None:
        self.wheel = wheel
        self._nodes: list[onnx.NodeProto] = []
        self._constants: dict[str, TensorProto] = {}

    def node(self, kind: str, *inputs: str, outputs: int = 1, domain: str = "", **attributes: Any) -> list[str]:
        """Add a node; returns the names of its outputs."""
        name = f"{kind}_{len(self._nodes)}"
        made = [f"{name}_{number}" for number in range(outputs)]
        self._nodes.append(helper.make_node(kind, inputs, made, name=name, domain=domain, **attributes))
        return made

    def op(self, kind: str, *inputs: str, domain: str = "", **attributes: Any) -> str:
        """Add a node of one output; returns its name."""
        return self.node(kind, *inputs, domain=domain, **attributes)[0]

    def constant(self, name: str, value: Array) -> str:
        """Add a constant that is in the graph itself."""
        self._constants.setdefault(name, numpy_helper.from_array(np.ascontiguousarray(value), name))
        return name

    def copied(self, name: str) -> str:
        """Add one of the wheel's tensors, copied."""
        return self.constant(name, self.wheel.array(name))

    def located(self, name: str) -> str:
        """Add one of the wheel's 8-bit tensors, left where it is."""
        if name not in self._constants:
            self._constants[name] = self.wheel.located(name)
        return name

    def model(self, result: str, probes: Mapping[str, str]) -> onnx.ModelProto:
        """Return the model; what `probes` names is an output beside the result."""
        self._nodes.append(helper.make_node("Identity", [result], ["last_hidden_state"], name="result"))
        self._nodes += [helper.make_node("Identity", [probe], [name]) for name, probe in probes.items()]
        texts = ["batch", "sequence"]
        inputs = [
            helper.make_tensor_value_info(name, TensorProto.INT64, texts) for name in ("input_ids", "attention_mask")
        ]
        outputs = [helper.make_tensor_value_info("last_hidden_state", TensorProto.FLOAT, [*texts, _DIMENSION])]
        outputs += [helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in probes]
        graph = helper.make_graph(self._nodes, "minilm-l6-v2", inputs, outputs, list(self._constants.values()))
        opsets = [helper.make_opsetid("", _OPSET), helper.make_opsetid(_VENDOR, 1)]
        return helper.make_model(graph, opset_imports=opsets, ir_version=_IR, producer_name="slipstream")


Product = Callable[[GraphBuilder, str, Linear], str]


def float32_model(wheel: Wheel, *, probed: bool = False) -> onnx.ModelProto:
    """Return the model in float32; `probed`: the inputs of its linears are outputs too."""
    return _model(wheel, _float32_product, probed=probed)


def two7_model(wheel: Wheel, ranges: Mapping[str, Range]) -> onnx.ModelProto:
    """Return the model with 8-bit weights and activations as the sum of two 7-bit terms."""
    return _model(
        wheel, lambda builder, x, linear: _two7_product(builder, x, linear, ranges[linear.name]), probed=False
    )


def _model(wheel: Wheel, product: Product, *, probed: bool) -> onnx.ModelProto:
    builder = GraphBuilder(wheel)
    probes: dict[str, str] = {}

    def linear(x: str, name: str, matrices: Sequence[str], *biases: str) -> str:
        probes[name] = x
        return product(builder, x, Linear(name, matrices, np.concatenate([wheel.array(bias) for bias in biases])))

    places = _places(builder)
    x = _embedded(builder, places)
    for layer in range(LAYERS):
        x = _layer(builder, layer, x, places, linear)
    return builder.model(builder.op("Gather", x, places.back), probes if probed else {})


def _places(builder: GraphBuilder) -> Places:
    end_to_end, axis = builder.constant("end_to_end", np.array([-1], np.int64)), builder.constant("axis", np.array(0))
    flat = builder.op("Reshape", "attention_mask", end_to_end)
    there = builder.op("Reshape", builder.op("NonZero", flat), end_to_end)
    number = builder.op("Sub", builder.op("CumSum", flat, axis), builder.constant("one", np.array(1)))
    back = builder.op("Reshape", number, builder.op("Shape", "attention_mask"))
    return Places(there, back, builder.op("Cast", "attention_mask", to=TensorProto.INT32))


def _embedded(builder: GraphBuilder, places: Places) -> str:
    """Look the tokens up: words and positions by their 8-bit rows, each with a scale of its own."""
    prefix = "inner.embeddings."
    ids = builder.op("Reshape", "input_ids", "end_to_end")
    word = _looked_up(builder, f"{prefix}word_embeddings.weight", builder.op("Gather", ids, places.there))
    width = builder.op("Shape", "input_ids", start=1, end=2)
    place = _looked_up(builder, f"{prefix}position_embeddings.weight", builder.op("Mod", places.there, width))
    first_part = builder.constant("token_type", builder.wheel.array(f"{prefix}token_type_embeddings.weight")[0])
    return _normalised(builder, builder.op("Add", builder.op("Add", word, first_part), place), f"{prefix}LayerNorm")


def _looked_up(builder: GraphBuilder, table: str, numbers: str) -> str:
    rows = builder.op("Gather", builder.located(f"{table}_q"), numbers)
    scales = builder.op("Gather", builder.copied(f"{table}_scale"), numbers)
    return builder.op("Mul", builder.op("Cast", rows, to=TensorProto.FLOAT), scales)


def _layer(builder: GraphBuilder, layer: int, x: str, places: Places, linear: Callable[..., str]) -> str:
    prefix = f"inner.encoder.layer.{layer}."
    attention, output = f"{prefix}attention.", f"{prefix}output."
    *qkv, out, up, down = builder.wheel.linears(layer)
    biases = [f"{attention}self.{part}.bias" for part in ("query", "key", "value")]
    sizes = builder.constant("thirds", np.full(3, _DIMENSION, np.int64))
    rows = builder.op("Gather", linear(x, f"{layer}.qkv", qkv, *biases), places.back)
    parts = builder.node("Split", rows, sizes, outputs=3, axis=-1)
    seen = builder.op("MultiHeadAttention", *parts, "", places.mask, domain=_VENDOR, num_heads=_HEADS)
    seen = builder.op("Reshape", seen, builder.constant("tokens", np.array([-1, _DIMENSION], np.int64)))
    seen = linear(builder.op("Gather", seen, places.there), f"{layer}.out", [out], f"{attention}output.dense.bias")
    x = _normalised(builder, builder.op("Add", seen, x), f"{attention}output.LayerNorm")
    wide = builder.op("Gelu", linear(x, f"{layer}.up", [up], f"{prefix}intermediate.dense.bias"), domain=_VENDOR)
    narrow = linear(wide, f"{layer}.down", [down], f"{output}dense.bias")
    return _normalised(builder, builder.op("Add", narrow, x), f"{output}LayerNorm")


def _normalised(builder: GraphBuilder, x: str, name: str) -> str:
    weight, bias = builder.copied(f"{name}.weight"), builder.copied(f"{name}.bias")
    return builder.op("LayerNormalization", x, weight, bias, axis=-1, epsilon=_EPSILON)


def _float32_product(builder: GraphBuilder, x: str, linear: Linear) -> str:
    """Multiply by the unpacked weights; onnxruntime unpacks them once, at load."""
    unpacked = [
        builder.op(
            "Mul",
            builder.op("Cast", builder.located(f"{name}_q"), to=TensorProto.FLOAT),
            builder.copied(f"{name}_scale"),
        )
        for name in linear.matrices
    ]
    product = builder.op("MatMul", x, _side_by_side(builder, unpacked))
    return builder.op("Add", product, builder.constant(f"{linear.name}.bias", linear.bias))


def _two7_product(builder: GraphBuilder, x: str, linear: Linear, within: Range) -> str:
    """
    Multiply by the 8-bit weights twice: x in 127 steps, then what that left over in 127 steps of a step.

    uint8 by int8 only: onnxruntime has no fast kernel for int8 by int8.
    """
    coarse = np.array((within.high - within.low) / _STEPS, np.float32)
    zero = np.array(round(-within.low / float(coarse)), np.uint8)
    step, at = builder.constant(f"{linear.name}.step", coarse), builder.constant(f"{linear.name}.zero", zero)
    fine = builder.constant(f"{linear.name}.fine", np.array(coarse / _STEPS, np.float32))
    middle = builder.constant("middle", np.array(64, np.uint8))
    first = builder.op("QuantizeLinear", x, step, at)
    rest = builder.op("Sub", x, builder.op("DequantizeLinear", first, step, at))
    second = builder.op("QuantizeLinear", rest, fine, middle)
    weights = _side_by_side(builder, [builder.located(f"{name}_q") for name in linear.matrices])
    columns = np.concatenate([builder.wheel.array(f"{name}_scale")[0] for name in linear.matrices])
    scale = builder.constant(f"{linear.name}.scale", columns)
    bias = builder.constant(f"{linear.name}.bias", linear.bias)
    return builder.op(
        "Add",
        builder.op("MatMulIntegerToFloat", first, weights, step, scale, at, "", bias, domain=_VENDOR),
        builder.op("MatMulIntegerToFloat", second, weights, fine, scale, middle, domain=_VENDOR),
    )


def _side_by_side(builder: GraphBuilder, matrices: Sequence[str]) -> str:
    return matrices[0] if len(matrices) == 1 else builder.op("Concat", *matrices, axis=1)
