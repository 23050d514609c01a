# Tests run optimised: numeric Swift is up to a hundred times slower without.
SWIFT_TEST = swift test -c release -Xswiftc -enable-testing
SOURCES = Sources Tests Package.swift

.PHONY: help setup build library wheel demo test test-python kill-trials bench bench-peers conformance operators-table proto format lint

help:
	@echo "make setup         install the Debian packages that the build needs (root or sudo)"
	@echo "make build         build .build/release/dponnx"
	@echo "make library       build .build/library/libdponnx.so for C (header: Sources/CDponnx/include/dponnx.h)"
	@echo "make wheel         build the Python package into python/dist"
	@echo "make demo          set up, build, train a CNN privately on Fashion-MNIST and evaluate it"
	@echo "make test          set up and run every test"
	@echo "make test-python   run the tests of the Python package, where pytest and PyTorch are installed"
	@echo "make kill-trials   kill a training at 200 random instants and compare its account with the noise drawn"
	@echo "make bench         time private training beside ordinary training, every clipping mode"
	@echo "make bench-peers   time private training beside PyTorch, Opacus and fastDP"
	@echo "make conformance   run the tests of an installed onnx package: ONNX=<its folder>"
	@echo "make operators-table   write docs/operators.md anew from the registry"
	@echo "make proto         generate the C code for ONNX files anew"
	@echo "make format        format the Swift sources; make lint only checks them"

setup:
	@scripts/setup.sh

build: setup
	swift build -c release --product dponnx

library: setup
	@scripts/library.sh

wheel: setup
	python3 -m pip wheel --no-deps --wheel-dir python/dist ./python

demo:
	@scripts/setup.sh dataset-fashion-mnist
	swift build -c release --product dponnx
	@scripts/demo.sh

test: setup
	$(SWIFT_TEST)

kill-trials: setup
	DPONNX_KILL_TRIALS=200 $(SWIFT_TEST) --filter KilledTrainingTests

test-python: library
	cd python && python3 -m pytest

bench: setup
	swift build -c release --product dponnx
	@Benchmarks/models.sh
	@Benchmarks/modes.sh

bench-peers: setup
	swift build -c release --product dponnx
	@Benchmarks/models.sh opacus 'fastDP @ git+https://github.com/awslabs/fast-differential-privacy'
	@Benchmarks/peers.sh

# Newer releases of onnx hold their node tests as code only: Conformance/make_node_tests.py writes them to a folder.
conformance: setup
	@test -n "$(ONNX)" || { echo "usage: make conformance ONNX=.../site-packages/onnx" >&2; exit 64; }
	swift build -c release --product onnx-conformance
	.build/release/onnx-conformance "$(ONNX)" --expect Conformance/expected.txt

operators-table: setup
	DPONNX_WRITE_OPERATORS=1 $(SWIFT_TEST) --filter OperatorTableTests

# The generated C is committed; run this after editing the schema.
proto:
	@scripts/setup.sh protobuf-c-compiler
	protoc-c --proto_path=proto --c_out=Sources/COnnxProto proto/onnx.proto
	mv Sources/COnnxProto/onnx.pb-c.h Sources/COnnxProto/include/onnx.pb-c.h

format:
	swift format --in-place --recursive $(SOURCES)

lint:
	swift format lint --strict --recursive $(SOURCES)
