"""Fits BG/NBD and gamma-gamma, two models of when customers buy and for how much, by maximum likelihood.

BG/NBD: Fader, Hardie and Lee, "Counting Your Customers" the Easy Way (2005). While alive, a customer buys at
random at a rate of his own, and may be lost after each purchase. Gamma-gamma: Fader and Hardie, The
Gamma-Gamma Model of Monetary Value (2013). A customer's purchases vary around a mean of his own, which has
nothing to do with how often he buys.

`frequency` is the number of repeat purchases (days with a purchase, without the first), `recency` the age at
the last of them and `age` that at the end of the data, all in one unit of time; `value` is the mean of the
repeat purchases.
"""

from collections.abc import Callable
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt
from scipy import optimize, special

Numbers = npt.NDArray[np.float64]

STARTS: Final = (0.1, 1.0, 4.0)
"""Every parameter begins at each of these: the best of several searches is the maximum, not a ledge."""
EDGE: Final = 14.0
"""The logarithm at which a parameter is at an edge: then the data do not say how large it is."""
SAME: Final = 1e-4
"""How far apart, relative to its size, the likelihoods of two searches that found one maximum may be."""


class NotFitted(Exception):
    """The histories do not determine the parameters; the text says why."""


class Purchases(NamedTuple):
    """The parameters of BG/NBD: rates vary by `r` and `alpha`, losses by `a` and `b`."""

    r: float
    alpha: float
    a: float
    b: float

    def alive(self, frequency: Numbers, recency: Numbers, age: Numbers) -> Numbers:
        """Return the probability that each customer is not lost; customers who bought once are not yet."""
        lost = self.a / (self.b + np.maximum(frequency, 1) - 1)
        odds = lost * ((self.alpha + age) / (self.alpha + recency)) ** (self.r + frequency)
        return np.where(frequency > 0, 1 / (1 + odds), 1.0)

    def expected(self, span: Numbers, frequency: Numbers, recency: Numbers, age: Numbers) -> Numbers:
        """Return the purchases expected of each customer in the `span` of time after `age`."""
        until = self.alpha + age + span
        some = self.a + self.b + frequency - 1
        series = special.hyp2f1(self.r + frequency, self.b + frequency, some, span / until)
        lasting = 1 - ((self.alpha + age) / until) ** (self.r + frequency) * series
        return np.asarray(some / (self.a - 1) * lasting * self.alive(frequency, recency, age))


class Values(NamedTuple):
    """The parameters of gamma-gamma."""

    p: float
    q: float
    gamma: float

    def expected(self, frequency: Numbers, value: Numbers) -> Numbers:
        """Return the mean value expected of each customer's purchases."""
        return (self.gamma + frequency * value) * self.p / (self.p * frequency + self.q - 1)


def fit_purchases(frequency: Numbers, recency: Numbers, age: Numbers) -> Purchases:
    """Raises NotFitted if the histories do not determine the parameters."""
    if not np.any(frequency > 0):
        raise NotFitted("nobody has bought more than once")
    (x, t, end), count = _counted(frequency, recency, age)

    def likelihood(logs: Numbers) -> tuple[float, Numbers]:
        r, alpha, a, b = np.exp(logs)
        gamma, psi, last = special.gammaln, special.psi, b + np.maximum(x, 1) - 1
        fixed = gamma(r + x) - gamma(r) + r * np.log(alpha)
        fixed += gamma(a + b) + gamma(b + x) - gamma(b) - gamma(a + b + x)
        stays = -(r + x) * np.log(alpha + end)
        leaves = np.where(x > 0, np.log(a / last) - (r + x) * np.log(alpha + t), -np.inf)
        both = np.logaddexp(stays, leaves)
        stay, leave = np.exp(stays - both), np.exp(leaves - both)
        shared = psi(a + b) - psi(a + b + x)
        slopes = [
            psi(r + x) - psi(r) + np.log(alpha) - stay * np.log(alpha + end) - leave * np.log(alpha + t),
            r / alpha - (r + x) * (stay / (alpha + end) + leave / (alpha + t)),
            shared + leave / a,
            shared + psi(b + x) - psi(b) - leave / last,
        ]
        return float(count @ (fixed + both)), np.array([count @ each for each in slopes]) * np.exp(logs)

    return Purchases(*_best(likelihood, 4, float(count.sum())))


def fit_values(frequency: Numbers, value: Numbers) -> Values:
    """Customers without a repeat purchase do not count. Raises NotFitted as `fit_purchases` does."""
    is_repeated = (frequency > 0) & (value > 0)
    if not np.any(is_repeated):
        raise NotFitted("nobody has bought more than once")
    (x, m), count = _counted(frequency[is_repeated], value[is_repeated])
    scale = float(np.average(m, weights=count))
    m = m / scale  # amounts are in any currency, and the starts are near 1

    def likelihood(logs: Numbers) -> tuple[float, Numbers]:
        p, q, gamma = np.exp(logs)
        psi, total = special.psi, x * m + gamma
        said = special.gammaln(p * x + q) - special.gammaln(p * x) - special.gammaln(q) + q * np.log(gamma)
        said += (p * x - 1) * np.log(m) + p * x * np.log(x) - (p * x + q) * np.log(total)
        slopes = [
            x * (psi(p * x + q) - psi(p * x) + np.log(m * x / total)),
            psi(p * x + q) - psi(q) + np.log(gamma / total),
            q / gamma - (p * x + q) / total,
        ]
        return float(count @ said), np.array([count @ each for each in slopes]) * np.exp(logs)

    p, q, gamma = _best(likelihood, 3, float(count.sum()))
    if q <= 1:
        raise NotFitted("the mean value of customers has no mean (q is at most 1)")
    return Values(p, q, gamma * scale)


def _counted(*columns: Numbers) -> tuple[Numbers, Numbers]:
    """Return the distinct histories, sorted, and how many customers have each: their order never matters."""
    rows, count = np.unique(np.stack(columns), axis=1, return_counts=True)
    return rows, count.astype(np.float64)


def _best(
    likelihood: Callable[[Numbers], tuple[float, Numbers]], parameter_count: int, customer_count: float
) -> list[float]:
    """Return the parameters with the greatest likelihood, which at least two searches must have found."""

    def loss(logs: Numbers) -> tuple[float, Numbers]:
        with np.errstate(all="ignore"):
            value, slope = likelihood(logs)
        if np.isfinite(value) and np.all(np.isfinite(slope)):
            return -value / customer_count, -slope / customer_count
        return 1e10, np.zeros(parameter_count)

    options = {"maxiter": 2000, "ftol": 1e-13, "gtol": 1e-7}
    bounds = [(-EDGE, EDGE)] * parameter_count
    starts = [np.full(parameter_count, np.log(start)) for start in STARTS]
    found = [
        optimize.minimize(loss, start, jac=True, method="L-BFGS-B", bounds=bounds, options=options)
        for start in starts
    ]
    first, second, *_ = sorted(found, key=lambda one: float(one.fun))
    if not first.success or abs(second.fun - first.fun) > SAME * max(1.0, abs(first.fun)):
        raise NotFitted("the search found no maximum of the likelihood")
    if np.any(np.abs(first.x) > EDGE - 1):
        raise NotFitted("the histories do not determine all parameters")
    return [float(each) for each in np.exp(first.x)]
