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


def test_rows_of_one_group_are_one_sample(model, classifier, samples):
    x, labels = samples
    users = [f"user {row % 13}" for row in range(40)]
    options = dict(noise_multiplier=0, delta=1e-5, sampler="full", steps=1, learning_rate=0.3, clip_norm=0.5)
    trainer = PrivateTrainer(model, group_by="user", groups=users, **options)
    drawn = trainer.draw()
    assert drawn.tolist() == list(range(13))
    rows = trainer.rows_of(drawn)
    assert sorted(rows) == list(range(40))
    sums = {name: torch.zeros_like(p) for name, p in classifier.named_parameters()}
    for user in range(13):
        own = [row for row in range(40) if row % 13 == user]
        classifier.zero_grad()
        torch.nn.functional.cross_entropy(classifier(x[own]), labels[own]).backward()
        norm = math.sqrt(sum(p.grad.square().sum().item() for p in classifier.parameters()))
        for name, p in classifier.named_parameters():
            sums[name] += p.grad * min(1, 0.5 / norm)
    # The first groups have four rows, the others three.
    for part in (rows[:4], rows[4:]):
        trainer.accumulate({"x": x[part], "labels": labels[part], "user": [users[row] for row in part]})
    assert trainer.finish_step()["sample_count"] == 13
    for name, value in trainer.state_dict(classifier.state_dict()).items():
        assert torch.allclose(value, classifier.state_dict()[name] - 0.3 * sums[name] / 13, atol=1e-6), name


def test_groups_in_two_parts_are_refused(model, samples):
    users = [row // 2 for row in range(40)]
    trainer = PrivateTrainer(model, group_by="user", groups=users, noise_multiplier=1, delta=1e-5, steps=3, batch_size=5)
    first = {"x": samples[0][:1], "labels": samples[1][:1], "user": users[:1]}
    trainer.accumulate(first)
    with pytest.raises(DponnxError, match="two parts"):
        trainer.accumulate(first)
    with pytest.raises(DponnxError, match="belong together"):
        PrivateTrainer(model, group_by="user")
    loader = torch.utils.data.DataLoader(
        [{"x": x, "labels": y, "user": user} for x, y, user in zip(*samples, users)], batch_sampler=trainer.batch_sampler()
    )
    for batch in loader:
        trainer.step(batch)
    trainer.epsilon()
    assert trainer.reasons_not_private == [] and trainer.steps_taken == 3


def test_a_training_goes_on_from_its_checkpoint(model, samples, tmp_path):
    options = dict(OPTIONS, checkpoint=str(tmp_path / "run"))
    trainer = PrivateTrainer(model, **options)
    for index, batch in enumerate(loader(trainer, samples)):
        trainer.step(batch)
        if index == 3:
            trainer.checkpoint()
            kept = trainer.weights()
    charged = trainer.steps_taken
    del trainer
    trainer = PrivateTrainer(model, resume=True, **options)
    assert trainer.steps_left == 20 - charged
    trainer.prepare(samples)
    for name, value in trainer.weights().items():
        assert np.array_equal(value, kept[name]), name
    for _ in range(2):
        for batch in loader(trainer, samples):
            trainer.step(batch)
    # Lost steps were paid for.
    assert trainer.steps_left == 0 and 0 < trainer.epsilon() < math.inf
    with pytest.raises(DponnxError, match="holds a run already"):
        PrivateTrainer(model, **options)


@pytest.mark.parametrize("kept", [False, True])
def test_adapters(model, classifier, samples, tmp_path, kept):
    trainer = PrivateTrainer(model, adapter="lora:rank=2:head*", keep_adapter=kept, **OPTIONS)
    assert sorted(trainer.trainable) == ["head.weight.lora_A", "head.weight.lora_B"]
    for batch in loader(trainer, samples):
        trainer.step(batch)
    weights = trainer.weights()
    state = trainer.state_dict(classifier.state_dict())
    product = weights["head.weight.lora_A"] @ weights["head.weight.lora_B"]
    assert np.allclose(state["head.weight"], classifier.head.weight.detach().numpy() + product.T, atol=1e-6)
    assert torch.equal(state["first.weight"], classifier.first.weight)
    metrics = trainer.evaluate(samples)
    classifier.load_state_dict(state)
    loss = torch.nn.functional.cross_entropy(classifier(samples[0]), samples[1])
    assert metrics["loss"] == pytest.approx(loss.item(), rel=1e-5)
    with pytest.raises(DponnxError, match="lora:rank=8"):
        PrivateTrainer(model, adapter="lora")


def test_options_of_the_command_line(model, samples, tmp_path):
    ledger = dict(ledger=str(tmp_path / "ledger"), dataset_id="people")
    with pytest.raises(DponnxError, match="budget"):
        PrivateTrainer(model, dataset_budget=0.01, **ledger, **OPTIONS)
    trainer = PrivateTrainer(model, trainable="bias", adaptive_clipping=0.5, optimizer="adam", adam_bias_correction=True, **OPTIONS)
    assert all(name.endswith("bias") for name in trainer.trainable)
    for batch in loader(trainer, samples):
        trainer.step(batch)
    assert 0 < trainer.epsilon() < math.inf
    with pytest.raises(DponnxError, match="adaptive_clipping"):
        PrivateTrainer(model, count_noise=1, **OPTIONS)
