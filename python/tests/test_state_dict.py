"""Weights under PyTorch's names, whatever the exporter made of them."""

import copy

import pytest
import torch
from torch import nn

import dponnx

ONE_STEP = dict(noise_multiplier=0, delta=1e-5, sampler="full", steps=1, learning_rate=0.5, clip_norm=1e6)


class Recurrent(nn.Module):
    def __init__(self, kind, **options):
        super().__init__()
        self.layers = kind(5, 4, num_layers=2, batch_first=True, bidirectional=True, **options)
        self.head = nn.Linear(2 * options.get("proj_size", 4), 3)

    def forward(self, x):
        return self.head(self.layers(x)[0][:, -1])


class Attentive(nn.Module):
    def __init__(self):
        super().__init__()
        self.attention = nn.MultiheadAttention(8, 2, batch_first=True)
        self.head = nn.Linear(8, 3)

    def forward(self, x):
        return self.head(self.attention(x, x, x)[0].mean(1))


class Weighted(nn.Module):
    def __init__(self):
        super().__init__()
        self.norm = nn.utils.parametrizations.weight_norm(nn.Linear(5, 8))
        self.spare = nn.Linear(2, 2)
        self.head = nn.Linear(8, 3)
        self.register_buffer("calls", torch.tensor(0))

    def forward(self, x):
        return self.head(self.norm(x).relu().mean(1))


class Normalized(nn.Module):
    def __init__(self):
        super().__init__()
        self.body = nn.Sequential(nn.Conv1d(6, 4, 3), nn.BatchNorm1d(4))
        self.head = nn.Linear(4, 3)

    def forward(self, x):
        return self.head(self.body(x).relu().mean(2))


MODULES = {
    "lstm": (lambda: Recurrent(nn.LSTM), (7, 6, 5)),
    "gru": (lambda: Recurrent(nn.GRU), (7, 6, 5)),
    "rnn": (lambda: Recurrent(nn.RNN), (7, 6, 5)),
    "attention": (Attentive, (7, 6, 8)),
    "encoder": (
        lambda: nn.Sequential(
            nn.TransformerEncoder(nn.TransformerEncoderLayer(8, 2, 16, batch_first=True), 2, enable_nested_tensor=False),
            nn.Flatten(), nn.Linear(48, 3),
        ), (7, 6, 8),
    ),
    "parametrized": (Weighted, (7, 6, 5)),
}  # fmt: skip


def exported(module, x, path, dynamo, **options):
    dynamic = dict(dynamic_shapes=({0: torch.export.Dim("batch")},)) if dynamo else dict(dynamic_axes={"x": {0: "batch"}})
    torch.onnx.export(module.eval(), (x,), str(path), input_names=["x"], dynamo=dynamo, verbose=False, **dynamic, **options)


def stepped(module, x, labels):
    """The module after one step of gradient descent on the mean loss."""
    copied = copy.deepcopy(module)
    nn.functional.cross_entropy(copied(x), labels).backward()
    with torch.no_grad():
        for parameter in copied.parameters():
            if parameter.grad is not None:
                parameter -= 0.5 * parameter.grad
    return copied


# The TorchScript exporter as it is called by default, which folds; it keeps parametrized layers apart only without.
@pytest.mark.parametrize("name, dynamo, options", [
    *[(name, False, {}) for name in MODULES if name != "parametrized"],
    *[(name, False, dict(do_constant_folding=False, training=torch.onnx.TrainingMode.PRESERVE)) for name in MODULES],
    *[(name, True, dict(optimize=False)) for name in MODULES],
])  # fmt: skip
def test_weights_are_those_of_pytorch(tmp_path, name, dynamo, options):
    make, shape = MODULES[name]
    module = make()
    x, labels = torch.randn(shape), torch.randint(0, 3, shape[:1])
    exported(module, x, tmp_path / "model.onnx", dynamo, **options)
    trainer = dponnx.PrivateTrainer(tmp_path / "model.onnx", rows=len(x), **ONE_STEP)
    trainer.draw()
    trainer.accumulate((x, labels))
    trainer.finish_step()
    state = trainer.state_dict(module.state_dict())
    assert list(state) == list(module.state_dict())
    for key, wanted in stepped(module, x, labels).state_dict().items():
        assert state[key].dtype == wanted.dtype
        assert torch.allclose(state[key], wanted, atol=1e-5), key
    module.load_state_dict(state, strict=True)


