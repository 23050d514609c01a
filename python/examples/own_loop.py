"""A loop of one's own around an ONNX file: any loader, as long as its batches come from the trainer's sampler.

    python own_loop.py model.onnx train.npz      arrays by the names of the model's inputs, and "labels"
"""

from __future__ import annotations

import sys

import numpy as np
from torch.utils.data import DataLoader, Dataset

import dponnx


class Rows(Dataset):
    def __init__(self, path: str) -> None:
        self.arrays = dict(np.load(path))

    def __len__(self) -> int:
        return len(self.arrays["labels"])

    def __getitem__(self, row: int) -> dict[str, np.ndarray]:
        return {name: array[row] for name, array in self.arrays.items()}


def main() -> None:
    dataset = Rows(sys.argv[2])
    trainer = dponnx.PrivateTrainer(
        sys.argv[1], epsilon=3, delta=1e-5, dataset_size=len(dataset), batch_size=max(1, len(dataset) // 20), epochs=2
    )
    for epoch in range(2):
        for batch in DataLoader(dataset, batch_sampler=trainer.batch_sampler()):
            trainer.step(batch)
        print(f"epoch {epoch + 1}: epsilon {trainer.epsilon():.3f} so far")
    trainer.save("private.onnx")


if __name__ == "__main__":
    main()
