"""Writes GoldenBands.swift: epsilon of banded matrix factorisation by dp-accounting's privacy loss distributions, and the
least mean squared error of banded strategies, found with dense matrices.

Run with dp-accounting 0.6 and torch installed:  python make_banded_golden.py > GoldenBands.swift

Epsilon: a row that may enter every b-th of T batches, then with probability b q, has the losses of ceil(T / b) sampled
Gaussians of that rate (Choquette-Choo et al. 2023, theorem 4). The interval of losses is halved until epsilon changes by
less than 1e-4.

Error: ||A C^-1||_F^2 / T for lower triangular C with b constant diagonals whose squares add up to 1, minimised by L-BFGS
from several starts. A adds up gradients, or what momentum makes of them.
"""

import torch
from dp_accounting.pld import privacy_loss_distribution

torch.set_default_dtype(torch.float64)


def epsilon(q, bands, sigma, steps, delta):
    interval, last = 1e-3, None
    while True:
        losses = privacy_loss_distribution.from_gaussian_mechanism(
            sigma, value_discretization_interval=interval, sampling_prob=min(1.0, q * bands), log_mass_truncation_bound=-70)
        found = losses.self_compose(-(-steps // bands)).get_epsilon_for_delta(delta)
        if last is not None and abs(found - last) < 1e-4 * found:
            return found
        last, interval = found, interval / 2


def least_error(bands, steps, momentum):
    workload = torch.zeros(steps, steps)
    for lag in range(steps):
        workload += torch.diag(torch.full((steps - lag,), sum(momentum**k for k in range(lag + 1))), -lag)

    def error(free):
        diagonals = torch.cat([torch.ones(1), free])
        diagonals = diagonals / diagonals.norm()
        strategy = sum(torch.diag(diagonals[k].expand(steps - k), -k) for k in range(bands))
        product = torch.linalg.solve_triangular(strategy.T, workload.T, upper=True)
        return product.square().sum() / steps

    best = float("inf")
    for start in (0.0, 0.3, 0.9):
        free = torch.tensor([start**k / (k + 1) for k in range(1, bands)], requires_grad=True)
        optimizer = torch.optim.LBFGS([free], max_iter=500, tolerance_grad=1e-12, tolerance_change=1e-15, line_search_fn="strong_wolfe")

        def closure():
            optimizer.zero_grad()
            value = error(free)
            value.backward()
            return value

        optimizer.step(closure)
        best = min(best, error(free).item())
    return best


print("// Written by make_banded_golden.py.")
print()
print("/// Sampling rate q, bands b, noise multiplier, steps, delta; epsilon by dp-accounting.")
print("let goldenBandedEpsilons: [(Double, Int, Double, Int, Double, Double)] = [")
for row in [
    (0.01, 1, 0.7, 120, 1e-5), (0.01, 4, 1.0, 1000, 1e-5), (0.01, 8, 1.0, 1001, 1e-5), (0.02, 16, 2.0, 500, 1e-6),
    (0.05, 20, 4.0, 200, 1e-5), (0.001, 32, 0.8, 4000, 1e-6), (0.004, 64, 1.5, 63, 1e-8), (0.1, 3, 3.0, 100, 1e-5),
]:
    print(f"    ({', '.join(map(str, row))}, {epsilon(*row)!r}),")
print("]")
print()
print("/// Bands, steps, momentum; the least mean squared error.")
print("let goldenBandedErrors: [(Int, Int, Double, Double)] = [")
for row in [(2, 10, 0.0), (4, 64, 0.0), (8, 64, 0.0), (16, 200, 0.0), (5, 5, 0.0), (8, 64, 0.9), (3, 40, 0.5)]:
    print(f"    ({', '.join(map(str, row))}, {least_error(*row)!r}),")
print("]")
