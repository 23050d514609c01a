"""Private training of a convolutional network on images.

Takes the Fashion-MNIST that Debian's package dataset-fashion-mnist installs, or random images where it is not there.

    python image_cnn.py
"""

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np
import torch

import dponnx

FOLDER = Path("/usr/share/datasets/fashion-mnist")
ROWS = 4096


def load(kind: str, rows: int) -> tuple[torch.Tensor, torch.Tensor]:
    images, labels = FOLDER / f"{kind}-images-idx3-ubyte.gz", FOLDER / f"{kind}-labels-idx1-ubyte.gz"
    if not images.exists():
        print(f"{images} is not there; taking random images")
        return torch.rand(rows, 1, 28, 28), torch.randint(0, 10, (rows,))
    pixels = np.frombuffer(gzip.decompress(images.read_bytes()), np.uint8, offset=16).reshape(-1, 1, 28, 28)[:rows]
    classes = np.frombuffer(gzip.decompress(labels.read_bytes()), np.uint8, offset=8)[:rows]
    return torch.from_numpy(pixels / np.float32(255)), torch.from_numpy(classes.astype(np.int64))


def main() -> None:
    torch.manual_seed(0)
    model = torch.nn.Sequential(
        torch.nn.Conv2d(1, 16, 8, stride=2, padding=3), torch.nn.ReLU(), torch.nn.MaxPool2d(2, 1),
        torch.nn.Conv2d(16, 32, 4, stride=2), torch.nn.ReLU(), torch.nn.MaxPool2d(2, 1),
        torch.nn.Flatten(), torch.nn.Linear(512, 32), torch.nn.ReLU(), torch.nn.Linear(32, 10),
    )  # fmt: skip
    train = torch.utils.data.TensorDataset(*load("train", ROWS))
    result = dponnx.fine_tune(
        model, torch.zeros(1, 1, 28, 28), train, epsilon=3, delta=1e-5, dataset_size=ROWS, batch_size=256, epochs=5,
        optimizer="momentum", learning_rate=0.5, validation=load("t10k", 1024),
    )  # fmt: skip
    print(f"epsilon {result.epsilon:.3f} at delta {result.delta} in {result.steps} steps; wrote {result.path}")
    print("on test data:", result.validation)


if __name__ == "__main__":
    main()
