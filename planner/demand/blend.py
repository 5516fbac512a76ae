"""Weighs simple forecasts by what they earned, online: at every origin only outcomes known by then count.

Three learners with different strengths, over the same experts:

- a robust regression of the log-ratio to the naive forecast (least absolute deviations, shrunk to zero), which can
  combine experts that are wrong in opposite ways; it joins the experts as one more;
- ML-Poly with the gradient trick (Gaillard, Stoltz, van Erven, "A second-order bound with excess losses", COLT 2014),
  free of tuning, whose loss approaches that of the best fixed mixture;
- exponential weights on discounted losses, averaged over several memories and sharpnesses, quick to follow a change.

A last ML-Poly weighs the second and third. All are invariant to the scale of the rates.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from planner.demand.experts import discounted_sums

__all__ = ["LogRegression", "exponential_weights", "mixed", "ml_poly"]

Floats = NDArray[np.float64]
Ints = NDArray[np.int_]

_MEMORY_DAYS = (1.0, 3.0, 7.0)
# A relative excess loss of 1/sharpness over the best expert costs a factor e of weight.
_SHARPNESS = (4.0, 8.0, 16.0)
_REGRESSION_MEMORY_DAYS = 3.0
_REGRESSION_REFITS_PER_DAY = 12
# Ridge per unit of observation weight, on log-ratios: strong enough that a day of data moves coefficients by tenths.
_REGRESSION_RIDGE = 0.3
# Residuals below this log-ratio (0.1 %) count as this one in the reweighting, which keeps it finite.
_SMALLEST_RESIDUAL = 1e-3

# A difference below this part of the mean is none: the sign of a rounding error must not move weights.
_EXACT = 1e-9


def mixed(weights: Floats, forecasts: Floats) -> Floats:
    """The weighted sum over the last axis."""
    return np.einsum("...k,...k->...", weights, forecasts)


def ml_poly(forecasts: Floats, rates: Floats, horizons: Ints) -> Floats:
    """Weights of the experts at every origin by polynomially weighted averages with a learning rate per expert.

    Args:
        forecasts: shape (h, n, k): of expert k, made at bin n, for the bin ``horizons[h]`` later.
        rates: outcomes, shape (n,), NaN where unknown.
        horizons: in bins, shape (h,).

    Returns:
        Weights, shape (h, n, k), not negative and summing to one.
    """
    count, bins, experts = forecasts.shape
    scale = _mean_so_far(rates)
    rows = np.arange(count)
    weights = np.full((count, bins, experts), 1.0 / experts)
    said = np.empty((count, bins))
    current = np.full((count, experts), 1.0 / experts)
    regret = np.zeros((count, experts))
    energy = np.full((count, experts), 1e-12)
    for now in range(bins):
        made = now - horizons
        if not np.isnan(rates[now]) and made.max() >= 0:
            at = np.maximum(made, 0)
            mixture = said[rows, at]
            slope = np.sign(_rounded((mixture - rates[now]) / scale[now])) * (made >= 0)
            gain = slope[:, None] * _rounded((mixture[:, None] - forecasts[rows, at]) / scale[now])
            regret += gain
            energy += gain * gain
            raw = np.maximum(regret, 0.0) / energy
            total = raw.sum(axis=1, keepdims=True)
            current = np.divide(raw, total, out=np.full_like(raw, 1.0 / experts), where=total > 0)
        weights[:, now] = current
        said[:, now] = mixed(current, forecasts[:, now])
    return weights


def exponential_weights(forecasts: Floats, rates: Floats, horizons: Ints, *, day_bins: int) -> Floats:
    """Weights of the experts at every origin by discounted relative losses; arguments and result as for `ml_poly`."""
    losses = np.stack([_known_losses(forecasts[i], rates, int(h)) for i, h in enumerate(horizons)])
    weights = np.zeros_like(losses)
    for days in _MEMORY_DAYS:
        keep = np.array(0.5 ** (1.0 / (days * day_bins)))
        total = discounted_sums(losses.swapaxes(0, 1), keep).swapaxes(0, 1)
        best = np.maximum(total.min(axis=2, keepdims=True), _EXACT)
        for sharpness in _SHARPNESS:
            raw = np.exp(-sharpness * np.minimum(total / best - 1.0, 1e3))
            weights += raw / raw.sum(axis=2, keepdims=True)
    return weights / (len(_MEMORY_DAYS) * len(_SHARPNESS))


class LogRegression:
    """Least absolute deviations of log(rate / naive) on the experts' log-ratios to naive, refitted through the history.

    The weights of iteratively reweighted least squares are set once, as an outcome arrives, from the coefficients of
    that time: one pass over the history instead of one per origin, with the same fixed point.

    Attributes:
        coefficients: shape (h, n, k), the naive expert's own column (the first) being zero.
    """

    def __init__(self, forecasts: Floats, rates: Floats, horizons: Ints, *, day_bins: int) -> None:
        count, bins, experts = forecasts.shape
        logs = np.log(forecasts)
        ratios = logs - logs[:, :, :1]
        with np.errstate(divide="ignore"):
            truth = np.log(np.maximum(rates, forecasts.min() / 10.0))
        importance = rates / _mean_so_far(rates)
        refit = max(1, day_bins // _REGRESSION_REFITS_PER_DAY)
        keep = 0.5 ** (refit / (_REGRESSION_MEMORY_DAYS * day_bins))
        moments = np.zeros((count, experts, experts))
        products = np.zeros((count, experts))
        mass = np.zeros(count)
        fitted = np.zeros((count, experts))
        rows = np.arange(count)[:, None]
        self.coefficients = np.zeros((count, bins, experts))
        for now in range(0, bins, refit):
            arrived = np.arange(max(0, now - refit + 1), now + 1)
            made = arrived[None, :] - horizons[:, None]
            at = np.maximum(made, 0)
            x = ratios[rows, at]
            y = truth[arrived][None, :] - logs[rows, at, 0]
            usable = (made >= 0) & ~np.isnan(y)
            y = np.where(usable, y, 0.0)
            weight = np.where(usable, np.nan_to_num(importance[arrived])[None, :], 0.0)
            pull = weight / np.maximum(np.abs(y - np.einsum("hbk,hk->hb", x, fitted)), _SMALLEST_RESIDUAL)
            moments = keep * moments + np.einsum("hb,hbj,hbk->hjk", pull, x, x)
            products = keep * products + np.einsum("hb,hbk,hb->hk", pull, x, y)
            mass = keep * mass + usable.sum(axis=1)
            ridge = np.maximum(_REGRESSION_RIDGE * mass, 1e-9)[:, None, None] * np.eye(experts)
            fitted = np.linalg.solve(moments + ridge, products[:, :, None])[:, :, 0]
            self.coefficients[:, now : now + refit] = fitted[:, None, :]

    @staticmethod
    def forecasts(coefficients: Floats, forecasts: Floats) -> Floats:
        """The regression's forecast, held within what the experts span: extrapolation is not its business."""
        logs = np.log(forecasts)
        raw = logs[..., 0] + mixed(coefficients, logs - logs[..., :1])
        return np.exp(np.clip(raw, logs.min(axis=-1), logs.max(axis=-1)))


def _rounded(differences: Floats) -> Floats:
    """Zero in place of rounding errors."""
    return np.where(np.abs(differences) > _EXACT, differences, 0.0)


def _known_losses(forecasts: Floats, rates: Floats, horizon: int) -> Floats:
    """Relative absolute errors by the time they are known: row n judges the forecasts made ``horizon`` bins before."""
    losses = np.zeros_like(forecasts)
    truth = rates[horizon:, None]
    losses[horizon:] = np.nan_to_num(np.abs(forecasts[: max(0, rates.size - horizon)] - truth))
    return _rounded(losses / _mean_so_far(rates)[:, None])


def _mean_so_far(rates: Floats) -> Floats:
    """Mean of the known rates up to each bin (at the start: of the first positive one, so that it divides)."""
    known = ~np.isnan(rates)
    total = np.cumsum(np.where(known, rates, 0.0))
    mean = total / np.maximum(np.cumsum(known), 1)
    first = rates[np.flatnonzero(np.nan_to_num(rates) > 0)[0]]
    return np.where(mean > 0, mean, first)
