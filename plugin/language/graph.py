"""The model as ONNX Runtime runs it: BERT's layers over weights that stay in four bits.

`python -m plugin.language.graph FILE` writes it. It is made in a process of its own, because what makes it takes more
room than what it makes (`plugin.language.e5`).

The operators are those of https://github.com/microsoft/onnxruntime/blob/main/docs/ContribOperators.md; the layers those
of Devlin et al. 2019.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from onnx import NodeProto, TensorProto, helper, numpy_helper

from plugin.language.weights import BLOCK, Weights

_OPERATORS = "com.microsoft"

# What goes into a product is rounded to eight bits, with a scale for each block: a quarter faster than in full, and a
# vector is the same to one in ten thousand (tests/language/test_e5.py).
_EIGHT_BITS = 4


class _Graph:
    """Nodes one behind another, and the numbers that they need."""

    def __init__(self, weights: Weights) -> None:
        self._weights = weights
        self.nodes: list[NodeProto] = []
        self.kept: list[TensorProto] = []

    def given(self, name: str, numbers: NDArray[Any]) -> str:
        self.kept.append(numpy_helper.from_array(np.ascontiguousarray(numbers), name))
        return name

    def node(self, operator: str, inputs: list[str], name: str, **said: Any) -> str:
        self.nodes.append(helper.make_node(operator, inputs, [name], domain=_OPERATORS, **said))
        return name

    def times(self, read: str, tensors: list[str], inputs: int, bias: str = "") -> str:
        """`read` times these matrices, side by side, plus a bias."""
        scales, numbers = (np.concatenate(each) for each in zip(*map(self._weights.blocks, tensors), strict=True))
        outputs = len(scales) * BLOCK // inputs
        # Two neighbours in a byte, the first one below.
        packed = (numbers[:, 0::2] | (numbers[:, 1::2] << 4)).reshape(outputs, inputs // BLOCK, BLOCK // 2)
        name = tensors[0]
        scale = scales.reshape(outputs, -1)
        inward = [read, self.given(f"{name}.numbers", packed), self.given(f"{name}.scales", scale)]
        if bias:
            inward += ["", "", self.given(bias, self._weights.floats(bias))]
        return self.node(
            "MatMulNBits", inward, f"{name}.times",
            K=inputs, N=outputs, bits=4, block_size=BLOCK, accuracy_level=_EIGHT_BITS,
        )  # fmt: skip

    def added(self, new: str, to: str, norm: str) -> str:
        """The sum of both, brought to mean and spread of the layer."""
        inputs = [new, to, *(self.given(f"{norm}.{part}", self._weights.floats(f"{norm}.{part}")) for part in "wb")]
        return self.node("SkipLayerNormalization", inputs, f"{norm}.sum", epsilon=self._weights.shape.epsilon)

    def layer(self, read: str, number: int) -> str:
        """Every token looks at all others, then at itself."""
        shape, at = self._weights.shape, f"l{number}"
        parts = [f"{at}.{part}" for part in "qkv"]
        asked = self.times(read, [f"{part}.w" for part in parts], shape.width)
        self.nodes.append(helper.make_node("Split", [asked], parts, axis=2, num_outputs=len(parts)))
        bias = self.given(f"{at}.bias", np.concatenate([self._weights.floats(f"{part}.b") for part in parts]))
        seen = self.node("MultiHeadAttention", [*parts, bias, "there"], f"{at}.seen", num_heads=shape.heads)
        read = self.added(self.times(seen, [f"{at}.ao.w"], shape.width, f"{at}.ao.b"), read, f"{at}.aln")
        inner = self.node("Gelu", [self.times(read, [f"{at}.fi.w"], shape.width, f"{at}.fi.b")], f"{at}.inner")
        return self.added(self.times(inner, [f"{at}.fo.w"], shape.inner, f"{at}.fo.b"), read, f"{at}.oln")


def model(weights: Weights) -> bytes:
    """The whole graph, weights included: 13 MB. In go vectors of tokens (texts, tokens, width), and 1 where there is a
    token, 0 behind a shorter text's last; out come as many vectors of the last layer, and as many of the one below."""
    graph, width = _Graph(weights), weights.shape.width
    tokens: list[str | int | None] = ["texts", "tokens", width]
    last = below = "tokens"
    for number in range(weights.shape.layers):
        last, below = graph.layer(last, number), last
    inward = [
        helper.make_tensor_value_info("tokens", TensorProto.FLOAT, tokens),
        helper.make_tensor_value_info("there", TensorProto.INT32, tokens[:2]),
    ]
    outward = [helper.make_tensor_value_info(layer, TensorProto.FLOAT, tokens) for layer in (last, below)]
    made = helper.make_graph(graph.nodes, "multilingual-e5-small", inward, outward, graph.kept)
    operators = [helper.make_opsetid("", 18), helper.make_opsetid(_OPERATORS, 1)]
    # What ONNX Runtime reads that the locks name; the newest one of `onnx` may be ahead of it.
    found: bytes = helper.make_model(made, opset_imports=operators, ir_version=10).SerializeToString()
    return found


if __name__ == "__main__":
    Path(sys.argv[1]).write_bytes(model(Weights()))
