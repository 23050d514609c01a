"""Makes Fixtures: exported models, the state_dicts they were exported from, and others for the same programs.

    pip install torch onnx onnxscript
    python make_models.py [NAME ...]

NAME.onnx        the exported model
NAME.pt          the state_dict it was exported from
NAME.new.pt      another state_dict of the same program, no two of whose tensors are equal but crowd's tokens
NAME.new.npz     inputs and the outputs that PyTorch computes for them with the other state_dict
tensors.pt, tensors.npz   tensors of every type, strided, sharing storages, and what PyTorch says they hold
"""

import copy
import pathlib
import sys
import warnings

import numpy
import onnx
import torch
from torch import nn
from torch.nn import functional

folder = pathlib.Path(__file__).parent / "Fixtures"
warnings.filterwarnings("ignore")


class Encoder(nn.Module):
    """Layers that are copies of each other, and a buffer that no output depends on."""

    def __init__(self):
        super().__init__()
        layer = nn.TransformerEncoderLayer(8, 2, 12, dropout=0, batch_first=True)
        nn.init.normal_(layer.self_attn.out_proj.bias)
        self.encoder = nn.TransformerEncoder(layer, 2, enable_nested_tensor=False)
        self.head = nn.Linear(8, 3)
        self.unused = nn.Linear(8, 2)
        self.register_buffer("steps", torch.tensor(7))

    def forward(self, x):
        return self.head(self.encoder(x).mean(1))


class Recurrent(nn.Module):
    def __init__(self, kind):
        super().__init__()
        self.table = nn.Embedding(11, 4)
        self.layer = kind(4, 5, num_layers=2, bidirectional=True, batch_first=True)
        self.head = nn.Linear(10, 3)

    def forward(self, tokens):
        return self.head(self.layer(self.table(tokens))[0][:, -1])


class Tied(nn.Module):
    """A language model whose head is its embedding, with rows of a table that are too many."""

    def __init__(self):
        super().__init__()
        self.embedding = nn.Embedding(11, 6)
        self.positions = nn.Embedding(9, 6)
        self.norm = nn.LayerNorm(6)
        self.head = nn.Linear(6, 11, bias=False)
        self.head.weight = self.embedding.weight

    def forward(self, tokens):
        x = self.embedding(tokens) + self.positions(torch.arange(4))
        return self.head(self.norm(x))


