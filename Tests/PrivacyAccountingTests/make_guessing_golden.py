"""Writes GoldenGuesses.swift: how likely guesses about canaries are under (epsilon, delta), by scipy's binomials.

Run with numpy and scipy:  python make_guessing_golden.py > GoldenGuesses.swift

The number of right guesses among r is compared with W ~ Binomial(r, e^epsilon / (1 + e^epsilon)); see Theorem 5.2 of
Steinke, Nasr and Jagielski (2023).
"""

import numpy as np
from scipy.stats import binom

print("// Written by make_guessing_golden.py; not edited by hand.\n")
print('/// m r v epsilon delta probability.\nlet goldenGuesses = """')
for m, r, v, epsilon, delta in [
    (100, 100, 70, 0.2, 0), (100, 40, 40, 2, 1e-5), (1000, 200, 160, 1, 1e-5), (1000, 1000, 600, 0.3, 1e-6),
    (5000, 500, 480, 2.5, 1e-6), (10000, 156, 150, 2, 1e-5), (10000, 5000, 2600, 0.05, 1e-5), (20, 3, 1, 0, 1e-3),
    (1000, 100, 100, 4, 1e-4), (300, 300, 290, 3, 1e-3),
]:
    heads = binom(r, 1 / (1 + np.exp(-epsilon)))
    largest = max((heads.cdf(v - 1) - heads.cdf(v - i - 1)) / i for i in range(1, m + 1))
    value = min(1, heads.sf(v - 1) + 2 * m * delta * largest)
    print(f"    {m} {r} {v} {epsilon!r} {delta!r} {value:.10g}")
print('    """')
