"""The models that the benchmarks train, as PyTorch modules with random weights.

Each workload: the module, the batch size, inputs by name for a batch, and the number of classes. A workload's loss is
the cross-entropy of its logits, the mean over a sample's positions.
"""

from dataclasses import dataclass
from typing import Callable

import torch
from torch import nn


@dataclass
class Workload:
    make: Callable[[], nn.Module]
    batch: int
    inputs: Callable[[int], dict[str, torch.Tensor]]
    classes: int
    positions: int = 0  # 0: one label per sample


class GroupNormBlock(nn.Module):
    """The basic block of ResNet-18 with group normalisation."""

    def __init__(self, inputs, outputs, stride):
        super().__init__()
        self.first = nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False)
        self.first_norm = nn.GroupNorm(32, outputs)
        self.second = nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False)
        self.second_norm = nn.GroupNorm(32, outputs)
        self.shortcut = nn.Identity()
        if stride != 1 or inputs != outputs:
            self.shortcut = nn.Sequential(
                nn.Conv2d(inputs, outputs, 1, stride, bias=False), nn.GroupNorm(32, outputs))

    def forward(self, x):
        y = torch.relu(self.first_norm(self.first(x)))
        return torch.relu(self.second_norm(self.second(y)) + self.shortcut(x))


def resnet18(classes):
    layers = [nn.Conv2d(3, 64, 7, 2, 3, bias=False), nn.GroupNorm(32, 64), nn.ReLU(), nn.MaxPool2d(3, 2, 1)]
    width = 64
    for stage, outputs in enumerate([64, 128, 256, 512]):
        for block in range(2):
            layers.append(GroupNormBlock(width, outputs, 2 if stage and not block else 1))
            width = outputs
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(512, classes))


def cnn_mnist():
    return nn.Sequential(
        nn.Conv2d(1, 16, 8, 2, padding=3), nn.ReLU(), nn.MaxPool2d(2, 1), nn.Conv2d(16, 32, 4, 2), nn.ReLU(),
        nn.MaxPool2d(2, 1), nn.Flatten(), nn.Linear(512, 32), nn.ReLU(), nn.Linear(32, 10))


def cnn_groups():
    layers, width = [], 3
    for outputs in (32, 64, 128):
        layers += [nn.Conv2d(width, outputs, 3, padding=1), nn.GroupNorm(16, outputs), nn.Tanh()]
        layers += [nn.Conv2d(outputs, outputs, 3, padding=1), nn.GroupNorm(16, outputs), nn.Tanh(), nn.MaxPool2d(2)]
        width = outputs
    return nn.Sequential(*layers, nn.Flatten(), nn.Linear(128 * 16, 10))


class VisionTransformer(nn.Module):
    """ViT-tiny: 12 layers of width 192 with 3 heads on 16x16 patches."""

    def __init__(self):
        super().__init__()
        from transformers import ViTConfig, ViTForImageClassification
        self.model = ViTForImageClassification(ViTConfig(
            hidden_size=192, num_hidden_layers=12, num_attention_heads=3, intermediate_size=768, num_labels=1000,
            hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0))

    def forward(self, pixels):
        return self.model(pixels).logits


class Roberta(nn.Module):
    def __init__(self):
        super().__init__()
        from transformers import RobertaConfig, RobertaForSequenceClassification
        self.model = RobertaForSequenceClassification(RobertaConfig(
            vocab_size=50265, max_position_embeddings=514, num_labels=2, type_vocab_size=1, hidden_dropout_prob=0.0,
            attention_probs_dropout_prob=0.0))

    def forward(self, tokens):
        return self.model(tokens).logits


class GPT2(nn.Module):
    """GPT-2 with its head tied to the token embedding."""

    def __init__(self, layers, width, heads, vocabulary, positions):
        super().__init__()
        from transformers import GPT2Config, GPT2LMHeadModel
        self.model = GPT2LMHeadModel(GPT2Config(
            n_layer=layers, n_embd=width, n_head=heads, vocab_size=vocabulary, n_positions=positions, resid_pdrop=0.0,
            embd_pdrop=0.0, attn_pdrop=0.0, use_cache=False))

    def forward(self, tokens):
        return self.model(tokens).logits


class Recurrent(nn.Module):
    def __init__(self):
        super().__init__()
        self.embedding = nn.Embedding(10000, 256)
        self.lstm = nn.LSTM(256, 256, num_layers=2, batch_first=True)
        self.head = nn.Linear(256, 2)

    def forward(self, tokens):
        return self.head(self.lstm(self.embedding(tokens))[0][:, -1])


def images(*shape):
    return lambda batch: {"pixels": torch.randn(batch, *shape)}


def tokens(vocabulary, length):
    # 3 and above: RoBERTa's padding token is 1, and padding is another workload.
    return lambda batch: {"tokens": torch.randint(3, vocabulary, (batch, length))}


WORKLOADS = {
    "mlp": Workload(
        lambda: nn.Sequential(nn.Linear(784, 1024), nn.ReLU(), nn.Linear(1024, 1024), nn.ReLU(), nn.Linear(1024, 10)),
        256, images(784), 10),
    "cnn-mnist": Workload(cnn_mnist, 256, images(1, 28, 28), 10),
    "cnn-groupnorm": Workload(cnn_groups, 128, images(3, 32, 32), 10),
    "resnet18-32": Workload(lambda: resnet18(10), 32, images(3, 32, 32), 10),
    "resnet18-224": Workload(lambda: resnet18(1000), 4, images(3, 224, 224), 1000),
    "vit-tiny": Workload(VisionTransformer, 8, images(3, 224, 224), 1000),
    "roberta-base": Workload(Roberta, 4, tokens(50265, 128), 2),
    "gpt2-small": Workload(lambda: GPT2(12, 768, 12, 50257, 1024), 4, tokens(50257, 100), 50257, 100),
    "gpt2-tiny": Workload(lambda: GPT2(4, 256, 8, 8000, 256), 8, tokens(8000, 256), 8000, 256),
    "lstm": Workload(Recurrent, 64, tokens(10000, 64), 2),
}


def make(name):
    """The module of a workload, in training mode, its weights drawn from a fixed seed."""
    torch.manual_seed(0)
    return WORKLOADS[name].make().train()
