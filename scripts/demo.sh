#!/usr/bin/env bash
# Trains the shipped CNN privately on Fashion-MNIST (epsilon 3, delta 1e-5) and evaluates it on the test images.
#
# usage: scripts/demo.sh     after `swift build -c release`; writes private.onnx into the working folder
set -euo pipefail

dponnx=.build/release/dponnx
model=models/fashion-cnn/fashion-cnn.onnx
images=/usr/share/datasets/fashion-mnist

echo "training privately on 60,000 images, to epsilon 3 at delta 1e-5"
"$dponnx" train "$model" --data "$images/train-images-idx3-ubyte.gz" --dataset-size 60000 \
    --epsilon 3 --delta 1e-5 --batch-size 3072 --epochs 60 --clip-norm 0.1 \
    --optimizer momentum --learning-rate 3 --ema 0.99 --output private.onnx
echo
echo "evaluating private.onnx on the 10,000 test images"
"$dponnx" evaluate private.onnx --data "$images/t10k-images-idx3-ubyte.gz"
