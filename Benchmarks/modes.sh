#!/usr/bin/env bash
# Times private training beside ordinary training: every clipping mode on every workload.
#
# usage: Benchmarks/modes.sh [ROUNDS [WORKLOAD ...]]     after `swift build -c release` and Benchmarks/models.sh
#
# The modes take turns, round after round, so that a disturbance of the machine hits all of them; the fastest round of
# each counts. The ratio is that of samples per second to the non-private mode.
set -euo pipefail

rounds=${1:-3}
shift || true
dponnx=.build/release/dponnx
modes="non-private bk bk-ghost ghost instantiate"
. Benchmarks/workloads.sh

# number KEY < JSON: a number of the outermost object, or `min` of an inner one
field() { sed -nE "s/^ *\"$1\" : ([0-9.e+-]+),?\$/\1/p" | head -n 1; }

printf '%-14s %-12s %10s %7s %9s %7s %10s\n' workload mode samples/s ratio GFLOP/s "% peak" "peak MiB"
for workload in "${@:-${!batch[@]}}"; do
    for _ in $(seq "$rounds"); do
        for mode in $modes; do
            json=$("$dponnx" bench "data/bench/$workload.onnx" --batch-size "${batch[$workload]}" \
                --steps "${steps[$workload]}" --clipping-mode "$mode" --json 2> /dev/null) || continue
            echo "$mode $(field samples_per_second <<< "$json") $(field gflop_per_second <<< "$json")" \
                "$(field sgemm_gflop_per_second <<< "$json") $(field measured_peak_bytes <<< "$json")"
        done
    done | awk -v workload="$workload" -v modes="$modes" '
        !($1 in best) || $2 > best[$1] { best[$1] = $2; rate[$1] = $3; peak[$1] = $4; bytes[$1] = $5 }
        END {
            count = split(modes, order, " ")
            for (i = 1; i <= count; i++) if (order[i] in best) {
                mode = order[i]
                printf "%-14s %-12s %10.2f %7.2f %9.1f %7.0f %10.0f\n", workload, mode, best[mode],
                    best[mode] / best["non-private"], rate[mode], 100 * rate[mode] / peak[mode], bytes[mode] / 1048576
            }
        }'
done
