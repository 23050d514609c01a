"""Modules as their users have them."""

import copy
import math

import pytest
import torch

import dponnx

PRIVACY = dict(noise_multiplier=1.0, delta=1e-5, dataset_size=40, batch_size=8, epochs=1, progress=False)


@pytest.fixture
def private(tmp_path):
    return dict(PRIVACY, output=tmp_path / "private.onnx")


@pytest.mark.parametrize("exporter", ["dynamo", "torchscript"])
@pytest.mark.parametrize("form", ["dataset", "tensors", "dict"])
def test_the_module_gets_the_private_weights(classifier, samples, private, exporter, form):
    before = copy.deepcopy(classifier.state_dict())
    classifier.train()
    data = {
        "dataset": torch.utils.data.TensorDataset(*samples),
        "tensors": samples,
        "dict": {"x": samples[0], "labels": samples[1]},
    }[form]
    result = dponnx.fine_tune(classifier, samples[0][:1], data, exporter=exporter, validation=samples, **private)
    assert result.exporter == exporter and result.steps == 5 and 0 < result.epsilon < math.inf
    assert all(not torch.equal(before[name], value) for name, value in classifier.state_dict().items())
    assert all(part.training for part in classifier.modules())
    # What the library computes with the trained weights, PyTorch computes with the module's.
    loss = torch.nn.functional.cross_entropy(classifier.eval()(samples[0]), samples[1])
    assert result.validation["loss"] == pytest.approx(loss.item(), rel=1e-4)


def test_frozen_parameters_stay(classifier, samples, private):
    classifier.first.requires_grad_(False)
    before = copy.deepcopy(classifier.state_dict())
    dponnx.fine_tune(classifier, samples[0][:2], samples, **private)
    for name, value in classifier.state_dict().items():
        assert torch.equal(before[name], value) == name.startswith("first")


def test_a_loss_function_of_ones_own(classifier, samples, private):
    def likelihood(output, target):
        return torch.logsumexp(output, 1) - output.gather(1, target[:, None])[:, 0]

    own, named = copy.deepcopy(classifier), classifier
    options = dict(private, noise_multiplier=0, sampler="full", batch_size=None, steps=1, epochs=None)
    dponnx.fine_tune(own, samples[0][:2], samples, loss=likelihood, **options)
    dponnx.fine_tune(named, samples[0][:2], samples, loss=torch.nn.CrossEntropyLoss(), **options)
    for (name, one), other in zip(own.state_dict().items(), named.state_dict().values()):
        assert torch.allclose(one, other, atol=1e-6), name


def test_what_mixes_samples_is_told_by_its_module(samples, private):
    class Averaging(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.inner = torch.nn.Sequential(torch.nn.Linear(6, 3), Centred())

        def forward(self, x):
            return self.inner(x)

    class Centred(torch.nn.Module):
        def forward(self, x):
            return x - x.mean(0, keepdim=True)

    with pytest.raises(dponnx.NotTrainableError, match=r"module 'inner\.1' \(Centred\)"):
        dponnx.fine_tune(Averaging(), samples[0][:2], samples, **private)


def test_n_that_was_counted_is_told(classifier, samples, private):
    with pytest.warns(dponnx.PrivacyWarning, match="N was counted"):
        dponnx.fine_tune(classifier, samples[0][:2], samples, **dict(private, dataset_size=None))


def test_vision(private):
    torchvision = pytest.importorskip("torchvision")
    module = torchvision.models.resnet18(num_classes=4)
    before = copy.deepcopy(module.state_dict())
    data = torch.utils.data.TensorDataset(torch.randn(40, 3, 32, 32), torch.randint(0, 4, (40,)))
    dponnx.fine_tune(module, torch.randn(1, 3, 32, 32), data, **private)
    trained = {name for name, _ in module.named_parameters()}
    for name, value in module.state_dict().items():
        assert torch.equal(before[name], value) == (name not in trained), name


def test_text(private):
    transformers = pytest.importorskip("transformers")
    config = transformers.BertConfig(
        vocab_size=30, hidden_size=8, num_hidden_layers=1, num_attention_heads=2, intermediate_size=16, num_labels=3
    )
    module = transformers.BertForSequenceClassification(config)
    rows = [
        {"input_ids": torch.randint(0, 30, (12,)).tolist(), "attention_mask": [1] * 12, "label": row % 3, "text": "..."}
        for row in range(40)
    ]
    example = {"input_ids": torch.randint(0, 30, (2, 12)), "attention_mask": torch.ones(2, 12, dtype=torch.long)}
    result = dponnx.fine_tune(module, example, rows, **private)
    assert result.epsilon < math.inf and result.history[0]["loss"] > 0


def test_language_model_with_tied_head(private):
    transformers = pytest.importorskip("transformers")
    config = transformers.GPT2Config(
        vocab_size=30, n_embd=8, n_layer=1, n_head=2, n_positions=16, bos_token_id=0, eos_token_id=0
    )
    module = transformers.GPT2LMHeadModel(config)
    tokens = torch.randint(0, 30, (40, 12))
    example = {"input_ids": tokens[:2]}
    module.eval()
    expected = module(tokens, labels=tokens).loss.item()
    result = dponnx.fine_tune(
        module, example, {"input_ids": tokens}, loss="causal-lm", validation={"input_ids": tokens},
        **dict(private, noise_multiplier=0, learning_rate=1e-9),
    )  # fmt: skip
    assert result.validation["loss"] == pytest.approx(expected, rel=1e-4)
    assert module.lm_head.weight.data_ptr() == module.transformer.wte.weight.data_ptr()
    assert module.config.use_cache
