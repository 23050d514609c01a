"""What docs/export-flags.md says of torch.onnx.export."""

import onnx
import pytest
import torch
from torch import nn

import dponnx

ONE_STEP = dict(noise_multiplier=1, delta=1e-5, rows=6, sampler="full", steps=1, learning_rate=0.1, seed=1)
UNFOLDED = dict(do_constant_folding=False)
KEPT = dict(do_constant_folding=False, training=torch.onnx.TrainingMode.PRESERVE)


class Model(nn.Module):
    """What exporters fold, and two fresh normalisations, which are equal."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv1d(4, 6, 3)
        self.norm = nn.BatchNorm1d(6)
        self.layer = nn.utils.parametrizations.weight_norm(nn.Linear(6, 6))
        self.first, self.second = nn.LayerNorm(6), nn.LayerNorm(6)
        self.head = nn.Linear(6, 3)
        self.norm.running_mean.uniform_()

    def forward(self, x):
        x = self.norm(self.conv(x)).relu().mean(2)
        return self.head(self.second(self.first(self.layer(x)).relu()))


FOLDED = {
    "conv.weight", "conv.bias", "norm.weight", "norm.bias", "norm.running_mean", "norm.running_var",
    "layer.parametrizations.weight.original0", "layer.parametrizations.weight.original1",
}  # fmt: skip


@pytest.fixture
def module():
    return Model().eval()


def export(module, path, dynamo, dynamic=True, **options):
    # The module's own flag says whether the program is in training; its parts stay as they are.
    module.training = options.get("training") is not None
    if dynamic:
        batch = dict(dynamic_shapes=({0: torch.export.Dim("batch")},)) if dynamo else dict(dynamic_axes={"x": {0: "batch"}})
        options.update(batch)
    torch.onnx.export(module, (torch.randn(2, 4, 7),), str(path), input_names=["x"], dynamo=dynamo, verbose=False, **options)
    return path


def missing(module, path):
    """Names that a step's values cannot be told for."""
    trainer = dponnx.PrivateTrainer(path, **ONE_STEP)
    trainer.draw()
    trainer.accumulate((torch.randn(6, 4, 7), torch.randint(0, 3, (6,))))
    trainer.finish_step()
    try:
        trainer.state_dict(module.state_dict())
    except dponnx.DponnxError as error:
        assert error.code == 1
        names = str(error).removeprefix("weights cannot be told: ").split("; '")
        return {name.strip("'").split("'")[0] for name in names}
    return set()


def tensors(path):
    return {tensor.name for tensor in onnx.load(str(path)).graph.initializer}


@pytest.mark.parametrize("dynamo", [False, True])
def test_exporters_fold_unless_told_otherwise(module, tmp_path, dynamo):
    # With newer opsets TorchScript finds less to fold.
    options = {} if dynamo else dict(opset_version=17)
    assert missing(module, export(module, tmp_path / "model.onnx", dynamo, **options)) == FOLDED


@pytest.mark.parametrize("dynamo, options", [(True, dict(optimize=False)), (False, KEPT)])
def test_flags_that_keep_parameters_apart(module, tmp_path, dynamo, options):
    path = export(module, tmp_path / "model.onnx", dynamo, **options)
    assert {name for name, _ in module.named_parameters()} <= tensors(path)
    assert missing(module, path) == set()


def test_without_folding_alone_torchscript_merges_equal_tensors(module, tmp_path):
    path = export(module, tmp_path / "model.onnx", False, **UNFOLDED)
    assert len({"norm.weight", "first.weight", "second.weight"} & tensors(path)) == 1
    assert any("norm.weight" in note or "first.weight" in note for note in dponnx.PrivateTrainer(path).notes)
    # Taken apart again, they lose nothing.
    assert missing(module, path) == set()


def test_biases_of_zeros_train_though_dynamo_leaves_them_out(tmp_path):
    module = nn.Sequential(nn.Flatten(), nn.Linear(28, 6), nn.Tanh(), nn.Linear(6, 3)).eval()
    nn.init.zeros_(module[3].bias)
    path = export(module, tmp_path / "model.onnx", True)
    assert "3.bias" not in tensors(path)
    trainer = dponnx.PrivateTrainer(path, **ONE_STEP)
    assert any("3.bias" in note for note in trainer.notes)
    trainer.draw()
    trainer.accumulate((torch.randn(6, 4, 7), torch.randint(0, 3, (6,))))
    trainer.finish_step()
    state = trainer.state_dict(module.state_dict())
    assert abs(state["3.bias"]).max() > 0
    trainer.save(tmp_path / "private.onnx")
    assert "3.bias" in tensors(tmp_path / "private.onnx")


@pytest.mark.parametrize("dynamo", [False, True])
def test_a_fixed_batch_works_too(module, tmp_path, dynamo):
    options = dict(optimize=False) if dynamo else KEPT
    assert missing(module, export(module, tmp_path / "model.onnx", dynamo, dynamic=False, **options)) == set()


def test_batch_normalisation_in_training_mode_is_refused(module, tmp_path):
    module.train()
    path = tmp_path / "model.onnx"
    torch.onnx.export(
        module, (torch.randn(2, 4, 7),), str(path), input_names=["x"], dynamo=False, dynamic_axes={"x": {0: "batch"}},
        training=torch.onnx.TrainingMode.TRAINING, do_constant_folding=False,
    )  # fmt: skip
    report = dponnx.PrivateTrainer(path).check()
    assert not report["can_train_privately"]


def test_without_weights_there_is_nothing_to_train(module, tmp_path):
    path = export(module, tmp_path / "model.onnx", False, export_params=False)
    with pytest.raises(dponnx.DponnxError):
        dponnx.PrivateTrainer(path, **ONE_STEP)


def test_weights_in_a_file_beside(module, tmp_path):
    path = export(module, tmp_path / "model.onnx", True, optimize=False, external_data=True)
    assert (tmp_path / "model.onnx.data").exists() and missing(module, path) == set()


@pytest.mark.parametrize("opset", [11, 13, 17])
def test_opsets_of_torchscript(module, tmp_path, opset):
    module.layer = nn.Linear(6, 6)
    assert missing(module, export(module, tmp_path / "model.onnx", False, opset_version=opset, **KEPT)) == set()


@pytest.mark.parametrize("opset", [18, 21, 23])
def test_opsets_of_dynamo(module, tmp_path, opset):
    assert missing(module, export(module, tmp_path / "model.onnx", True, opset_version=opset, optimize=False)) == set()
