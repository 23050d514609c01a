"""Makes Fixtures/mixing.onnx, which averages over its batch, and Fixtures/unknown.onnx, whose operator nobody knows.

    pip install onnx numpy
    python make_models.py
"""

import pathlib

import numpy
import onnx
from onnx import TensorProto, helper, numpy_helper

folder = pathlib.Path(__file__).parent / "Fixtures"
folder.mkdir(exist_ok=True)


def make(name, node):
    weight = numpy_helper.from_array(numpy.arange(18, dtype=numpy.float32).reshape(6, 3) / 18, "weight")
    x = helper.make_tensor_value_info("x", TensorProto.FLOAT, ["batch", 6])
    logits = helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["batch", 3])
    product = helper.make_node("MatMul", ["centred", "weight"], ["logits"], name="head")
    graph = helper.make_graph([*node, product], name, [x], [logits], [weight])
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid("example", 1)]
    onnx.save(helper.make_model(graph, opset_imports=opsets, ir_version=8), folder / f"{name}.onnx")


make("mixing", [
    helper.make_node("ReduceMean", ["x"], ["mean"], name="batch_mean", axes=[0], keepdims=1),
    helper.make_node("Sub", ["x", "mean"], ["centred"], name="centre"),
])
make("unknown", [helper.make_node("Centre", ["x"], ["centred"], name="centre", domain="example")])
