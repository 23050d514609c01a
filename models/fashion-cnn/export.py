"""Exports fashion-cnn.onnx, an untrained CNN with tanh activations for 28 x 28 grey images.

    pip install torch onnx onnxscript
    python export.py

The architecture is that of Papernot et al. 2021 ("Tempered Sigmoid Activations for Deep Learning with Differential
Privacy"). Input: images [N, 1, 28, 28] in 0...1, standardised inside the graph by the mean and deviation of
Fashion-MNIST's pixels, which are taken as public. Output: logits [N, 10].
"""

import onnx
import torch
from torch import nn


class FashionCNN(nn.Module):
    def __init__(self):
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv2d(1, 16, kernel_size=8, stride=2, padding=3),
            nn.Tanh(),
            nn.MaxPool2d(2, stride=1),
            nn.Conv2d(16, 32, kernel_size=4, stride=2),
            nn.Tanh(),
            nn.MaxPool2d(2, stride=1),
            nn.Flatten(),
            nn.Linear(32 * 4 * 4, 32),
            nn.Tanh(),
            nn.Linear(32, 10),
        )

    def forward(self, images):
        return self.layers((images - 0.2860) / 0.3530)


torch.manual_seed(20)
program = torch.onnx.export(
    FashionCNN().eval(),
    (torch.zeros(2, 1, 28, 28),),
    input_names=["images"],
    output_names=["logits"],
    dynamic_shapes={"images": {0: torch.export.Dim("batch")}},
    dynamo=True,
)
model = program.model_proto
for node in model.graph.node:  # stack traces name files of the exporting machine
    kept = [entry for entry in node.metadata_props if entry.key != "pkg.torch.onnx.stack_trace"]
    del node.metadata_props[:]
    node.metadata_props.extend(kept)
onnx.save(model, "fashion-cnn.onnx")
