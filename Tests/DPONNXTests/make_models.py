"""Makes Fixtures/*.onnx with data and oracles: what dponnx computes, computed by PyTorch one sample at a time.

    pip install torch onnx onnxscript transformers
    python make_models.py [NAME ...]

NAME.onnx     the exported model
NAME.data.npz   inputs and labels, samples on the first axis
NAME.oracle.npz   outputs, losses, gradient norms and sums of clipped gradients in float64, by initializer name
"""

import itertools
import pathlib
import sys
import warnings

import numpy
import onnx
import torch
from onnx import numpy_helper
from torch import nn
from torch.nn import functional

folder = pathlib.Path(__file__).parent / "Fixtures"
warnings.filterwarnings("ignore")
samples = 5


class Residual(nn.Module):
    def __init__(self, *layers):
        super().__init__()
        self.layers = nn.Sequential(*layers)

    def forward(self, x):
        return functional.relu(x + self.layers(x))


class ConvNeXtBlock(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.spatial = nn.Conv2d(width, width, 3, padding=1, groups=width)
        self.norm = nn.LayerNorm(width)
        self.expand = nn.Linear(width, 2 * width)
        self.project = nn.Linear(2 * width, width)
        self.scale = nn.Parameter(torch.full((width, 1, 1), 0.5))

    def forward(self, x):
        y = self.norm(self.spatial(x).permute(0, 2, 3, 1))
        y = self.project(functional.gelu(self.expand(y)))
        return x + self.scale * y.permute(0, 3, 1, 2)


class ViT(nn.Module):
    def __init__(self):
        super().__init__()
        self.patches = nn.Conv2d(1, 8, 4, stride=4)
        self.token = nn.Parameter(torch.randn(1, 1, 8))
        self.positions = nn.Parameter(torch.randn(1, 5, 8))
        layer = nn.TransformerEncoderLayer(8, 2, 16, dropout=0, activation="gelu", batch_first=True, norm_first=True)
        self.encoder = nn.TransformerEncoder(layer, 2, enable_nested_tensor=False)
        self.head = nn.Linear(8, 3)

    def forward(self, x):
        x = self.patches(x).flatten(2).transpose(1, 2)
        x = torch.cat([self.token.expand(x.shape[0], -1, -1), x], dim=1) + self.positions
        return self.head(self.encoder(x)[:, 0])


class Windows(nn.Module):
    """Attention inside windows that are cut out of the image, and positions before samples in the middle."""

    def __init__(self):
        super().__init__()
        self.embed = nn.Linear(3, 6)
        self.attention = nn.MultiheadAttention(6, 2, batch_first=True)
        self.head = nn.Linear(6, 3)

    def forward(self, x):
        n = x.shape[0]
        x = self.embed(x.permute(0, 2, 3, 1))
        x = x.reshape(n, 2, 2, 2, 2, 6).permute(0, 1, 3, 2, 4, 5).reshape(n * 4, 4, 6)
        x = self.attention(x, x, x, need_weights=False)[0]
        x = x.reshape(n, 2, 2, 2, 2, 6).permute(0, 1, 3, 2, 4, 5).reshape(n, 16, 6)
        return self.head(x.transpose(0, 1).mean(0))


class SharedHeads(nn.Module):
    """Four query heads on two of keys and values: once with learned positions in the scores, once causal."""

    def __init__(self):
        super().__init__()
        self.queries = nn.ModuleList(nn.Linear(6, 8) for _ in range(2))
        self.keys = nn.ModuleList(nn.Linear(6, 4, bias=False) for _ in range(2))
        self.values = nn.ModuleList(nn.Linear(6, 6) for _ in range(2))
        self.outputs = nn.ModuleList(nn.Linear(12, 6) for _ in range(2))
        self.positions = nn.Parameter(torch.randn(4, 5, 5))
        self.head = nn.Linear(6, 3)

    def forward(self, x):
        for layer in range(2):
            q, k, v = (
                part[layer](x).unflatten(-1, (heads, -1)).transpose(1, 2)
                for part, heads in ((self.queries, 4), (self.keys, 2), (self.values, 2)))
            y = functional.scaled_dot_product_attention(
                q, k, v, attn_mask=None if layer else self.positions, is_causal=layer == 1, enable_gqa=True)
            x = x + self.outputs[layer](y.transpose(1, 2).flatten(2))
        return self.head(x.mean(1))


class Recurrent(nn.Module):
    """A stack of recurrent layers and a head on a weighted mean of what they say."""

    def __init__(self, layers, width):
        super().__init__()
        self.layers = layers
        self.weigh = nn.Linear(width, 1)
        self.head = nn.Linear(width, 3)

    def forward(self, x):
        y = self.layers(x)[0]
        return self.head((torch.softmax(self.weigh(y), 1) * y).sum(1))


class Packed(nn.Module):
    """Sequences of several lengths, which PyTorch sorts, and which start from a state that trains or from zeros."""

    def __init__(self, trains_start=True):
        super().__init__()
        self.start = nn.Parameter(torch.randn(2, 1, 3)) if trains_start else None
        self.layer = nn.GRU(2, 3, batch_first=True, bidirectional=True)
        self.head = nn.Linear(6, 3)

    def forward(self, x, lengths):
        packed = nn.utils.rnn.pack_padded_sequence(x, lengths.cpu(), batch_first=True, enforce_sorted=False)
        start = None if self.start is None else self.start.expand(-1, x.shape[0], -1).contiguous()
        y, h = self.layer(packed, start)
        y = nn.utils.rnn.pad_packed_sequence(y, batch_first=True, total_length=x.shape[1])[0]
        return self.head(y.sum(1) + torch.cat([h[0], h[1]], 1))


class Speaker(nn.Module):
    """A language model whose two layers are one and the same."""

    def __init__(self):
        super().__init__()
        self.embedding = nn.Embedding(7, 4)
        self.layer = nn.LSTM(4, 4, batch_first=True)
        self.head = nn.Linear(4, 7)

    def forward(self, tokens):
        x, state = self.layer(self.embedding(tokens))
        return self.head(self.layer(x, state)[0])


class Steps(nn.Module):
    """A cell that Python steps through time."""

    def __init__(self, cell):
        super().__init__()
        self.cell = cell
        self.head = nn.Linear(4, 3)

    def forward(self, x):
        state = None
        for step in range(x.shape[1]):
            state = self.cell(x[:, step], state)
        return self.head(state[0] if isinstance(state, tuple) else state)


class Loop(nn.Module):
    """Exported as a loop with a branch in it, which collects every other state in a list."""

    is_scripted = True

    def __init__(self):
        super().__init__()
        self.cell = nn.Linear(5, 3)
        self.head = nn.Linear(3, 3)

    def forward(self, x):
        h = torch.zeros(x.size(0), 3, dtype=x.dtype)
        states = []
        for step in range(x.size(1)):
            h = torch.tanh(self.cell(torch.cat([x[:, step], h], 1)))
            if step % 2 == 0:
                states.append(h)
        return self.head(torch.stack(states, 1).sum(1))


class Scan(nn.Module):
    """A recurrence that is exported as a scan."""

    def __init__(self):
        super().__init__()
        self.input = nn.Linear(2, 3)
        self.state = nn.Linear(3, 3)
        self.head = nn.Linear(3, 3)

    def forward(self, x):
        from torch._higher_order_ops.scan import scan

        def step(h, x):
            h = torch.tanh(self.input(x) + self.state(h))
            return h, h.clone()

        h, states = scan(step, torch.zeros(x.shape[0], 3, dtype=x.dtype), x, dim=1)
        return self.head(states.sum(1) + h)


class Autoencoder(nn.Module):
    """Down by strides and up again by transposed convolutions and interpolation, with a class for every pixel."""

    def __init__(self):
        super().__init__()
        self.down = nn.Conv2d(2, 4, 3, stride=2, padding=1)
        self.up = nn.ConvTranspose2d(4, 4, 3, stride=2, padding=1, output_padding=1, groups=2)
        self.wide = nn.ConvTranspose2d(4, 3, 2, dilation=2, bias=False)
        self.head = nn.Conv2d(7, 3, 1)

    def forward(self, x):
        low = torch.tanh(self.down(x))
        fine = functional.interpolate(self.up(low), scale_factor=0.5, mode="bilinear", align_corners=False)
        coarse = functional.interpolate(self.wide(low), size=(3, 3), mode="bicubic", align_corners=True)
        pixels = torch.cat([functional.interpolate(coarse, size=fine.shape[2:], mode="nearest"), fine], 1)
        return self.head(pixels).flatten(2).transpose(1, 2)


class SpatialTransformer(nn.Module):
    """An image that is read along a grid of its own (Jaderberg et al. 2015)."""

    def __init__(self):
        super().__init__()
        self.locate = nn.Linear(32, 6)
        self.features = nn.Conv2d(2, 3, 3)
        self.head = nn.Linear(3, 3)

    def forward(self, x):
        theta = torch.tanh(self.locate(x.flatten(1))).reshape(-1, 2, 3)
        grid = functional.affine_grid(theta, list(x.shape), align_corners=False)
        x = functional.grid_sample(x, grid, mode="bilinear", padding_mode="border", align_corners=False)
        return self.head(torch.relu(self.features(x)).mean((2, 3)))


class Tables(nn.Module):
    """Contractions of several operands, and trained tables that are read on other axes than the first."""

    def __init__(self):
        super().__init__()
        self.mix = nn.Parameter(torch.randn(3, 2, 4))
        self.columns = nn.Parameter(torch.randn(4, 6))
        self.pairs = nn.Parameter(torch.randn(5, 6, 2))
        self.head = nn.Linear(6, 3)

    def forward(self, x, tokens):
        y = torch.einsum("bti,ijk->btjk", x, self.mix)
        y = torch.einsum("btjk,bsk->bj", y, torch.index_select(self.columns, 1, tokens.flatten()).t().unflatten(
            0, tokens.shape))
        z = self.pairs[tokens[:, 1:] % 5, tokens[:, :-1]]
        return self.head(torch.cat([y, z.flatten(1)], 1))


class Tied(nn.Module):
    """A language model whose head is its embedding; per-token targets."""

    def __init__(self):
        super().__init__()
        self.embedding = nn.Embedding(11, 6)
        self.middle = nn.Linear(6, 6)
        self.head = nn.Linear(6, 11, bias=False)
        self.head.weight = self.embedding.weight

    def forward(self, tokens):
        return self.head(torch.tanh(self.middle(self.embedding(tokens))))


class Picked(nn.Module):
    """One position of each sample, chosen by its own tokens."""

    def __init__(self):
        super().__init__()
        self.embedding = nn.Embedding(11, 6)
        self.norm = nn.LayerNorm(6)
        self.head = nn.Linear(6, 3)

    def forward(self, tokens):
        x = self.norm(self.embedding(tokens))
        return self.head(x[torch.arange(x.shape[0]), tokens.argmax(-1)])


class Repeated(nn.Module):
    """Parameters that are computed with before and after they are repeated for every sample: queries, relative positions
    once per sample and head, the first state of a recurrence."""

    def __init__(self):
        super().__init__()
        self.queries = nn.Parameter(torch.randn(3, 6))
        self.attention = nn.MultiheadAttention(6, 2, batch_first=True)
        self.positions = nn.Embedding(4, 6)
        self.project = nn.Linear(6, 6)
        self.cell = nn.Linear(6, 6)
        self.head = nn.Linear(6, 3)

    def forward(self, x):
        n, t, _ = x.shape
        queries = self.queries.unsqueeze(0).expand(n, -1, -1)
        y = self.attention(queries, x, x, need_weights=False)[0].mean(1)
        keys = self.project(self.positions.weight).view(t, 2, 3).transpose(0, 1).repeat(n, 1, 1)
        scores = x.view(n, t, 2, 3).transpose(1, 2).reshape(n * 2, t, 3) @ keys.transpose(1, 2)
        y = y + (scores.softmax(-1) @ keys).view(n, 2, t, 3).transpose(1, 2).reshape(n, t, 6).mean(1)
        state = torch.zeros(n, 6, dtype=x.dtype)
        for step in range(2):
            state = torch.tanh(self.cell(state) + x[:, step])
        return self.head(y + state)


class Masked(nn.Module):
    """Attention of which some rows see nothing at all."""

    def __init__(self):
        super().__init__()
        self.project = nn.Linear(6, 6)
        self.head = nn.Linear(6, 3)

    def forward(self, x, mask):
        q = self.project(x).unsqueeze(1)
        own = torch.eye(4, dtype=torch.bool)
        allowed = (mask != 0)[:, None, None, :] & own
        return self.head(functional.scaled_dot_product_attention(q, q, q, attn_mask=allowed).squeeze(1).mean(1))


class Turned(nn.Module):
    """A kernel that is copied, mirrored and turned before it is convolved."""

    def __init__(self):
        super().__init__()
        self.kernel = nn.Parameter(torch.randn(2, 3, 3, 3) * 0.3)
        self.head = nn.Linear(2, 3)

    def forward(self, x):
        kernels = torch.cat([torch.rot90(self.kernel, turns, (2, 3)) for turns in range(4)])
        y = functional.relu(functional.conv2d(x, kernels))
        return self.head(y.unflatten(1, (4, 2)).amax(1).mean((2, 3)))


class Grid(nn.Module):
    """Positions on a grid as large as the batch, relative positions repeated for every sample, and a token of its own for
    each sample."""

    def __init__(self):
        super().__init__()
        self.rows, self.columns = (nn.Parameter(torch.randn(3, 2)) for _ in range(2))
        self.token = nn.Parameter(torch.randn(1, 1, 4))
        self.weigh = nn.Linear(2, 1)
        self.register_buffer("offsets", torch.randn(1, 10, 10, 2))
        self.head = nn.Linear(4, 3)

    def forward(self, x):
        samples = x.shape[0]
        rows, columns = self.rows.unsqueeze(1).repeat(1, 3, 1), self.columns.unsqueeze(0).repeat(3, 1, 1)
        x = x + torch.cat([columns, rows], -1).flatten(0, 1)
        x = torch.cat([self.token.expand(samples, -1, -1), x], 1)
        own = torch.softmax(x @ x.transpose(1, 2), -1)
        near = torch.softmax(self.weigh(self.offsets.expand(samples, -1, -1, -1)).squeeze(-1), -1)
        return self.head((own + near) @ x).mean(1)


class Bags(nn.Module):
    """Bags of embeddings, which exporters write as loops over the samples of a batch."""

    def __init__(self):
        super().__init__()
        self.mean = nn.EmbeddingBag(7, 4, mode="mean")
        self.sum = nn.EmbeddingBag(6, 4, mode="sum")
        self.max = nn.EmbeddingBag(5, 2, mode="max")
        self.head = nn.Linear(10, 3)

    def forward(self, a, b, weights):
        bags = self.mean(a), self.sum(b, per_sample_weights=weights), self.max(b.clamp(max=4))
        return self.head(torch.tanh(torch.cat(bags, 1)))


class Spelled(nn.Module):
    """Normalisations, activations and a softmax that are written out, by hand or by an exporter of an old opset."""

    def __init__(self):
        super().__init__()
        self.first, self.second, self.third = nn.Linear(6, 8), nn.Linear(8, 8), nn.Linear(8, 8)
        self.norm = nn.LayerNorm(8)
        self.scale = nn.Parameter(torch.rand(8) + 0.5)
        self.head = nn.Linear(8, 3)

    def forward(self, x):
        x = self.norm(functional.gelu(self.first(x)))
        x = x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + 1e-6) * self.scale
        x = self.second(x)
        x = 0.5 * x * (1 + torch.tanh(0.7978845608 * (x + 0.044715 * x**3)))
        x = functional.mish(self.third(x)) + functional.silu(x)
        weights = torch.exp(x - x.amax(-1, keepdim=True))
        weights = weights / weights.sum(-1, keepdim=True)
        return self.head(torch.log(weights.clamp(min=1e-8)))


