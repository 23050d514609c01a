"""Writes the models of this folder: what both PyTorch exporters and hand-written files do to parameters.

Needs torch 2.15, onnx and onnxscript; run it in this folder. Stack traces are taken out of the metadata.
"""

import contextlib
import copy
import io

import numpy as np
import onnx
import torch
import torch.nn.functional as F
from onnx import TensorProto, helper, numpy_helper
from torch import nn

torch.set_num_threads(1)


class Layer(nn.Module):
    def __init__(self):
        super().__init__()
        self.norm = nn.LayerNorm(4)
        self.fc = nn.Linear(4, 4)

    def forward(self, x):
        return x + self.fc(self.norm(x))


class Layers(nn.Module):
    """Deep-copied layers, as nn.TransformerEncoder makes them, and one more fresh normalisation: all false ties."""

    def __init__(self):
        super().__init__()
        layer = Layer()
        self.layers = nn.ModuleList([copy.deepcopy(layer) for _ in range(2)])
        self.norm = nn.LayerNorm(4)
        self.head = nn.Linear(4, 1)

    def forward(self, x):
        for layer in self.layers:
            x = layer(x)
        return self.head(self.norm(x))


class Shared(nn.Module):
    """True ties: a layer called repeatedly, a tower called twice, one weight in two modules."""

    def __init__(self):
        super().__init__()
        self.layer = Layer()
        self.tower = nn.Sequential(nn.Linear(4, 3), nn.ReLU(), nn.Linear(3, 4))
        self.a = nn.Linear(4, 4)
        self.b = nn.Linear(4, 4)
        self.b.weight = self.a.weight

    def forward(self, x, y):
        x = self.layer(self.layer(x)).mean(1)
        x = self.tower(x) + self.tower(y)
        return self.b(F.relu(self.a(x)))


class Language(nn.Module):
    """A head tied to the embedding."""

    def __init__(self):
        super().__init__()
        self.embedding = nn.Embedding(7, 4)
        self.norm = nn.LayerNorm(4)
        self.head = nn.Linear(4, 7, bias=False)
        self.head.weight = self.embedding.weight

    def forward(self, tokens):
        return self.head(self.norm(self.embedding(tokens)))


class Sequence(nn.Module):
    """Parameters among masks, tables, frequencies and single numbers."""

    def __init__(self, size=8, length=6):
        super().__init__()
        position = torch.arange(length).float()
        self.embedding = nn.Embedding(9, size)
        frequencies = 1 / 100 ** (torch.arange(0, size, 2).float() / size)
        angles = torch.outer(position, frequencies)
        table = torch.stack([angles.sin(), angles.cos()], -1).reshape(1, length, size)
        self.register_buffer("table", table)
        self.register_buffer("inv_freq", frequencies)
        self.register_buffer("cos_cached", torch.cat([angles, angles], -1).cos())
        self.register_buffer("causal", torch.triu(torch.full((length, length), -1e9), 1))
        self.register_buffer("allowed", torch.tril(torch.ones(length, length)))
        self.query = nn.Linear(size, size)
        self.position_bias = nn.Parameter(torch.randn(length, length))
        self.layer_scale = nn.Parameter(torch.full((size,), 0.1))
        self.mask_token = nn.Parameter(torch.zeros(size))
        self.temperature = nn.Parameter(torch.tensor(0.7))
        self.unused = nn.Parameter(torch.ones(3))
        self.head = nn.Linear(size, 1)

    def forward(self, tokens):
        x = self.embedding(tokens) + self.table
        x = torch.where((tokens == 3).unsqueeze(-1), self.mask_token, x)
        angles = torch.outer(torch.arange(x.shape[1]).float(), self.inv_freq)
        x = x * self.cos_cached + x.flip(-1) * torch.cat([angles.sin(), angles.cos()], -1)
        query = self.query(x)
        scores = query @ query.transpose(1, 2) * self.temperature + self.position_bias + self.causal
        weights = torch.softmax(scores, -1) * self.allowed
        return self.head(weights @ x * self.layer_scale)


class Image(nn.Module):
    """Normalisations, with statistics and with scales that stand in for parameters."""

    def __init__(self):
        super().__init__()
        self.first = nn.BatchNorm2d(2)
        self.conv = nn.Conv2d(2, 4, 3)
        self.group = nn.GroupNorm(2, 4)
        self.slope = nn.PReLU()
        self.second = nn.BatchNorm2d(4)
        self.plain = nn.InstanceNorm2d(4)
        self.head = nn.Linear(4, 2)

    def forward(self, x):
        x = self.slope(self.group(self.conv(self.first(x))))
        return self.head(self.plain(self.second(F.relu(x))).mean((2, 3)))


