#!/usr/bin/env bash
# Makes the virtual environment of the benchmarks (PyTorch and the exporter) and exports the models into data/bench.
#
# usage: Benchmarks/models.sh [PACKAGE ...]     further packages to install, for peers
set -euo pipefail

folder=data/bench
python=$folder/venv/bin/python
mkdir -p "$folder"
[ -x "$python" ] || python3 -m venv "$folder/venv"
missing=()
for package in torch onnx onnxscript transformers "$@"; do
    "$folder/venv/bin/pip" show -q "$package" 2> /dev/null || missing+=("$package")
done
[ ${#missing[@]} = 0 ] || "$folder/venv/bin/pip" install -q "${missing[@]}"
"$python" Benchmarks/export_workloads.py "$folder" > /dev/null
