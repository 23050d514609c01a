"""The loop that a caller drives."""

import math

import numpy as np
import pytest
import torch

from dponnx import DponnxError, PrivacyWarning, PrivateTrainer

OPTIONS = dict(noise_multiplier=1.0, delta=1e-5, dataset_size=40, batch_size=4, epochs=2)


@pytest.fixture
def model(classifier, tmp_path):
    path = tmp_path / "model.onnx"
    torch.onnx.export(
        classifier, (torch.randn(2, 6),), str(path), input_names=["x"], output_names=["logits"],
        dynamic_shapes=({0: torch.export.Dim("batch")},), dynamo=True, optimize=False, verbose=False,
    )  # fmt: skip
    return path


def loader(trainer, samples, workers=0):
    return torch.utils.data.DataLoader(
        torch.utils.data.TensorDataset(*samples), batch_sampler=trainer.batch_sampler(), num_workers=workers
    )


@pytest.mark.parametrize("workers", [0, 2])
def test_epsilon_holds_for_the_offered_sampler(model, samples, workers, tmp_path):
    trainer = PrivateTrainer(model, **OPTIONS)
    for _ in range(2):
        for batch in loader(trainer, samples, workers):
            trainer.step(batch)
    halfway = trainer.epsilon()
    assert trainer.steps_taken == trainer.steps == 20
    assert trainer.reasons_not_private == []
    assert 0 < halfway < math.inf
    assert trainer.epsilon(1e-3) < halfway
    trainer.save(tmp_path / "private.onnx")
    with pytest.warns(UserWarning, match="all planned steps"):
        assert list(trainer.batch_sampler()) == []
    with pytest.raises(DponnxError, match="planned steps") as error:
        trainer.step(samples)
    assert error.value.code == 64


def test_empty_batches_are_steps(model, samples):
    trainer = PrivateTrainer(model, **{**OPTIONS, "batch_size": 1, "epochs": 1})
    for batch in loader(trainer, samples):
        trainer.step(batch)
    trainer.epsilon()
    # At rate 1/40 a batch is empty with probability 0.36.
    assert trainer.steps_taken == 40 and trainer.reasons_not_private == []
    assert any(entry["sample_count"] == 0 for entry in trainer.history)


def test_a_broken_off_epoch_costs_nothing_more(model, samples):
    trainer = PrivateTrainer(model, **OPTIONS)
    for index, batch in enumerate(loader(trainer, samples, workers=2)):
        trainer.step(batch)
        if index == 3:
            break
    for batch in loader(trainer, samples):
        trainer.step(batch)
    assert trainer.reasons_not_private == []


def test_another_sampler_ends_the_guarantee(model, samples):
    trainer = PrivateTrainer(model, **OPTIONS)
    trainer.step(samples)
    with pytest.warns(PrivacyWarning, match="had not drawn"):
        assert trainer.epsilon() == math.inf


def test_metrics_are_those_of_pytorch(model, classifier, samples):
    trainer = PrivateTrainer(model, threads=1)
    halves = [(samples[0][:15], samples[1][:15]), {"x": samples[0][15:], "labels": samples[1][15:]}]
    metrics = trainer.evaluate(halves)
    output = classifier(samples[0])
    assert metrics["samples"] == 40
    assert metrics["loss"] == pytest.approx(torch.nn.functional.cross_entropy(output, samples[1]).item(), rel=1e-5)
    assert metrics["accuracy"] == pytest.approx((output.argmax(1) == samples[1]).float().mean().item())


def test_one_step_is_the_mean_of_clipped_gradients(model, classifier, samples):
    x, labels = samples
    sums = {name: torch.zeros_like(p) for name, p in classifier.named_parameters()}
    for row in range(40):
        classifier.zero_grad()
        torch.nn.functional.cross_entropy(classifier(x[row : row + 1]), labels[row : row + 1]).backward()
        norm = math.sqrt(sum(p.grad.square().sum().item() for p in classifier.parameters()))
        for name, p in classifier.named_parameters():
            sums[name] += p.grad * min(1, 0.5 / norm)
    trainer = PrivateTrainer(
        model, noise_multiplier=0, delta=1e-5, rows=40, sampler="full", steps=1, learning_rate=0.3, clip_norm=0.5
    )
    trainer.draw()
    # Other types and layouts of the same numbers.
    trainer.accumulate({"x": x[:10].numpy().astype(np.float64), "labels": labels[:10].numpy().astype(np.int32)})
    trainer.accumulate((x[10:].T.contiguous().T, labels[10:].to(torch.uint8)))
    trainer.finish_step()
    state = trainer.state_dict(classifier.state_dict())
    for name, p in classifier.named_parameters():
        assert torch.allclose(state[name], p - 0.3 * sums[name] / 40, atol=1e-6), name
    classifier.load_state_dict(state, strict=True)


def test_errors_say_what_to_do(model, samples):
    with pytest.raises(DponnxError, match="epsilom"):
        PrivateTrainer(model, epsilom=3)
    with pytest.raises(DponnxError, match="delta"):
        PrivateTrainer(model, epsilon=3, dataset_size=40)
    trainer = PrivateTrainer(model, **OPTIONS)
    with pytest.raises(DponnxError, match="labels"):
        trainer.step({"x": samples[0]})
    with pytest.raises(DponnxError, match="one shape"):
        trainer.step({"x": np.array([["a"]]), "labels": samples[1]})