class Conventions(nn.Module):
    """What only rules can tell in a file without metadata: parameters that lost their names, constants that look alike."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(2, 4, 3)
        self.plain = nn.GroupNorm(2, 4, affine=False)
        kernel = torch.tensor([[1.0, 2, 1], [2, 4, 2], [1, 2, 1]]) / 16
        self.register_buffer("blur", kernel.expand(4, 1, 3, 3).contiguous())
        self.gate = nn.Parameter(torch.tensor([0.3]))
        self.token = nn.Parameter(torch.randn(1, 4))
        self.mix = nn.Linear(4, 4)
        grid = torch.cartesian_prod(torch.linspace(-1, 1, 2), torch.linspace(-2, 2, 5) ** 3)
        self.register_buffer("relative_coords_table", grid.unsqueeze(0))
        self.positions = nn.Sequential(nn.Linear(2, 3), nn.ReLU(), nn.Linear(3, 4))
        self.register_buffer("slopes", torch.tensor([0.5, 0.25, 0.3, 0.1]))
        self.head = nn.Linear(4, 3, bias=False)
        self.register_buffer("no_bias", torch.zeros(1, 1, 3, dtype=torch.float64))

    def forward(self, x):
        x = self.plain(self.conv(x))
        x = F.conv2d(x, self.blur, padding=1, groups=4).flatten(2).transpose(1, 2)
        x = torch.cat([self.token.unsqueeze(0).expand(x.shape[0], -1, -1), x * torch.tanh(self.gate)], 1)
        x = self.mix(x) + self.positions(self.relative_coords_table)
        x = x + torch.arange(x.shape[1]).float().unsqueeze(1) * self.slopes.unsqueeze(0)
        return self.head(x) + self.no_bias.float()


class Recurrent(nn.Module):
    def __init__(self):
        super().__init__()
        self.lstm = nn.LSTM(2, 2, num_layers=2, batch_first=True)
        for name, value in self.lstm.named_parameters():
            if "bias" in name:
                nn.init.zeros_(value)
        self.head = nn.Linear(2, 1)

    def forward(self, x):
        return self.head(self.lstm(x)[0][:, -1])


class Crossed(nn.Module):
    """Attention to something else, whose weight and bias are split: the optimiser makes nodes of which it says nothing."""

    def __init__(self):
        super().__init__()
        self.layer = nn.TransformerDecoderLayer(4, 2, 4, batch_first=True)

    def forward(self, x, memory):
        return self.layer(x, memory)


class Fresh(nn.Module):
    """Biases of zeros: alone, of a layer whose bias is kept elsewhere, and beside a scale of zeros; a normalization of as
    many groups as channels, which is written with ones and zeros of their number; a normalization whose scale is computed.
    """

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(2, 4, 3, padding=1)
        self.grow = nn.ConvTranspose2d(4, 6, 2, stride=2, groups=2)
        self.norm = nn.GroupNorm(6, 6)
        self.near, self.last = nn.LayerNorm(6), nn.LayerNorm(6)
        self.shared = nn.Linear(6, 6)
        self.other = nn.Linear(6, 6)
        self.head = nn.Linear(6, 3)
        for layer in [self.conv, self.grow, self.shared, self.other, self.head]:
            nn.init.zeros_(layer.bias)
        nn.init.zeros_(self.norm.weight)

    def forward(self, x):
        x = self.grow(torch.tanh(self.conv(x)))
        x = torch.tanh(x + self.norm(x)).flatten(2).transpose(1, 2)
        x = nn.functional.layer_norm(self.other(x) + self.shared(x), (6,), self.near.weight + 1, self.near.bias).mean(1)
        return self.head(self.last(torch.tanh(self.shared(x))))


class Symmetric(nn.Module):
    def forward(self, weight):
        return weight.triu() + weight.triu(1).transpose(0, 1)


class Parametrized(nn.Module):
    """A weight that is computed anew at each call of its layer, and a copy of the layer."""

    def __init__(self):
        super().__init__()
        self.layer = nn.utils.parametrize.register_parametrization(nn.Linear(4, 4), "weight", Symmetric())
        self.copy = copy.deepcopy(self.layer)
        self.head = nn.Linear(4, 2)

    def forward(self, x):
        for layer in [self.layer, self.layer, self.copy, self.layer, self.copy]:
            x = torch.tanh(layer(x))
        return self.head(x)


def save(model, name):
    for node in model.graph.node:
        kept = [p for p in node.metadata_props if "stack_trace" not in p.key and "class_hierarchy" not in p.key]
        del node.metadata_props[:]
        node.metadata_props.extend(kept)
        node.doc_string = ""
    onnx.checker.check_model(model)
    onnx.save(model, name + ".onnx")


def export(module, inputs, name, torchscript=True, dynamo=True):
    module.eval()
    axes = {f"in{i}": {0: "batch"} for i in range(len(inputs))}
    with contextlib.redirect_stdout(io.StringIO()):
        if torchscript:
            stream = io.BytesIO()
            torch.onnx.export(module, inputs, stream, dynamo=False, input_names=list(axes), dynamic_axes=axes)
            save(onnx.load_from_string(stream.getvalue()), name + "_torchscript")
        if not dynamo:
            return
        batch = torch.export.Dim("batch")
        program = torch.onnx.export(
            module, inputs, dynamo=True, dynamic_shapes=tuple({0: batch} for _ in inputs), verbose=False)
        save(program.model_proto, name + "_dynamo")


def export_unoptimized(module, inputs, name):
    """What dynamo writes with optimize=False: recurrent layers cut the gates out of PyTorch's weights."""
    program = torch.onnx.export(
        module.eval(), inputs, dynamo=True, dynamic_shapes=({0: torch.export.Dim("batch")},), optimize=False,
        verbose=False)
    model = program.model_proto
    for node in model.graph.node:
        kept = [p for p in node.metadata_props if p.key == "pkg.torch.onnx.fx_node"]
        del node.metadata_props[:]
        node.metadata_props.extend(kept)
    save(model, name + "_unoptimized")


