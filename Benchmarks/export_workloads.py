"""Exports the benchmark models to ONNX.

usage: export_workloads.py FOLDER [NAME ...]
"""

import pathlib
import sys
import warnings

import torch

import workloads


def export(name, path):
    workload = workloads.WORKLOADS[name]
    module = workloads.make(name).eval()
    inputs = workload.inputs(3)
    batch = {key: {0: "batch"} for key in inputs}
    torch.onnx.export(
        module, tuple(inputs.values()), path, input_names=list(inputs), output_names=["logits"],
        dynamic_shapes=tuple(batch.values()), opset_version=20, external_data=False, dynamo=True)


def main():
    folder = pathlib.Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    warnings.simplefilter("ignore")
    torch.set_grad_enabled(False)
    for name in sys.argv[2:] or workloads.WORKLOADS:
        path = folder / f"{name}.onnx"
        if not path.exists():
            export(name, str(path))
            print(f"{path} {path.stat().st_size >> 10} KiB", file=sys.stderr)


main()
