#!/usr/bin/env bash
# Puts private training beside what its arithmetic would take at the speed of a large matrix product.
#
# usage: Benchmarks/roofline.sh [ROUNDS [WORKLOAD ...]]     after `swift build -c release` and Benchmarks/models.sh
#
# The roof is the time of the step's operations at the rate that a large product reaches in the same run, and the share
# of a logical batch's noise and update as it was measured. The fastest round of each workload counts.
set -euo pipefail

rounds=${1:-3}
shift || true
dponnx=.build/release/dponnx
. Benchmarks/workloads.sh

printf '%-14s %12s %9s %7s %9s %11s %10s\n' workload "GFLOP/step" GFLOP/s "% peak" "% update" samples/s "at the roof"
for workload in "${@:-${!batch[@]}}"; do
    for _ in $(seq "$rounds"); do
        "$dponnx" bench "data/bench/$workload.onnx" --batch-size "${batch[$workload]}" --steps "${steps[$workload]}" \
            --json 2> /dev/null | sed -nE 's/^ *"([a-z_]+)" : ([0-9.e+-]+),?$/\1 \2/p' |
            awk '{ value[$1] = $2 } END {
                print value["samples_per_second"], value["gflop_per_second"], value["sgemm_gflop_per_second"],
                    value["seconds_per_update"] }'
    done | awk -v workload="$workload" -v batch="${batch[$workload]}" '
        $1 > best { best = $1; rate = $2; peak = $3; update = $4 }
        END {
            step = batch / best
            update *= batch / (batch > 256 ? batch : 256)
            work = rate * step
            printf "%-14s %12.2f %9.1f %7.0f %9.1f %11.2f %10.2f\n", workload, work, rate, 100 * rate / peak,
                100 * update / step, best, batch / (work / peak + update)
        }'
done
