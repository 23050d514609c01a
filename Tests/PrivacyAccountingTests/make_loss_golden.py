"""Writes GoldenLosses.swift: epsilon of Poisson-subsampled Gaussian steps by inverting a Laplace transform.

Run with numpy and scipy:  python make_loss_golden.py > GoldenLosses.swift

With K(z) = steps log E[exp(z L)] of one step's privacy loss L, integrated on Gauss-Legendre panels,

    delta(epsilon) = 1 / (2 pi) int exp(K(z) - z epsilon) / (z (1 + z)) dt,   z = theta + i t,

for any theta > 0, here the saddle point. Losses are neither discretised nor truncated, so this shares nothing with what
it checks. Where the loss of few steps has atoms the integrand decays slowly: those rows are left to closed forms.
"""

import itertools
import random
import sys
import warnings

import numpy as np
from scipy import integrate, optimize


class Direction:
    """The loss of a step when the unit is removed (+1) or added (-1): values and log masses of quadrature nodes.

    Panels are at most `width` sigma wide."""

    def __init__(self, q, sigma, sign, width=0.5):
        low, high = -14 * sigma, 1 + 14 * sigma
        crossover = sigma**2 * (np.log1p(-q) - np.log(q)) + 0.5
        edges = [low]
        while edges[-1] < high:
            x = edges[-1]
            distance = max(sigma**2, (crossover - x) / 2) if x < crossover else sigma**2
            edges.append(min(high, x + min(sigma, 2 * distance) * width))
        nodes, weights = np.polynomial.legendre.leggauss(14)
        half = np.diff(edges)[:, None] / 2
        x = (np.array(edges[:-1])[:, None] + half + half * nodes).ravel()
        y = (2 * x - 1) / (2 * sigma**2)
        ratio = np.where(
            y < 30, np.log1p(q * np.expm1(np.minimum(y, 30))), y + np.log(q + (1 - q) * np.exp(-np.maximum(y, 30))))
        base = np.log((half * weights).ravel()) - x**2 / (2 * sigma**2) - np.log(sigma) - 0.5 * np.log(2 * np.pi)
        self.loss, self.log_mass = sign * ratio, base + (ratio if sign > 0 else 0)

    def cumulant(self, theta):
        exponent = theta * self.loss + self.log_mass
        return exponent.max() + np.log(np.exp(exponent - exponent.max()).sum())

    def saddle(self, epsilon, steps):
        """theta and the logarithm of Chernoff's bound of delta there."""
        def exponent(log_theta):
            theta = np.exp(log_theta)
            return steps * self.cumulant(theta) - theta * epsilon - log_theta - np.log1p(theta)

        grid = np.arange(-12, 20, 0.5)
        best = grid[np.argmin([exponent(point) for point in grid])]
        found = optimize.minimize_scalar(exponent, bounds=(best - 0.5, best + 0.5), method="bounded")
        return np.exp(found.x), found.fun

    def delta(self, epsilon, steps):
        theta, _ = self.saddle(epsilon, steps)
        mass = np.exp(theta * self.loss + self.log_mass - self.cumulant(theta))
        mass /= mass.sum()
        mean = (mass * self.loss).sum()
        deviation = np.sqrt(steps * (mass * (self.loss - mean) ** 2).sum())

        def integrand(t):
            power = np.exp(steps * np.log((mass * np.exp(1j * t * (self.loss - mean))).sum()))
            return (power * np.exp(1j * t * (steps * mean - epsilon)) / ((theta + 1j * t) * (1 + theta + 1j * t))).real

        total = 0.0
        edges = np.concatenate([[0], np.geomspace(0.05, 1e5, 60)]) / deviation / 2
        for a, b in zip(edges[:-1], edges[1:]):
            part = integrate.quad(integrand, a, b, limit=200, epsabs=1e-14 / deviation, epsrel=1e-10)[0]
            total += part
            if abs(part) < 1e-11 * abs(total) and a > 3 / deviation:
                return np.exp(steps * self.cumulant(theta) - theta * epsilon) * total / np.pi
        raise ArithmeticError("the integrand does not decay")


def epsilon(q, sigma, steps, delta):
    directions = [Direction(q, sigma, 1), Direction(q, sigma, -1)]

    def bound(log_epsilon):
        return max(d.saddle(np.exp(log_epsilon), steps)[1] for d in directions) - np.log(delta)

    def excess(log_epsilon):
        found = max(d.delta(np.exp(log_epsilon), steps) for d in directions)
        return np.log(max(found, 1e-300)) - np.log(delta)

    low = high = optimize.brentq(bound, -14, 12, xtol=1e-3)
    while excess(high) > 0:
        low, high = high, high + 0.2
    while excess(low) < 0:
        high, low = low, low - 0.5
        if low < -14:
            raise ArithmeticError("epsilon is zero")
    found = np.exp(optimize.brentq(excess, low, high, xtol=1e-8))
    finer = max(Direction(q, sigma, sign, width=0.2).delta(found, steps) for sign in (1, -1))
    if abs(np.log(finer) - np.log(delta)) > 1e-6:
        raise ArithmeticError("the quadrature does not resolve the oscillation")
    return found


def rows():
    named = [(0.01, 0.7, 120, 1e-5), (0.001, 0.8, 1000, 1e-6), (0.04, 1.5, 2250, 1e-5), (0.02, 0.7, 120, 1e-5)]
    grid = list(itertools.product(
        [1e-5, 1e-4, 1e-3, 0.01, 0.04, 0.2, 0.5, 0.9], [0.3, 0.5, 0.8, 1.2, 3.0, 10.0, 100.0],
        [300, 3000, 30000, 1000000], [1e-3, 1e-5, 1e-8, 1e-12]))
    random.Random(5).shuffle(grid)
    return named + grid


warnings.simplefilter("error")
print('// Written by make_loss_golden.py; not edited by hand.\n\n/// q sigma T delta epsilon.\nlet goldenLosses = """')
for q, sigma, steps, delta in rows()[:300]:
    try:
        with np.errstate(all="raise", under="ignore"):
            value = epsilon(q, sigma, steps, delta)
    except (ArithmeticError, ValueError, Warning) as error:
        print(q, sigma, steps, delta, error, file=sys.stderr)
        continue
    print(f"    {q!r} {sigma!r} {steps} {delta!r} {value:.10g}", flush=True)
print('    """')
