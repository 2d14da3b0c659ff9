"""The trademark encoder on a CPU: one graph for ONNX Runtime, which takes two thirds of torch's time.

Its vectors are torch's within rounding (float32, sums in another order). It is trained, and runs on GPUs, as torch.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import onnxruntime
import torch
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper
from torch import Tensor, nn

from search.retrieval.encoders.efficientnet_lite import Block, EfficientNetLite0, SameConv

PIXELS = "pixels"
MIDDLE, FEATURES, VECTORS = "middle", "features", "vectors"
_OPSET, _IR = 17, 8


def session(network: EfficientNetLite0, p: float, floor: float, projection: nn.Linear) -> onnxruntime.InferenceSession:
    """PIXELS uint8 (n, h, w, 3) -> MIDDLE (n, 240, h / 8, w / 8), FEATURES (n, 1280), VECTORS (n, dim), float32.

    p, floor: of the generalised mean. An operation takes as many threads as torch's do.
    """
    graph = _Graph()
    x = graph.add("Cast", PIXELS, to=TensorProto.FLOAT)
    x = graph.add("Div", graph.add("Sub", x, graph.number(127.0)), graph.number(128.0))
    x = graph.convolved(graph.add("Transpose", x, perm=[0, 3, 1, 2]), network.stem)
    for block in network.blocks:
        assert isinstance(block, Block)  # noqa: S101  for the type checker
        x = graph.block(x, block, MIDDLE if block is network.middle_block else "")
    x = graph.add("Clip", graph.convolved(x, network.head), graph.number(floor))
    x = graph.add("ReduceMean", graph.add("Pow", x, graph.number(p)), axes=[2, 3], keepdims=0)
    x = graph.add("Pow", x, graph.number(1 / p), named=FEATURES)
    graph.add("Gemm", x, graph.weight(projection.weight), graph.weight(projection.bias), named=VECTORS, transB=1)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")  # others need the core
    return onnxruntime.InferenceSession(graph.model(), options, providers=["CPUExecutionProvider"])


class _Graph:
    """Nodes in their order; what adds one gives the name of its result."""

    def __init__(self) -> None:
        self._nodes: list[Any] = []
        self._constants: list[Any] = []

    def add(self, kind: str, *inputs: str, named: str = "", **attributes: Any) -> str:
        name = named or f"n{len(self._nodes)}"
        self._nodes.append(helper.make_node(kind, list(inputs), [name], **attributes))
        return name

    def number(self, value: float) -> str:
        return self._constant(np.array(value, np.float32))

    def weight(self, tensor: Tensor | None) -> str:
        assert tensor is not None  # noqa: S101  for the type checker
        return self._constant(np.ascontiguousarray(tensor.detach().cpu().numpy()))

    def convolved(self, x: str, conv: SameConv, *, named: str = "") -> str:
        """As `SameConv.forward`; TensorFlow's SAME is what ONNX calls SAME_UPPER."""
        linear = self.add(
            "Conv", x, self.weight(conv.weight), self.weight(conv.bias), strides=list(conv.stride),
            kernel_shape=list(conv.kernel_size), group=conv.groups, auto_pad="SAME_UPPER",
        )  # fmt: skip
        return self.add("Clip", linear, self.number(0.0), self.number(6.0), named=named) if conv.relu else linear

    def block(self, x: str, block: Block, named: str) -> str:
        """As `Block.forward`. named: the expanded maps."""
        wide = x if block.expand is None else self.convolved(x, block.expand, named=named)
        y = self.convolved(self.convolved(wide, block.depthwise), block.project)
        return self.add("Add", x, y) if block.residual else y

    def model(self) -> bytes:
        pixels = helper.make_tensor_value_info(PIXELS, TensorProto.UINT8, ["n", "h", "w", 3])
        outputs = [helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in (MIDDLE, FEATURES, VECTORS)]
        graph = helper.make_graph(self._nodes, "trademark", [pixels], outputs, self._constants)
        made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", _OPSET)], ir_version=_IR)
        return bytes(made.SerializeToString())

    def _constant(self, value: NDArray[np.float32]) -> str:
        name = f"c{len(self._constants)}"
        self._constants.append(numpy_helper.from_array(value, name))
        return name
