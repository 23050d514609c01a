#!/usr/bin/env bash
# Times private training beside our and PyTorch's ordinary training and the private training of Opacus and fastDP.
#
# usage: Benchmarks/peers.sh [ROUNDS [WORKLOAD ...]]     after `swift build -c release` and Benchmarks/models.sh
#
# PyTorch runs with its default heap and with one that is never given back (`torch-heap`), since fresh memory is dear.
# All take turns, round after round; the fastest round of each counts. A peer that refuses a workload is left out.
set -euo pipefail

rounds=${1:-3}
shift || true
dponnx=.build/release/dponnx
peers="dponnx ordinary torch torch-heap opacus fastdp"
. Benchmarks/workloads.sh

# time_one PEER WORKLOAD: samples per second and peak resident bytes
time_one() {
    local python=data/bench/venv/bin/python
    case $1 in
        dponnx | ordinary)
            local mode=bk
            [ "$1" = dponnx ] || mode=non-private
            "$dponnx" bench "data/bench/$2.onnx" --batch-size "${batch[$2]}" --steps "${steps[$2]}" --json \
                --clipping-mode "$mode" \
                2> /dev/null | sed -nE 's/^ *"(resident_peak_bytes|samples_per_second)" : ([0-9.e+-]+),?$/\1 \2/p' |
                awk '{ value[$1] = $2 } END { print value["samples_per_second"], value["resident_peak_bytes"] }'
            ;;
        torch-heap)
            MALLOC_TRIM_THRESHOLD_=100000000000 MALLOC_MMAP_THRESHOLD_=100000000000 \
                "$python" Benchmarks/time_peer.py torch "$2" "${steps[$2]}" 2> /dev/null
            ;;
        # fastDP tells about itself before the result.
        *) "$python" Benchmarks/time_peer.py "$1" "$2" "${steps[$2]}" 2> /dev/null | tail -n 1 ;;
    esac
}

printf '%-14s %-12s %10s %12s %10s\n' workload engine samples/s "dponnx/it" "peak MiB"
for workload in "${@:-${!batch[@]}}"; do
    for _ in $(seq "$rounds"); do
        for peer in $peers; do
            line=$(time_one "$peer" "$workload") || continue
            [ -n "$line" ] && echo "$peer $line"
        done
    done | awk -v workload="$workload" -v peers="$peers" '
        !($1 in best) || $2 > best[$1] { best[$1] = $2; bytes[$1] = $3 }
        END {
            count = split(peers, order, " ")
            for (i = 1; i <= count; i++) if (order[i] in best) {
                peer = order[i]
                printf "%-14s %-12s %10.2f %12.2f %10.0f\n", workload, peer, best[peer], best["dponnx"] / best[peer],
                    bytes[peer] / 1048576
            }
        }'
done
