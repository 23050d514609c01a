"""Writes the node tests of the installed onnx package, for releases that ship none (they hold them as Python code).

usage: make_node_tests.py FOLDER      then: make conformance ONNX=FOLDER

Tests whose inputs or outputs are no tensors are left out. Needs the Python package onnx.
"""
import json
import pathlib
import sys

import numpy as np
from onnx import TensorProto, numpy_helper
from onnx.backend.test.loader import load_node_model_tests


def tensors(ports, values):
    for port, value in zip(ports, values):
        if not isinstance(value, TensorProto):
            value = numpy_helper.from_array(np.asarray(value), port.name)
        yield value.SerializeToString()


def write(case, folder):
    graph = case.model.graph
    if not all(port.type.HasField("tensor_type") for port in [*graph.input, *graph.output]):
        return False
    for number, (inputs, outputs) in enumerate(case.data_sets):
        data = folder / f"test_data_set_{number}"
        data.mkdir(parents=True, exist_ok=True)
        for kind, ports, values in (("input", graph.input, inputs), ("output", graph.output, outputs)):
            for index, tensor in enumerate(tensors(ports, values)):
                (data / f"{kind}_{index}.pb").write_bytes(tensor)
    (folder / "model.onnx").write_bytes(case.model.SerializeToString())
    (folder / "data.json").write_text(json.dumps({"rtol": case.rtol, "atol": case.atol}))
    return True


np.seterr(all="ignore")
root = pathlib.Path(sys.argv[1]) / "node"
cases = load_node_model_tests()
written = sum(write(case, root / case.name) for case in cases)
print(f"{written} of {len(cases)} tests written to {root}")