class Folded(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(1, 3, 3, bias=False)
        self.norm = nn.BatchNorm2d(3)
        self.head = nn.Linear(3, 2)

    def forward(self, x):
        return self.head(functional.relu(self.norm(self.conv(x))).mean((2, 3)))


class Packed(nn.Module):
    """Three matrices that are multiplied as one."""

    def __init__(self):
        super().__init__()
        self.q, self.k, self.v = (nn.Parameter(torch.randn(4, width)) for width in (4, 3, 5))
        self.head = nn.Linear(12, 2)

    def forward(self, x):
        return self.head(torch.tanh(x @ torch.cat([self.q, self.k, self.v], 1)))


class Dropped(nn.Module):
    """A bias of zeros, which the newer exporter leaves out."""

    def __init__(self):
        super().__init__()
        self.first = nn.Linear(4, 3)
        self.head = nn.Linear(3, 2)
        nn.init.zeros_(self.first.bias)

    def forward(self, x):
        return self.head(torch.tanh(self.first(x)))


class Zeroed(nn.Module):
    """A recurrent layer that starts with biases of zeros."""

    def __init__(self):
        super().__init__()
        self.layer = nn.GRU(8, 5, batch_first=True)
        self.head = nn.Linear(5, 2)
        nn.init.zeros_(self.layer.bias_ih_l0)
        nn.init.zeros_(self.layer.bias_hh_l0)

    def forward(self, x):
        return self.head(self.layer(x)[0][:, -1])


class Forgetful(nn.Module):
    """A recurrent layer whose two biases are equal, of ones for the gate that forgets and zeros for the others."""

    def __init__(self):
        super().__init__()
        self.layer = nn.LSTM(8, 5, batch_first=True)
        self.head = nn.Linear(5, 2)
        for bias in (self.layer.bias_ih_l0, self.layer.bias_hh_l0):
            nn.init.zeros_(bias)
            nn.init.ones_(bias[5:10])

    def forward(self, x):
        return self.head(self.layer(x)[0][:, -1])


class Cross(nn.Module):
    """Attention whose bias of zeros the exporter takes apart into tensors that equal another bias."""

    def __init__(self):
        super().__init__()
        self.keys = nn.Linear(8, 5)
        self.attention = nn.MultiheadAttention(8, 2, batch_first=True, kdim=5, vdim=5)

    def forward(self, x):
        keys = self.keys(x)
        return self.attention(x, keys, keys)[0].mean(1)


class Spoiled(nn.Module):
    """A weight made of two, which equals one of them as long as nothing is trained."""

    def __init__(self):
        super().__init__()
        self.first = nn.utils.parametrizations.weight_norm(nn.Linear(4, 3))
        self.head = nn.Linear(3, 2)

    def forward(self, x):
        return self.head(torch.tanh(self.first(x)))


class Shared(nn.Module):
    """A bias of zeros that two modules share."""

    def __init__(self):
        super().__init__()
        self.bias = nn.Parameter(torch.zeros(3))
        self.decoder = nn.Linear(4, 3)
        self.decoder.bias = self.bias

    def forward(self, x):
        return self.decoder(x[:, None])[:, 0]


class Parallel(nn.Module):
    """Layers with two branches, each behind a normalization of its own, which are equal before training."""

    class Layer(nn.Module):
        def __init__(self):
            super().__init__()
            self.first_norm, self.second_norm = nn.LayerNorm(4), nn.LayerNorm(4)
            self.first, self.second = nn.Linear(4, 4), nn.Linear(4, 4)

        def forward(self, x):
            return x + torch.tanh(self.first(self.first_norm(x))) + torch.tanh(self.second(self.second_norm(x)))

    def __init__(self):
        super().__init__()
        self.layers = nn.Sequential(Parallel.Layer(), Parallel.Layer())
        self.norm = nn.LayerNorm(4)
        self.head = nn.Linear(4, 2)

    def forward(self, x):
        return self.head(self.norm(self.layers(x)))


class Twins(nn.Module):
    """Two recurrent layers, one a copy of the other, whose weights the exporter merges."""

    def __init__(self):
        super().__init__()
        self.first = nn.LSTM(8, 5, batch_first=True)
        self.second = copy.deepcopy(self.first)
        self.head = nn.Linear(10, 2)

    def forward(self, x):
        return self.head(torch.cat([self.first(x)[0][:, -1], self.second(x)[0].mean(1)], 1))


class Square(nn.Module):
    """Square matrices whose elements do not tell which way they lie: one is added, another multiplied with."""

    def __init__(self):
        super().__init__()
        self.words = nn.Embedding(11, 4)
        self.rows = nn.Parameter(torch.zeros(4, 4))
        self.mix = nn.Linear(4, 4)
        nn.init.eye_(self.mix.weight)
        self.head = nn.Linear(4, 2)

    def forward(self, tokens):
        x = self.words(tokens) + self.rows[: tokens.shape[1]]
        return self.head(torch.tanh(self.mix(x)).mean(1))


class Tokens(nn.Module):
    """Two fresh tokens before a sequence, which the exporter expands once for both."""

    def __init__(self):
        super().__init__()
        self.first, self.second = nn.Parameter(torch.zeros(1, 1, 8)), nn.Parameter(torch.zeros(1, 1, 8))
        self.mix = nn.Linear(8, 8)
        self.head = nn.Linear(8, 2)

    def forward(self, x):
        tokens = [token.expand(x.shape[0], -1, -1) for token in (self.first, self.second)]
        return self.head(torch.tanh(self.mix(torch.cat([*tokens, x], 1))).mean(1))


class Crowd(nn.Module):
    """Three fresh tokens, of which the exporter keeps one."""

    def __init__(self):
        super().__init__()
        self.tokens = nn.ParameterList([torch.zeros(1, 1, 8) for _ in range(3)])
        self.mix = nn.Linear(8, 8)
        self.head = nn.Linear(8, 2)

    def forward(self, x):
        tokens = [token.expand(x.shape[0], -1, -1) for token in self.tokens]
        return self.head(torch.tanh(self.mix(torch.cat([*tokens, x], 1))).mean(1))


class Symmetric(nn.Module):
    def forward(self, weight):
        return weight.triu() + weight.triu(1).transpose(0, 1)


class Copies(nn.Module):
    """A layer whose weight is computed, and a copy of it: one folded tensor stands for both."""

    def __init__(self):
        super().__init__()
        self.layer = nn.utils.parametrize.register_parametrization(nn.Linear(4, 4), "weight", Symmetric())
        self.copy = copy.deepcopy(self.layer)
        self.head = nn.Linear(4, 2)

    def forward(self, x):
        for layer in [self.layer, self.copy, self.layer]:
            x = torch.tanh(layer(x))
        return self.head(x)


class Gated(nn.Module):
    """A parameter beside a number that the exporter computes from it."""

    def __init__(self):
        super().__init__()
        self.gate = nn.Parameter(torch.rand(4))
        self.mix = nn.Linear(4, 4)
        self.head = nn.Linear(4, 2)

    def forward(self, x):
        return self.head(x * self.gate + torch.tanh(self.mix(x)) * (1 - self.gate))


tokens = torch.randint(0, 11, (3, 4), generator=torch.Generator().manual_seed(1))
signal = torch.randn(3, 4, 8, generator=torch.Generator().manual_seed(2))
image = torch.randn(3, 1, 6, 6, generator=torch.Generator().manual_seed(3))
vector = torch.randn(3, 4, generator=torch.Generator().manual_seed(4))
models = {
    "encoder": (Encoder, signal),
    "lstm": (lambda: Recurrent(nn.LSTM), tokens),
    "gru": (lambda: Recurrent(nn.GRU), tokens),
    "tied": (Tied, tokens),
    "folded": (Folded, image),
    "packed": (Packed, vector),
    "dropped": (Dropped, vector),
    "zeroed": (Zeroed, signal),
    "shared": (Shared, vector),
    "plain": (Folded, image),
    "spoiled": (Spoiled, vector),
    "forgetful": (Forgetful, signal),
    "cross": (Cross, signal),
    "parallel": (Parallel, vector),
    "twins": (Twins, signal),
    "square": (Square, tokens),
    "gated": (Gated, vector),
    "tokens": (Tokens, signal),
    "crowd": (Crowd, signal),
    "copies": (Copies, vector),
}
skipped = [
    ("packed", "dynamo"), ("zeroed", "dynamo"), ("shared", "dynamo"), ("plain", "dynamo"), ("dropped", "ts"),
    ("cross", "dynamo"), ("parallel", "ts"), ("twins", "dynamo"), ("tokens", "ts"), ("copies", "ts"),
    ("crowd", "ts"),
]  # fmt: skip
exports = {"ts": dict(dynamo=False, opset_version=17), "dynamo": dict(dynamo=True, opset_version=20)}


def export(name, build, x, key):
    torch.manual_seed(5)
    model = build().eval()
    if name == "folded":
        for buffer in (model.norm.running_mean, model.norm.running_var):
            buffer += torch.rand_like(buffer)
    options = dict(exports[key])
    if key == "ts":
        options["dynamic_axes"] = {"x": {0: "batch"}, "y": {0: "batch"}}
    else:
        options["dynamic_shapes"] = ({0: torch.export.Dim("batch", min=2, max=64)},)
        options["verbose"] = False
        options["external_data"] = False
    stem = f"{name}-{key}"
    torch.onnx.export(model, (x,), str(folder / f"{stem}.onnx"), input_names=["x"], output_names=["y"], **options)
    # Traces of the program's source lines would be most of the file.
    file = onnx.load(folder / f"{stem}.onnx")
    for node in file.graph.node:
        kept = [entry for entry in node.metadata_props if entry.key != "pkg.torch.onnx.stack_trace"]
        del node.metadata_props[:]
        node.metadata_props.extend(kept)
    onnx.save(file, folder / f"{stem}.onnx")
    torch.save(model.state_dict(), folder / f"{stem}.pt")
    with torch.no_grad():
        for tensor in model.parameters():
            tensor += 0.3 * torch.rand_like(tensor)
        if name == "crowd":
            # The exported graph has one token for all.
            for token in model.tokens[1:]:
                token.copy_(model.tokens[0])
        outputs = model(x)
    torch.save(model.state_dict(), folder / f"{stem}.new.pt")
    numpy.savez(folder / f"{stem}.new.npz", x=x.numpy(), y=outputs.numpy())


def tensors():
    base = torch.arange(24.0).reshape(2, 3, 4)
    state = {
        "whole": base,
        "transposed": base.transpose(0, 2),
        "column": base[:, 1, 2],
        "repeated": torch.tensor([1.5, 2.5])[:, None].expand(2, 3),
        "parameter": nn.Parameter(torch.tensor([[0.5, -0.5]])),
        "scalar": torch.tensor(3, dtype=torch.int64),
        "empty": torch.empty(0, 3),
    }
    for name in ["float64", "float16", "bfloat16", "int64", "int32", "int16", "int8", "uint8", "bool", "uint16"]:
        state[name] = torch.tensor([0, 1, 5]).to(getattr(torch, name))
    torch.save({"epoch": 3, "state_dict": state, "notes": ["a", (1, 2.5, None, True)]}, folder / "tensors.pt")
    arrays = {name: tensor.detach() for name, tensor in state.items()}
    numpy.savez(folder / "tensors.npz", **{k: (t.float() if t.dtype == torch.bfloat16 else t).numpy() for k, t in arrays.items()})


wanted = sys.argv[1:]
folder.mkdir(exist_ok=True)
for name, (build, x) in models.items():
    for key in exports:
        # One exporter each says all of these.
        if (name, key) in skipped:
            continue
        if not wanted or name in wanted:
            export(name, build, x, key)
if not wanted or "tensors" in wanted:
    tensors()