def functions():
    """Two calls of a local function that read the same weights, and a subgraph that reads them, too."""
    opsets = [helper.make_opsetid("", 20), helper.make_opsetid("local", 1)]
    body = [
        helper.make_node("Identity", ["scale"], ["same"]),
        helper.make_node("LayerNormalization", ["x", "same", "bias"], ["n"]),
        helper.make_node("MatMul", ["n", "weight"], ["y"]),
    ]
    function = helper.make_function("local", "Block", ["x", "scale", "bias", "weight"], ["y"], body, opsets[:1])
    vector = lambda name: helper.make_tensor_value_info(name, TensorProto.FLOAT, [None, 4])
    then = helper.make_graph([helper.make_node("Mul", ["b", "gain"], ["t"])], "then", [], [vector("t")])
    other = helper.make_graph([helper.make_node("Identity", ["b"], ["e"])], "else", [], [vector("e")])
    nodes = [
        helper.make_node("Block", ["x", "ones", "zeros", "w"], ["a"], name="/first/Block", domain="local"),
        helper.make_node("Block", ["a", "ones", "zeros", "w"], ["b"], name="/second/Block", domain="local"),
        helper.make_node("If", ["flag"], ["c"], name="/branch/If", then_branch=then, else_branch=other),
        helper.make_node("Mul", ["c", "gain"], ["d"], name="/gate/Mul"),
    ]
    random = np.random.default_rng(0)
    tensors = {
        "ones": np.ones(4), "zeros": np.zeros(4), "w": random.normal(size=(4, 4)), "gain": np.full(4, 2.0),
    }
    graph = helper.make_graph(
        nodes, "functions", [vector("x"), helper.make_tensor_value_info("flag", TensorProto.BOOL, [])], [vector("d")],
        [numpy_helper.from_array(value.astype(np.float32), name) for name, value in tensors.items()])
    model = helper.make_model(graph, opset_imports=opsets, functions=[function], ir_version=9)
    save(model, "functions")


def constants():
    """Weights in Constant nodes, one of them half precision, beside numbers that are none."""
    random = np.random.default_rng(1)
    tensors = {
        "dense/kernel": random.normal(size=(4, 3)).astype(np.float16),
        "dense/bias": random.normal(size=3).astype(np.float32),
        "axes": np.array([1], np.int64),
        "half": np.array(0.5, np.float32),
    }
    nodes = [
        helper.make_node("Constant", [], [name], value=numpy_helper.from_array(value, "")) for name, value in tensors.items()
    ] + [
        helper.make_node("Cast", ["dense/kernel"], ["wide"], to=TensorProto.FLOAT),
        helper.make_node("MatMul", ["x", "wide"], ["m"]),
        helper.make_node("Add", ["m", "dense/bias"], ["s"]),
        helper.make_node("Mul", ["s", "half"], ["h"]),
        helper.make_node("ReduceSum", ["h", "axes"], ["y"]),
    ]
    graph = helper.make_graph(
        nodes, "constants", [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["batch", 4])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["batch", 1])])
    save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=9), "constants")


torch.manual_seed(0)
export(Layers(), (torch.randn(2, 3, 4),), "layers")
export(Shared(), (torch.randn(2, 3, 4), torch.randn(2, 4)), "shared")
export(Language(), (torch.randint(0, 7, (2, 3)),), "language")
export(Sequence(), (torch.randint(0, 9, (2, 6)),), "sequence")
export(Image(), (torch.randn(2, 2, 6, 6),), "image")
export(Conventions(), (torch.randn(2, 2, 5, 5),), "conventions", dynamo=False)
export(Recurrent(), (torch.randn(2, 3, 2),), "recurrent")
export_unoptimized(Recurrent(), (torch.randn(2, 3, 2),), "recurrent")
export(Parametrized(), (torch.randn(2, 4),), "parametrized", torchscript=False)
export(Crossed(), (torch.randn(2, 3, 4), torch.randn(2, 3, 4)), "crossed", torchscript=False)
export(Fresh(), (torch.randn(2, 2, 3, 3),), "fresh", torchscript=False)
functions()
constants()
