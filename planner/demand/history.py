"""Request history of one service: rates in equal bins of UTC time, with unknown bins marked."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

__all__ = ["DAY_SECONDS", "HOUR_SECONDS", "WEEK_SECONDS", "History", "bin_size_at_least"]

HOUR_SECONDS = 3600
DAY_SECONDS = 86_400
WEEK_SECONDS = 604_800
_NICE_BINS_SECONDS = (1, 2, 5, 10, 15, 20, 30, 60, 120, 300, 600, 900, 1200, 1800, 3600, 7200, 10_800, 21_600)
# A bin that expects this many requests is empty by chance with probability e^-14 (below one in a million).
_COUNT_THAT_RULES_OUT_A_CHANCE_ZERO = 14.0


@dataclass(frozen=True, kw_only=True)
class History:
    """Request rates of one service.

    Attributes:
        name: the service, for messages.
        start_seconds: start of the first bin, in seconds since 1970 UTC (not ``anchored``: since an unknown start).
        bin_seconds: length of a bin; divides a day, so that the same bin exists every day.
        rates: requests per second, one per bin; NaN where nothing is known.
        anchored: whether the times are calendar times; without it there is no hour of the week, only a phase.
        zeros_are_measured: a zero is known to mean no request, as in a log of single requests.
    """

    name: str
    start_seconds: float
    bin_seconds: int
    rates: NDArray[np.float64]
    anchored: bool = True
    zeros_are_measured: bool = False

    def __post_init__(self) -> None:
        if self.bin_seconds <= 0 or DAY_SECONDS % self.bin_seconds:
            raise ValueError(f"bin_seconds must divide a day of {DAY_SECONDS} s, got {self.bin_seconds}")
        if np.any(self.rates < 0) or np.any(np.isinf(self.rates)):
            raise ValueError("rates must be finite and not negative (NaN where unknown)")

    @property
    def end_seconds(self) -> float:
        """End of the last bin, which is where a forecast starts."""
        return self.start_seconds + self.rates.size * self.bin_seconds

    @property
    def span_seconds(self) -> float:
        """Time from the start of the first bin to the end of the last."""
        return self.end_seconds - self.start_seconds

    @property
    def day_bins(self) -> int:
        """Bins per day."""
        return DAY_SECONDS // self.bin_seconds

    @property
    def known(self) -> NDArray[np.bool_]:
        """Which bins have a rate."""
        return ~np.isnan(self.rates)

    def rebinned(self, bin_seconds: int) -> History:
        """The same history in bins of ``bin_seconds``, a multiple of the present one: the mean of the known parts."""
        factor, rest = divmod(bin_seconds, self.bin_seconds)
        if rest or factor < 1:
            raise ValueError(f"cannot rebin {self.bin_seconds} s to {bin_seconds} s: not a multiple")
        lead = int(self.start_seconds % bin_seconds) // self.bin_seconds
        tail = -(lead + self.rates.size) % factor
        padded = np.concatenate([np.full(lead, np.nan), self.rates, np.full(tail, np.nan)]).reshape(-1, factor)
        known = ~np.isnan(padded)
        totals = np.where(known, padded, 0.0).sum(axis=1)
        counts = known.sum(axis=1)
        rates = np.divide(totals, counts, out=np.full(counts.size, np.nan), where=counts > 0)
        start = self.start_seconds - lead * self.bin_seconds
        return replace(self, start_seconds=start, bin_seconds=bin_seconds, rates=rates)

    def last(self, seconds: float) -> History:
        """The most recent ``seconds`` of the history (all of it when it is shorter)."""
        drop = max(0, self.rates.size - int(seconds // self.bin_seconds))
        start = self.start_seconds + drop * self.bin_seconds
        return replace(self, start_seconds=start, rates=self.rates[drop:])

    def with_outages_masked(self) -> History:
        """The same history with zeros that are gaps in the recording, not absent demand, marked unknown.

        A zero is taken for a gap when the service is busy enough that an empty bin cannot be chance (the quietest
        twentieth of its other bins expects at least 14 requests, so a Poisson zero has probability below 1e-6), unless
        zeros are the habit at that time of day (on more than half of the days), as of a service switched off at night.
        """
        zero = self.rates == 0
        positive = self.rates[self.rates > 0]
        if self.zeros_are_measured or not zero.any() or positive.size == 0:
            return self
        if np.quantile(positive, 0.05) * self.bin_seconds < _COUNT_THAT_RULES_OUT_A_CHANCE_ZERO:
            return self
        phase = np.arange(self.rates.size) % self.day_bins
        days = np.bincount(phase, weights=self.known, minlength=self.day_bins)
        zero_days = np.bincount(phase, weights=zero, minlength=self.day_bins)
        habitual = (zero_days > days / 2) & (zero_days > 1)
        return replace(self, rates=np.where(zero & ~habitual[phase], np.nan, self.rates))


def bin_size_at_least(seconds: float) -> int:
    """The smallest readable bin length in seconds, a divisor of a day, that is not below ``seconds``."""
    return next((size for size in _NICE_BINS_SECONDS if size >= seconds * (1 - 1e-9)), _NICE_BINS_SECONDS[-1])
