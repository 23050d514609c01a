#!/usr/bin/env bash
# Makes the virtual environment of the benchmarks (PyTorch and the exporter) and exports the models into data/bench.
#
# usage: Benchmarks/models.sh [PEER ...]     requirements of peers to install; one that cannot be had is left out
set -euo pipefail

folder=data/bench
python=$folder/venv/bin/python
pip=$folder/venv/bin/pip
mkdir -p "$folder"
[ -x "$python" ] || python3 -m venv "$folder/venv"
missing=()
for package in torch onnx onnxscript transformers; do
    "$pip" show -q "$package" 2> /dev/null || missing+=("$package")
done
[ ${#missing[@]} = 0 ] || "$pip" install -q "${missing[@]}"
for peer in "$@"; do
    "$pip" show -q "${peer%% *}" 2> /dev/null || "$pip" install -q "$peer" ||
        echo "left out: ${peer%% *} cannot be installed" >&2
done
"$python" Benchmarks/export_workloads.py "$folder" > /dev/null