class Padded(nn.Module):
    """Tables with a row that PyTorch does not train; one of them is a head as well, which trains it."""

    def __init__(self):
        super().__init__()
        self.tokens = nn.Embedding(7, 4, padding_idx=2)
        self.places = nn.Embedding(6, 4, padding_idx=0)
        self.kinds = nn.Embedding(3, 4)
        self.steps = nn.Embedding(9, 4, padding_idx=1)

    def forward(self, tokens):
        x = self.tokens(tokens) + self.places(tokens % 6) + self.kinds(tokens % 3)
        x = x + self.steps(torch.arange(tokens.shape[1]))
        return torch.tanh(x).mean(1) @ self.tokens.weight.T


class GatedBags(nn.Module):
    """Two bags whose equal index tables are folded from constants: with a fixed batch they are one initializer."""

    def __init__(self):
        super().__init__()
        self.value = nn.EmbeddingBag(7, 4, mode="sum")
        self.gate = nn.EmbeddingBag(7, 4, mode="sum")
        self.head = nn.Linear(4, 3)

    def forward(self, x):
        return self.head(self.value(x) * self.gate(x))


class Fresh(nn.Module):
    """Biases, and a scale, that start from zero: the exporter leaves biases out of some nodes and merges the others."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(2, 4, 3, padding=1, groups=2)
        self.norm = nn.GroupNorm(2, 4)
        self.grow = nn.ConvTranspose2d(4, 4, 2, stride=2, groups=2)
        self.shared = nn.Linear(4, 4)
        self.mix = nn.Parameter(0.5 * torch.randn(4, 4))
        self.shift = nn.Parameter(torch.zeros(4))
        self.head = nn.Linear(4, 3)
        for tensor in [self.conv.bias, self.norm.weight, self.grow.bias, self.shared.bias, self.head.bias]:
            nn.init.zeros_(tensor)

    def forward(self, x):
        x = torch.tanh(self.conv(x))
        x = torch.tanh(self.grow(x + self.norm(x)))
        x = torch.tanh(self.shared(x.flatten(2).transpose(1, 2))).mean(1)
        x = torch.tanh(torch.addmm(self.shift, torch.tanh(self.shared(x)), self.mix))
        return self.head(x)


class Reused(nn.Module):
    """Layers that are called twice, with tensors larger than those that the exporter merges when they are equal."""

    def __init__(self):
        super().__init__()
        self.up, self.down = nn.Linear(18, 64), nn.Linear(64, 18)
        self.recurrent = nn.LSTM(18, 18, batch_first=True)
        self.head = nn.Linear(18, 3)

    def forward(self, x):
        for _ in range(2):
            x = x + self.down(torch.tanh(self.up(x)))
            x = self.recurrent(x)[0]
        return self.head(x.mean(1))


class Branches(nn.Module):
    """Fresh tokens and fresh normalizations of one input, whose calls the exporter merges."""

    class Layer(nn.Module):
        def __init__(self):
            super().__init__()
            self.first_norm, self.second_norm = nn.LayerNorm(6), nn.LayerNorm(6)
            self.first, self.second = nn.Linear(6, 6), nn.Linear(6, 6)

        def forward(self, x):
            return x + torch.tanh(self.first(self.first_norm(x))) * torch.sigmoid(self.second(self.second_norm(x)))

    def __init__(self):
        super().__init__()
        self.first, self.second = (nn.Parameter(torch.zeros(1, 1, 6)) for _ in range(2))
        self.layers = nn.Sequential(Branches.Layer(), Branches.Layer())
        self.head = nn.Linear(6, 3)

    def forward(self, x):
        tokens = [token.expand(x.shape[0], -1, -1) for token in (self.first, self.second)]
        x = self.layers(torch.cat([tokens[0], x, tokens[1]], 1))
        return self.head(torch.tanh(x[:, 0]) + x[:, 1:].mean(1) * x[:, -1])


class Towers(nn.Module):
    """Two inputs that go through one network as one batch, and whose results are written into zeros; a weight that is
    read as it is and transposed."""

    def __init__(self):
        super().__init__()
        self.tower = nn.Sequential(nn.Linear(5, 6), nn.ReLU(), nn.Linear(6, 4))
        self.mix = nn.Parameter(torch.randn(4, 3))
        self.head = nn.Linear(8, 3)

    def forward(self, a, b):
        both = self.tower(torch.cat([a, b]))
        left, right = both[:a.shape[0]], both[a.shape[0]:]
        joined = both.new_zeros(a.shape[0], 8)
        joined[:, [0, 2, 4, 6]] = torch.tanh(left @ self.mix) @ self.mix.t()
        joined[:, 1::2] = right
        return self.head(joined)


def bert():
    from transformers import BertConfig, BertForSequenceClassification

    config = BertConfig(
        vocab_size=20, hidden_size=8, num_hidden_layers=2, num_attention_heads=2, intermediate_size=12,
        max_position_embeddings=8, hidden_dropout_prob=0, attention_probs_dropout_prob=0, num_labels=3,
        attn_implementation="sdpa", return_dict=False,
    )

    class Logits(nn.Module):
        def __init__(self):
            super().__init__()
            self.model = BertForSequenceClassification(config)

        def forward(self, input_ids, attention_mask):
            return self.model(input_ids=input_ids, attention_mask=attention_mask)[0]

    return Logits()


def image(channels, side):
    return {"x": torch.randn(samples, channels, side, side)}


def tokens(vocabulary, length):
    return torch.randint(0, vocabulary, (samples, length))


def masked():
    mask = torch.ones(samples, 4, dtype=torch.int64)
    mask[1, 2:] = 0
    return {"x": torch.randn(samples, 4, 6), "mask": mask}


def text():
    mask = torch.ones(samples, 6, dtype=torch.int64)
    mask[1, 4:] = 0
    mask[3, 2:] = 0
    # Token 0 is BERT's padding, whose row PyTorch does not train; ONNX files know no such row.
    return {"input_ids": 1 + tokens(19, 6), "attention_mask": mask}


dropped = {"pkg.torch.onnx.stack_trace", "pkg.torch.onnx.fx_node", "pkg.torch.onnx.class_hierarchy"}

# Build, data, opset: exported by TorchScript up to 17, by dynamo above (None: its own choice). Then the size of a batch that
# the model fixes, whether the exporter leaves the graph as it is, whether each node keeps the call it was made of, and
# whether tensors stay as they were initialised.
models = {
    "mlp": (lambda: nn.Sequential(nn.Linear(6, 8), nn.GELU(), nn.Linear(8, 8), nn.SiLU(), nn.Linear(8, 3)),
            lambda: {"x": torch.randn(samples, 6)}, 17),
    "lenet": (lambda: nn.Sequential(
        nn.Conv2d(1, 4, 3, padding=1), nn.Tanh(), nn.AvgPool2d(2), nn.Conv2d(4, 6, 3), nn.ReLU(), nn.MaxPool2d(2),
        nn.Flatten(), nn.Linear(6, 3)), lambda: image(1, 8), None),
    "resnet_group": (lambda: nn.Sequential(
        nn.Conv2d(3, 4, 3, padding=1), nn.GroupNorm(2, 4), nn.ReLU(),
        Residual(nn.Conv2d(4, 4, 3, padding=1), nn.GroupNorm(2, 4), nn.ReLU(), nn.Conv2d(4, 4, 3, padding=1),
                 nn.GroupNorm(2, 4)), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 3)),
        lambda: image(3, 6), 13),
    "resnet_batch": (lambda: nn.Sequential(
        nn.BatchNorm2d(3), nn.Conv2d(3, 4, 3, padding=1), nn.ReLU(), nn.BatchNorm2d(4),
        Residual(nn.Conv2d(4, 4, 3, padding=1), nn.ReLU(), nn.BatchNorm2d(4)), nn.AdaptiveAvgPool2d(1),
        nn.Flatten(), nn.Linear(4, 3)), lambda: image(3, 6), None),
    "mobilenet": (lambda: nn.Sequential(
        nn.Conv2d(3, 8, 1), nn.Hardswish(), nn.Conv2d(8, 8, 3, stride=2, padding=1, groups=8), nn.GroupNorm(4, 8),
        nn.ReLU6(), nn.Conv2d(8, 4, 1), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 3)),
        lambda: image(3, 6), 11),
    "convnext": (lambda: nn.Sequential(
        nn.Conv2d(3, 6, 2, stride=2), ConvNeXtBlock(6), ConvNeXtBlock(6), nn.AdaptiveAvgPool2d(1), nn.Flatten(),
        nn.Linear(6, 3)), lambda: image(3, 6), None),
    "vit": (ViT, lambda: image(1, 8), None),
    "vit_torchscript": (ViT, lambda: image(1, 8), 17),
    "bert": (bert, text, None),
    "bert_torchscript": (bert, text, 17),
    "windows": (Windows, lambda: image(3, 4), None),
    "shared_heads": (SharedHeads, lambda: {"x": torch.randn(samples, 5, 6)}, 23),
    "lstm": (lambda: Recurrent(nn.LSTM(3, 4, num_layers=2, bidirectional=True, batch_first=True), 8),
             lambda: {"x": torch.randn(samples, 5, 3)}, None),
    "lstm_torchscript": (lambda: Recurrent(nn.LSTM(3, 4, num_layers=2, bidirectional=True, batch_first=True), 8),
                         lambda: {"x": torch.randn(samples, 5, 3)}, 17),
    "lstm_cell": (lambda: Steps(nn.LSTMCell(3, 4)), lambda: {"x": torch.randn(samples, 3, 3)}, None),
    "gru": (lambda: Recurrent(nn.GRU(3, 4, batch_first=True), 4), lambda: {"x": torch.randn(samples, 5, 3)}, None),
    "gru_packed": (Packed, lambda: {"x": torch.randn(samples, 4, 2), "lengths": torch.tensor([4, 2, 1, 4, 3])}, 14),
    "rnn": (lambda: Recurrent(nn.RNN(3, 4, nonlinearity="relu", batch_first=True), 4),
            lambda: {"x": torch.randn(samples, 4, 3)}, None),
    "rnn_torchscript": (lambda: Recurrent(nn.RNN(3, 4, num_layers=2, batch_first=True), 4),
                        lambda: {"x": torch.randn(samples, 4, 3)}, 11),
    "speaker": (Speaker, lambda: {"tokens": tokens(7, 5)}, 17),
    "loop": (Loop, lambda: {"x": torch.randn(samples, 4, 2)}, 17),
    "scan": (Scan, lambda: {"x": torch.randn(samples, 4, 2)}, None),
    "autoencoder": (Autoencoder, lambda: image(2, 6), None),
    "autoencoder_torchscript": (Autoencoder, lambda: image(2, 6), 13),
    "spatial_transformer": (SpatialTransformer, lambda: image(2, 4), 20),
    "tables": (Tables, lambda: {"x": torch.randn(samples, 2, 3), "tokens": tokens(6, 3)}, None),
    "tables_torchscript": (Tables, lambda: {"x": torch.randn(samples, 2, 3), "tokens": tokens(6, 3)}, 17),
    "tied": (Tied, lambda: {"tokens": tokens(11, 4)}, 17),
    "spelled_torchscript": (Spelled, lambda: {"x": torch.randn(samples, 6)}, 13),
    "padded": (Padded, lambda: {"tokens": tokens(7, 6)}, None, None, True, True),
    "padded_torchscript": (Padded, lambda: {"tokens": tokens(7, 6)}, 17),
    "picked": (Picked, lambda: {"tokens": tokens(11, 5)}, None),
    "picked_torchscript": (Picked, lambda: {"tokens": tokens(11, 5)}, 17),
    "repeated_torchscript": (Repeated, lambda: {"x": torch.randn(samples, 4, 6)}, 17),
    "masked_torchscript": (Masked, masked, 17),
    "towers": (Towers, lambda: {"a": torch.randn(samples, 5), "b": torch.randn(samples, 5)}, None),
    "bags": (Bags, lambda: {"a": tokens(7, 4), "b": tokens(6, 3), "weights": torch.rand(samples, 3)}, None),
    "bags_fixed": (Bags, lambda: {"a": tokens(7, 4), "b": tokens(6, 3), "weights": torch.rand(samples, 3)}, 20, 3),
    "bags_torchscript": (
        Bags, lambda: {"a": tokens(7, 4), "b": tokens(6, 3), "weights": torch.rand(samples, 3)}, 13),
    "gated_bags_fixed": (GatedBags, lambda: {"x": tokens(7, 4)}, None, 3, False, True),
    "fresh": (Fresh, lambda: image(2, 3), None, None, False, True, True),
    "branches": (Branches, lambda: {"x": torch.randn(samples, 3, 6)}, None, None, False, True, True),
    "reused": (Reused, lambda: {"x": torch.randn(samples, 3, 18)}, None),
    "turned": (Turned, lambda: image(3, 5), 20, None, True, True),
    "grid_fixed": (Grid, lambda: {"x": torch.randn(samples, 9, 4)}, 20, 3, True, True),
    "gru_packed_fixed": (lambda: Packed(trains_start=False), lambda: {
        "x": torch.randn(samples, 4, 2), "lengths": torch.tensor([4, 2, 1, 4, 3])}, 14, 3),
    "towers_torchscript": (Towers, lambda: {"a": torch.randn(samples, 5), "b": torch.randn(samples, 5)}, 17),
}


def all_nodes(lists):
    """The nodes of graphs and of the graphs nested in them."""
    for node in itertools.chain.from_iterable(lists):
        yield node
        yield from all_nodes([attribute.g.node for attribute in node.attribute if attribute.HasField("g")])


def export(model, inputs, opset, path, fixed, is_raw, keeps_calls):
    names = list(inputs)
    arguments = tuple(value[:fixed] for value in inputs.values())
    if opset is None or opset >= 18:
        batch = torch.export.Dim("batch", min=2)
        program = torch.onnx.export(
            model, arguments, input_names=names, output_names=["logits"], dynamo=True, opset_version=opset,
            dynamic_shapes=None if fixed else tuple({0: batch} for _ in names), optimize=not is_raw, verbose=False)
        proto = program.model_proto
        # Stack traces name files of the exporting machine, and the traced program is of no use here.
        for node in all_nodes([proto.graph.node] + [function.node for function in proto.functions]):
            kept = [entry for entry in node.metadata_props
                    if keeps_calls and "fx_node" in entry.key or entry.key not in dropped]
            del node.metadata_props[:]
            node.metadata_props.extend(kept)
        onnx.save(proto, path)
    else:
        if getattr(model, "is_scripted", False):
            model = torch.jit.script(model)
        torch.onnx.export(
            model, arguments, str(path), input_names=names, output_names=["logits"], dynamo=False,
            opset_version=opset,
            dynamic_axes=None if fixed else {name: {0: "batch"} for name in names + ["logits"]})


def loss(logits, labels):
    losses = functional.cross_entropy(logits.flatten(0, -2), labels.flatten(), reduction="sum")
    return losses / max(int((labels != -100).sum()), 1)


def initializer(graph, value):
    """The name of the one initializer that holds a parameter, and whether it holds it transposed."""
    for tensor in graph.initializer:
        array = numpy_helper.to_array(tensor)
        if array.dtype == numpy.float32 and array.size == value.size:
            if array.squeeze().shape == value.squeeze().shape and numpy.array_equal(array.ravel(), value.ravel()):
                return tensor.name, False
            if array.ndim == 2 and array.shape == value.T.shape and numpy.array_equal(array, value.T):
                return tensor.name, True
    return None, False


def rearranged(graph, known, parameters):
    """Initializers that are made of the elements of other parameters, as recurrent weights are: for each element its
    parameter and its place there."""
    places = {}
    for key, tensor in parameters.items():
        for place, value in enumerate(tensor.detach().numpy().ravel()):
            places[value.tobytes()] = (key, place)
    result = {}
    for tensor in graph.initializer:
        array = numpy_helper.to_array(tensor)
        # A transposed copy is tied to the parameter itself.
        is_copy = any(numpy.array_equal(array, value.detach().numpy().T) for value in parameters.values())
        if array.dtype == numpy.float32 and array.size > 1 and tensor.name not in known and not is_copy:
            found = [places.get(value.tobytes()) for value in array.ravel()]
            if all(found) and (array.shape, found) not in result.values():
                result[tensor.name] = (array.shape, found)
    return result


def make(name, build, data, opset, fixed=None, is_raw=False, keeps_calls=False, is_fresh=False):
    torch.manual_seed(sum(name.encode()))
    model = build().eval()
    for key, tensor in list(model.named_parameters()) + list(model.named_buffers()):
        if tensor.is_floating_point() and not is_fresh:  # equal tensors would be merged by the exporters
            tensor.data += 0.2 * torch.rand_like(tensor)
    for module in model.modules():
        if getattr(module, "padding_idx", None) is not None and not keeps_calls:  # as it starts; a call names the row
            module.weight.data[module.padding_idx] = 0
    inputs = data()
    path = folder / f"{name}.onnx"
    export(model, inputs, opset, path, fixed, is_raw, keeps_calls)
    with torch.no_grad():
        shape = model(*inputs.values()).shape
    labels = torch.randint(0, shape[-1], shape[:-1])
    if labels.ndim == 2:
        labels[0, 0] = -100
        labels[2, :] = -100

    graph = onnx.load(path).graph
    names = {key: initializer(graph, tensor.detach().numpy()) for key, tensor in model.named_parameters()}
    if is_fresh:  # values do not tell equal tensors apart; dponnx has those that were not folded under their own names
        for key, tensor in model.named_parameters():
            if tensor.min() == tensor.max():
                owner = model.get_submodule(key.rpartition(".")[0])
                names[key] = (None if isinstance(owner, nn.GroupNorm) else key, False)
    joined = {} if is_fresh else rearranged(
        graph, [known_as for known_as, _ in names.values()], dict(model.named_parameters()))
    model = model.double()
    parameters = dict(model.named_parameters())
    outputs, losses, gradients = [], [], []
    for row in range(samples):
        own = [value[row:row + 1].double() if value.is_floating_point() else value[row:row + 1]
               for value in inputs.values()]
        logits = model(*own)
        value = loss(logits, labels[row:row + 1])
        gradients.append(torch.autograd.grad(value, list(parameters.values()), allow_unused=True))
        outputs.append(logits.detach())
        losses.append(value.item())
    norms = [float(sum((g**2).sum() for g in row if g is not None)) ** 0.5 for row in gradients]
    bound = float(numpy.median(norms))
    factors = [min(1, bound / norm) if norm else 1 for norm in norms]
    oracle = {"output": torch.cat(outputs).numpy(), "loss": losses, "norms": norms, "clip_norm": [bound]}
    sums = {}
    for index, key in enumerate(parameters):
        total = sum((factor * row[index] for factor, row in zip(factors, gradients) if row[index] is not None),
                    torch.zeros_like(parameters[key]))
        sums[key] = total.numpy().ravel()
        known_as, transposed = names[key]
        if known_as is None and any(key == own for _, found in joined.values() for own, _ in found):
            continue
        if known_as is None:  # folded into something else by the exporter
            print("  not in the file:", key)
            continue
        oracle[f"sum/{known_as}"] = (total.T if transposed else total).numpy()
    for known_as, (shape, found) in joined.items():
        oracle[f"sum/{known_as}"] = numpy.reshape([sums[key][place] for key, place in found], shape)
    numpy.savez_compressed(folder / f"{name}.oracle.npz", **oracle)
    numpy.savez_compressed(
        folder / f"{name}.data.npz", labels=labels.numpy(), **{key: value.numpy() for key, value in inputs.items()})
    print(name, path.stat().st_size)


folder.mkdir(exist_ok=True)
for name in sys.argv[1:] or models:
    make(name, *models[name])
