"""Runs PyTorch's optimisers and schedulers on fixed gradients and writes what they give.

Each line of optimizer_goldens.txt: a name, then the eight weights after seven steps. Each line of
schedule_goldens.txt: a name, then the learning rates of ten steps. Needs torch. Run in this folder.
"""
import warnings

import torch

warnings.simplefilter("ignore")


def run(make):
    w = torch.nn.Parameter(torch.tensor([(i - 3.5) / 4 for i in range(8)]))
    optimizer = make([w])
    for t in range(7):
        for group in optimizer.param_groups:
            group["lr"] = 0.05 * (t + 1)
        w.grad = torch.tensor([((i * 5 + t * 3) % 11 - 5) / 8 for i in range(8)])
        optimizer.step()
    return w.detach().tolist()


o = torch.optim
rules = {
    "sgd": lambda p: o.SGD(p, 1),
    "sgd-decay": lambda p: o.SGD(p, 1, weight_decay=0.1),
    "momentum": lambda p: o.SGD(p, 1, momentum=0.9),
    "momentum-decay": lambda p: o.SGD(p, 1, momentum=0.9, weight_decay=0.1),
    "nesterov-decay": lambda p: o.SGD(p, 1, momentum=0.9, nesterov=True, weight_decay=0.1),
    "adam": lambda p: o.Adam(p, 1),
    "adam-decay": lambda p: o.Adam(p, 1, betas=(0.8, 0.95), eps=1e-3, weight_decay=0.1),
    "adamw-decay": lambda p: o.AdamW(p, 1, betas=(0.8, 0.95), eps=1e-3, weight_decay=0.1),
}
with open("optimizer_goldens.txt", "w") as f:
    for name, make in rules.items():
        print(name, *run(make), file=f)


def rates(warmup, decay):
    s = o.lr_scheduler
    optimizer = o.SGD([torch.nn.Parameter(torch.zeros(1))], 2.0)
    if warmup:
        rise = s.LinearLR(optimizer, 1 / warmup, 1.0, warmup - 1)
        scheduler = s.SequentialLR(optimizer, [rise, decay(optimizer, 10 - warmup)], [warmup])
    else:
        scheduler = decay(optimizer, 10)
    result = []
    for _ in range(10):
        result.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        scheduler.step()
    return result


decays = {
    "constant": lambda q, n: o.lr_scheduler.ConstantLR(q, 1.0, n),
    "linear": lambda q, n: o.lr_scheduler.LinearLR(q, 1.0, 0.0, n),
    "cosine": lambda q, n: o.lr_scheduler.CosineAnnealingLR(q, n),
}
with open("schedule_goldens.txt", "w") as f:
    for name, decay in decays.items():
        for warmup in [0, 4]:
            print(f"{name}-{warmup}", *rates(warmup, decay), file=f)
