#!/bin/sh
# Builds .build/library/libdponnx.so, which needs nothing of the Swift toolchain to run.
set -eu
cd "$(dirname "$0")/.."
command -v swift >/dev/null || { echo "swift is not on PATH; see https://www.swift.org/install/linux/" >&2; exit 69; }
# In a folder of its own: the flags would otherwise make every other build start anew. The old kind of rpath also holds
# for the libraries that libdponnx needs, when they lie beside it.
swift build -c release --product dponnx-library --scratch-path .build/library -Xswiftc -static-stdlib \
    -Xlinker -s -Xlinker -soname=libdponnx.so -Xlinker --disable-new-dtags -Xlinker -rpath -Xlinker '$ORIGIN' \
    -Xlinker --version-script=scripts/library.map
cp .build/library/release/libdponnx-library.so .build/library/libdponnx.so
