"""Times training steps of a benchmark model in PyTorch, Opacus or fastDP: prints samples per second (median) and peak
resident bytes.

usage: time_peer.py torch|opacus|fastdp WORKLOAD [STEPS]
"""

import resource
import statistics
import sys
import time
import warnings

import torch
from torch import nn

import workloads

warnings.simplefilter("ignore")


def loss_of(module, workload, inputs, labels, reduction="mean"):
    logits = module(*inputs.values())
    if workload.positions:
        losses = nn.functional.cross_entropy(logits.transpose(1, 2), labels, reduction="none").mean(1)
    else:
        losses = nn.functional.cross_entropy(logits, labels, reduction="none")
    return losses.mean() if reduction == "mean" else losses


def torch_step(module, workload, inputs, labels):
    optimizer = torch.optim.SGD(module.parameters(), lr=1e-12)

    def step():
        optimizer.zero_grad()
        loss_of(module, workload, inputs, labels).backward()
        optimizer.step()

    return step


def opacus_step(module, workload, inputs, labels):
    from opacus import GradSampleModule
    from opacus.optimizers import DPOptimizer
    from opacus.validators import ModuleValidator
    if any(isinstance(part, nn.LSTM) for part in module.modules()):
        module = ModuleValidator.fix(module).train()
    module = GradSampleModule(module)
    optimizer = DPOptimizer(
        torch.optim.SGD(module.parameters(), lr=1e-12), noise_multiplier=1.0, max_grad_norm=1.0,
        expected_batch_size=len(labels))

    def step():
        optimizer.zero_grad()
        loss_of(module, workload, inputs, labels).backward()
        optimizer.step()

    return step


def fastdp_step(module, workload, inputs, labels):
    from fastDP import PrivacyEngine
    optimizer = torch.optim.SGD(module.parameters(), lr=1e-12)
    engine = PrivacyEngine(
        module, batch_size=len(labels), sample_size=len(labels) * 100, epochs=1, noise_multiplier=1.0,
        clipping_mode="MixOpt", clipping_style="all-layer")
    engine.attach(optimizer)

    def step():
        optimizer.zero_grad()
        loss_of(module, workload, inputs, labels).backward()
        optimizer.step()

    return step


def main():
    kind, name = sys.argv[1:3]
    steps = int(sys.argv[3]) if len(sys.argv) > 3 else 10
    torch.set_num_threads(2)
    workload = workloads.WORKLOADS[name]
    module = workloads.make(name)
    inputs = workload.inputs(workload.batch)
    shape = (workload.batch, workload.positions) if workload.positions else (workload.batch,)
    labels = torch.randint(0, workload.classes, shape)
    step = {"torch": torch_step, "opacus": opacus_step, "fastdp": fastdp_step}[kind](module, workload, inputs, labels)
    seconds = []
    for index in range(steps + 2):
        start = time.perf_counter()
        step()
        if index >= 2:
            seconds.append(time.perf_counter() - start)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    print(workload.batch / statistics.median(seconds), peak << 10)


main()
