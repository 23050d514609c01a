#!/usr/bin/env bash
# Times private training steps beside ordinary ones: the shipped CNN on Fashion-MNIST, every clipping mode.
#
# usage: Benchmarks/modes.sh [STEPS [ROUNDS]]     after `swift build -c release`
#
# The modes take turns, round after round, so that a disturbance of the machine hits all of them; the fastest round of
# each counts. Ratios are those of samples per second to the non-private mode.
set -euo pipefail

steps=${1:-20}
rounds=${2:-3}
dponnx=.build/release/dponnx
model=models/fashion-cnn/fashion-cnn.onnx
data=/usr/share/datasets/fashion-mnist/train-images-idx3-ubyte.gz
output=$(mktemp -d)
trap 'rm -rf "$output"' EXIT

run() {
    local privacy=(--noise-multiplier 1 --delta 1e-5)
    if [ "$1" = non-private ]; then privacy=(); fi
    "$dponnx" train "$model" --data "$data" --dataset-size 60000 --batch-size 2048 --steps "$steps" \
        --clipping-mode "$1" "${privacy[@]}" --json --output "$output/model.onnx" 2> /dev/null |
        sed -nE 's/.*"seconds" : ([0-9.e-]+).*/\1/p'
}

modes="non-private bk bk-ghost ghost instantiate"
for _ in $(seq "$rounds"); do
    for mode in $modes; do echo "$mode $(run "$mode")"; done
done | awk -v steps="$steps" -v modes="$modes" '
    !($1 in best) || $2 < best[$1] { best[$1] = $2 }
    END {
        printf "%-12s %10s %12s %7s\n", "mode", "s/step", "samples/s", "ratio"
        count = split(modes, order, " ")
        for (i = 1; i <= count; i++) {
            seconds = best[order[i]] / steps
            printf "%-12s %10.4f %12.0f %7.2f\n", order[i], seconds, 2048 / seconds, best["non-private"] / best[order[i]]
        }
    }'