def test_a_tied_head_stays_tied(tmp_path):
    transformers = pytest.importorskip("transformers")
    config = transformers.GPT2Config(vocab_size=30, n_embd=8, n_layer=1, n_head=2, n_positions=16, use_cache=False)
    module = transformers.GPT2LMHeadModel(config).eval()
    tokens = torch.randint(1, 30, (4, 6))

    class Logits(nn.Module):
        def __init__(self):
            super().__init__()
            self.model = module

        def forward(self, x):
            return self.model(x).logits

    exported(Logits(), tokens, tmp_path / "model.onnx", True, optimize=False)
    trainer = dponnx.PrivateTrainer(tmp_path / "model.onnx", rows=4, **ONE_STEP)
    trainer.draw()
    trainer.accumulate((tokens, tokens))
    trainer.finish_step()
    state = trainer.state_dict(module.state_dict())
    wanted = copy.deepcopy(module)
    losses = nn.functional.cross_entropy(wanted(tokens).logits.transpose(1, 2), tokens)
    losses.backward()
    with torch.no_grad():
        for parameter in wanted.parameters():
            parameter -= 0.5 * parameter.grad
    assert state["lm_head.weight"].data_ptr() == state["transformer.wte.weight"].data_ptr()
    for key, value in wanted.state_dict().items():
        assert torch.allclose(state[key], value, atol=1e-5), key


@pytest.mark.parametrize("dynamo", [False, True])
def test_what_was_folded_is_told(tmp_path, dynamo):
    module = Normalized().eval()
    with torch.no_grad():
        module.body[1].running_mean.uniform_()
        module.body[1].weight.uniform_(0.5, 2)
    x, labels = torch.randn(5, 6, 7), torch.randint(0, 3, (5,))
    exported(module, x, tmp_path / "model.onnx", dynamo)
    trainer = dponnx.PrivateTrainer(tmp_path / "model.onnx", rows=5, **ONE_STEP)
    trainer.draw()
    trainer.accumulate((x, labels))
    trainer.finish_step()
    with pytest.raises(dponnx.DponnxError, match=r"'body\.0\.weight' is batch normalization 'body\.1' is folded") as error:
        trainer.state_dict(module.state_dict())
    assert "export with" in str(error.value) and error.value.code == 1
    partial = trainer.state_dict(module.state_dict(), partial=True)
    assert torch.equal(partial["body.0.weight"], module.body[0].weight)
    assert not torch.equal(partial["head.weight"], module.head.weight)
    with pytest.raises(dponnx.DponnxError, match="no tensor of the reference"):
        trainer.state_dict({key: torch.randn_like(value) for key, value in Normalized().state_dict().items()
                            if value.is_floating_point()})  # fmt: skip


@pytest.mark.parametrize("kind", [nn.LSTM, nn.GRU])
@pytest.mark.parametrize("exporter", ["dynamo", "torchscript"])
def test_recurrent_layers_fine_tune(tmp_path, kind, exporter):
    module = Recurrent(kind)
    x, labels = torch.randn(7, 6, 5), torch.randint(0, 3, (7,))
    wanted = stepped(module, x, labels)
    dponnx.fine_tune(
        module, x[:2], (x, labels), exporter=exporter, progress=False, dataset_size=7, output=tmp_path / "private.onnx",
        **ONE_STEP,
    )  # fmt: skip
    for key, value in wanted.state_dict().items():
        assert torch.allclose(module.state_dict()[key], value, atol=1e-5), key


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_types_are_the_modules_own(tmp_path, classifier, dtype):
    state = {name: value.to(dtype) for name, value in classifier.state_dict().items()}
    classifier.load_state_dict(state)
    exported(classifier, torch.randn(2, 6), tmp_path / "model.onnx", True, optimize=False)
    trainer = dponnx.PrivateTrainer(tmp_path / "model.onnx", rows=4, **ONE_STEP)
    assert all(torch.equal(value, state[name]) for name, value in trainer.state_dict(state).items())
    trainer.draw()
    trainer.accumulate((torch.randn(4, 6), torch.tensor([0, 1, 2, 0])))
    trainer.finish_step()
    trained = trainer.state_dict(state)
    for name, value in trainer.weights().items():
        assert trained[name].dtype == dtype
        assert torch.equal(trained[name], torch.from_numpy(value).to(dtype)), name
    arrays = {name: value.float().numpy() for name, value in state.items()}
    assert trainer.state_dict(arrays)["first.weight"].dtype == "float32"
