"""A BERT sentence encoder as an ONNX graph, built from its weights without torch.

Token ids and mask in, unit vectors out: the encoder, the mean over the tokens and the norm are one graph. It
uses the fused operators of onnxruntime and is needed once, when a model is installed.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

Weights = Mapping[str, NDArray[np.float32]]
_FUSED = "com.microsoft"


def encoder(weights: Weights, *, layers: int, heads: int, epsilon: float) -> onnx.ModelProto:
    build = _Builder(weights, heads, epsilon)
    build.embeddings()
    for layer in range(layers):
        build.layer(f"encoder.layer.{layer}.")
    build.mean_and_norm()
    return build.model()


class _Builder:
    """Adds one operator after another; `self._hidden` names the value that the next one starts from."""

    def __init__(self, weights: Weights, heads: int, epsilon: float) -> None:
        self._weights = weights
        self._heads = heads
        self._epsilon = epsilon
        self._nodes: list[onnx.NodeProto] = []
        self._constants: dict[str, onnx.TensorProto] = {}
        self._hidden = ""

    def embeddings(self) -> None:
        names = ["word_embeddings.weight", "position_embeddings.weight", "token_type_embeddings.weight",
                 "LayerNorm.weight", "LayerNorm.bias"]  # fmt: skip
        tables = [self._weight(f"embeddings.{name}") for name in names]
        self._plain("Sub", ["ids", "ids"], "segments")  # one segment, number 0
        inputs = ["ids", "segments", *tables, "mask"]
        self._fused("EmbedLayerNormalization", inputs, ["embedded", "lengths"], epsilon=self._epsilon)
        self._hidden = "embedded"

    def layer(self, at: str) -> None:
        own = f"{at}attention.self."
        projections = [self._weights[f"{own}{name}.weight"].T for name in ("query", "key", "value")]
        biases = [self._weights[f"{own}{name}.bias"] for name in ("query", "key", "value")]
        packed = self._constant(f"{own}weight", np.concatenate(projections, axis=1))
        bias = self._constant(f"{own}bias", np.concatenate(biases))
        attended = f"{at}attended"
        inputs = [self._hidden, packed, bias, "lengths"]
        self._fused("Attention", inputs, [attended], num_heads=self._heads)
        self._hidden = self._projected(attended, self._hidden, f"{at}attention.output.")

        widened = self._product(self._hidden, f"{at}intermediate.dense.weight")
        bent = f"{at}bent"
        self._fused("BiasGelu", [widened, self._weight(f"{at}intermediate.dense.bias")], [bent])
        self._hidden = self._projected(bent, self._hidden, f"{at}output.")

    def mean_and_norm(self) -> None:
        """Mean of the tokens under the mask, scaled to length 1."""
        axis = self._constant("axis.tokens", np.array([1], dtype=np.int64))
        last = self._constant("axis.last", np.array([2], dtype=np.int64))
        self._plain("Cast", ["mask"], "mask.float", to=TensorProto.FLOAT)
        self._plain("Unsqueeze", ["mask.float", last], "mask.column")
        self._plain("Mul", [self._hidden, "mask.column"], "masked")
        self._plain("ReduceSum", ["masked", axis], "sum", keepdims=0)
        self._plain("LpNormalization", ["sum"], "vectors", axis=1, p=2)

    def model(self) -> onnx.ModelProto:
        width = self._weights["embeddings.LayerNorm.weight"].shape[0]
        inputs = [helper.make_tensor_value_info(n, TensorProto.INT32, ["texts", "tokens"]) for n in ("ids", "mask")]
        output = helper.make_tensor_value_info("vectors", TensorProto.FLOAT, ["texts", width])
        graph = helper.make_graph(self._nodes, "encoder", inputs, [output], list(self._constants.values()))
        versions = [helper.make_opsetid("", 17), helper.make_opsetid(_FUSED, 1)]
        return helper.make_model(graph, opset_imports=versions, ir_version=9, producer_name="agent_memory")

    def _projected(self, value: str, skipped: str, at: str) -> str:
        """How each half of a layer ends: value x dense + bias + skipped, normalised."""
        product = self._product(value, f"{at}dense.weight")
        self._plain("Add", [product, self._weight(f"{at}dense.bias")], f"{at}dense")
        self._plain("Add", [f"{at}dense", skipped], f"{at}sum")
        return self._normed(f"{at}sum", at)

    def _normed(self, value: str, at: str) -> str:
        """Each token's mean becomes 0 and its variance 1. Step by step, because onnxruntime's own operator for it takes
        four times as long on a CPU.
        """
        epsilon = self._constant("epsilon", np.array([self._epsilon], dtype=np.float32))
        self._plain("ReduceMean", [value], f"{at}mean", axes=[-1])
        self._plain("Sub", [value, f"{at}mean"], f"{at}centred")
        self._plain("Mul", [f"{at}centred", f"{at}centred"], f"{at}squares")
        self._plain("ReduceMean", [f"{at}squares"], f"{at}variance", axes=[-1])
        self._plain("Add", [f"{at}variance", epsilon], f"{at}variance.kept")
        self._plain("Sqrt", [f"{at}variance.kept"], f"{at}deviation")
        self._plain("Div", [f"{at}centred", f"{at}deviation"], f"{at}scaled")
        self._plain("Mul", [f"{at}scaled", self._weight(f"{at}LayerNorm.weight")], f"{at}weighed")
        self._plain("Add", [f"{at}weighed", self._weight(f"{at}LayerNorm.bias")], f"{at}normed")
        return f"{at}normed"

    def _product(self, value: str, name: str) -> str:
        self._plain("MatMul", [value, self._constant(name, self._weights[name].T)], f"{name}.product")
        return f"{name}.product"

    def _weight(self, name: str) -> str:
        return self._constant(name, self._weights[name])

    def _constant(self, name: str, value: NDArray[Any]) -> str:
        self._constants.setdefault(name, numpy_helper.from_array(np.ascontiguousarray(value), name))
        return name

    def _fused(self, operator: str, inputs: list[str], outputs: list[str], **attributes: Any) -> None:
        self._nodes.append(helper.make_node(operator, inputs, outputs, domain=_FUSED, **attributes))

    def _plain(self, operator: str, inputs: list[str], output: str, **attributes: Any) -> None:
        self._nodes.append(helper.make_node(operator, inputs, [output], **attributes))
