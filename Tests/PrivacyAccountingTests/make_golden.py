"""Writes GoldenTables.swift: epsilon, order and delta by Google's dp-accounting, epsilon by Opacus, divergences by mpmath,
epsilon by dp-accounting's privacy loss distributions, their interval refined until it changes epsilon by less than 1e-4.

Run with dp-accounting 0.6, opacus and mpmath installed:  python make_golden.py > GoldenTables.swift

At fractional orders dp-accounting 0.6 adds the absolute values of the terms of an alternating series, so that its
divergence is an upper bound of the true one; Opacus keeps the signs. Both are recorded.
"""

import itertools
import logging
import warnings

import mpmath
from dp_accounting import dp_event, rdp
from dp_accounting.pld import privacy_loss_distribution
from opacus.accountants.analysis import rdp as opacus_rdp

logging.disable(logging.WARNING)
warnings.simplefilter("ignore")


def accountant(q, sigma, steps):
    result = rdp.RdpAccountant()
    result.compose(dp_event.PoissonSampledDpEvent(q, dp_event.GaussianDpEvent(sigma)), steps)
    return result


def epsilon_rows():
    named = [
        (0.01, 0.7, 120, 1e-5), (0.001, 0.8, 1000, 1e-6), (0.04, 1.5, 2250, 1e-5),
        (1.0, 0.5, 1, 1e-5), (1.0, 5.0, 100, 1e-5), (1.0, 100.0, 10000, 1e-6), (0.99, 2.0, 30, 1e-5),
        (0.5, 0.3, 3, 1e-6), (0.5, 20.0, 1000, 1e-6), (1e-6, 0.3, 1000000, 1e-8), (1e-5, 0.5, 100000, 1e-8),
        (1e-4, 10.0, 100000, 1e-6), (1e-7, 1.0, 1000, 1e-9), (0.01, 0.1, 1, 1e-5), (0.01, 0.05, 10, 1e-5),
        (0.01, 0.02, 100, 1e-5), (0.2, 0.01, 1, 1e-5), (0.001, 50.0, 1000, 1e-7), (0.3, 500.0, 100000, 1e-10),
        (0.034, 1.81, 1200, 1e-5),
    ]
    grid = itertools.product([1e-4, 1e-3, 0.01, 0.1], [0.5, 0.8, 1.2, 3.0], [10, 1000, 30000], [1e-5])
    low = itertools.product([0.004, 0.05], [0.6, 2.0], [500], [1e-3, 1e-10, 1e-20])
    for q, sigma, steps, delta in named + list(grid) + list(low):
        a = accountant(q, sigma, steps)
        epsilon, order = a.get_epsilon_and_optimal_order(delta)
        signed = opacus_rdp.compute_rdp(q=q, noise_multiplier=sigma, steps=steps, orders=list(rdp.rdp_privacy_accountant.DEFAULT_RDP_ORDERS))
        exact, _ = rdp.compute_epsilon(rdp.rdp_privacy_accountant.DEFAULT_RDP_ORDERS, signed, delta)
        yield f"{q!r} {sigma!r} {steps} {delta!r} {float(epsilon)!r} {float(order)!r} {a.get_delta(2.0)!r} {float(exact)!r}"


def divergence(q, sigma, order):
    """log(E[(1 + w)^order]) / (order - 1), integrated to 40 digits."""
    mpmath.mp.dps = 40
    q, sigma, order = mpmath.mpf(q), mpmath.mpf(sigma), mpmath.mpf(order)

    def integrand(z):
        ratio = 1 - q + q * mpmath.exp((2 * z - 1) / (2 * sigma**2))
        return ratio**order * mpmath.npdf(z, 0, sigma)

    crossover = sigma**2 * mpmath.log((1 - q) / q) + mpmath.mpf(1) / 2
    points = {mpmath.mpf(0), mpmath.mpf(2), order, crossover}
    for centre in list(points):
        points |= {centre + k * sigma for k in (-14, -11, -8, -5, -3, -1.5, 1.5, 3, 5, 8, 11, 14)}
        points |= {centre + k * sigma**2 for k in (-20, -10, -5, -2, 2, 5, 10, 20)}
    return mpmath.log(mpmath.quad(integrand, sorted(points))) / (order - 1)


def divergence_rows():
    for q, sigma in [(0.01, 0.7), (1e-4, 1.3), (0.3, 0.25), (0.5, 50.0), (1e-6, 0.1), (0.9, 1.0), (1e-8, 4.0)]:
        for order in (1.1, 1.7, 2.0, 2.5, 6.3, 10.9, 40.0):
            yield f"{q!r} {sigma!r} {order!r} {mpmath.nstr(divergence(q, sigma, order), 17)}"


def loss_epsilon(q, sigma, steps, delta, interval):
    losses = privacy_loss_distribution.from_gaussian_mechanism(
        sigma, value_discretization_interval=interval, sampling_prob=q, log_mass_truncation_bound=-70)
    return losses.self_compose(steps).get_epsilon_for_delta(delta)


def loss_rows():
    for q, sigma, steps, delta in [
        (0.01, 0.7, 120, 1e-5), (1.0, 10.0, 100, 1e-5), (0.001, 0.8, 1000, 1e-6), (0.04, 1.5, 2250, 1e-5),
        (0.02, 0.7, 120, 1e-5), (0.034, 1.81, 1200, 1e-5), (0.01, 1.0, 1, 1e-5), (0.5, 0.5, 1, 1e-8), (0.2, 3.0, 1, 1e-3),
        (0.001, 0.5, 10, 1e-8), (0.1, 1.0, 10, 1e-5), (0.9, 2.0, 10, 1e-6), (0.01, 0.4, 30, 1e-8), (0.3, 30.0, 100, 1e-5),
        (0.05, 0.6, 500, 1e-6), (0.004, 2.0, 500, 1e-5), (0.01, 3.0, 1000, 1e-8), (0.2, 100.0, 1000, 1e-5),
        (0.0001, 0.6, 3000, 1e-6), (0.1, 1.2, 3000, 1e-5),
    ]:
        interval = 1e-3 if q * steps**0.5 / sigma > 0.1 else 1e-4
        epsilon, previous = loss_epsilon(q, sigma, steps, delta, interval), 0
        while abs(epsilon - previous) > 1e-4 * epsilon:
            interval /= 2
            previous, epsilon = epsilon, loss_epsilon(q, sigma, steps, delta, interval)
        yield f"{q!r} {sigma!r} {steps} {delta!r} {epsilon:.8g}"


def table(name, comment, rows):
    print(f"/// {comment}\nlet {name} = \"\"\"")
    for row in rows:
        print(f"    {row}")
    print('    """')


print("// Written by make_golden.py; not edited by hand.\n")
table("goldenEpsilons", "q sigma T delta, then epsilon order delta(epsilon = 2) by dp-accounting 0.6, then epsilon by Opacus.", epsilon_rows())
print()
table("goldenDivergences", "q sigma order divergence, by mpmath with 40 digits.", divergence_rows())
print()
table("goldenLossBounds", "q sigma T delta epsilon, by dp-accounting 0.6's privacy loss distributions.", loss_rows())
