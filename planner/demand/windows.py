"""Compresses 168 hourly minima into a few windows that a person can read, never below any of them."""

from __future__ import annotations

from collections.abc import Sequence

from planner.week import Window

__all__ = ["windows_of"]

# Ways to share one daily shape, the most readable first: (first day, last day) of each group.
_GROUPINGS = (
    ((0, 6),),
    ((0, 4), (5, 6)),
    ((0, 4), (5, 5), (6, 6)),
    tuple((day, day) for day in range(7)),
)
# Windows are dropped as long as the schedule costs at most this much more than the closest one allowed.
_TOLERATED_EXCESS = 0.02


def windows_of(needed: Sequence[int], *, most_windows: int) -> tuple[int, tuple[Window, ...]]:
    """The least replica-hours that cover ``needed`` with at most ``most_windows`` windows, or nearly that with fewer.

    Args:
        needed: 168 minima, Monday 00:00 first.
        most_windows: at least 0.

    Returns:
        The minimum outside all windows, and the windows above it, ordered by day and hour.
    """
    options: list[tuple[int, int, tuple[Window, ...]]] = []
    for grouping in _GROUPINGS:
        shapes = [
            tuple(max(needed[day * 24 + hour] for day in range(first, last + 1)) for hour in range(24))
            for first, last in grouping
        ]
        covers = [_covers(shape) for shape in shapes]
        for pieces in range(max(map(len, covers))):
            chosen = [
                (days, step)
                for days, cover in zip(grouping, covers, strict=True)
                for step in cover[min(pieces, len(cover) - 1)]
            ]
            cost = sum((last - first + 1) * (end - start) * peak for (first, last), (start, end, peak) in chosen)
            base = min(peak for _, (_, _, peak) in chosen)
            windows = tuple(
                Window(first_day=first, last_day=last, start_hour=start, end_hour=end, replicas=peak)
                for (first, last), (start, end, peak) in chosen
                if peak > base
            )
            options.append((cost, base, windows))
    # One step for all days needs no window, so that something is always allowed.
    allowed = [option for option in options if len(option[2]) <= most_windows]
    affordable = min(cost for cost, _, _ in allowed) * (1 + _TOLERATED_EXCESS)
    _, base, windows = min((o for o in allowed if o[0] <= affordable), key=lambda option: (len(option[2]), option[0]))
    return base, windows


def _covers(shape: tuple[int, ...]) -> list[tuple[tuple[int, int, int], ...]]:
    """The cheapest covers of a daily shape from above by at most 1, 2, ... steps (start, end, replicas).

    The list ends with the first cover that no further step makes cheaper.
    """
    hours = len(shape)
    peaks = {(start, end): max(shape[start:end]) for start in range(hours) for end in range(start + 1, hours + 1)}
    best = [(0, ())] + [(end * peaks[0, end], ((0, end, peaks[0, end]),)) for end in range(1, hours + 1)]
    covers = [best[hours][1]]
    for _ in range(hours - 1):
        longer = [best[0]]
        for end in range(1, hours + 1):
            split = min(range(end), key=lambda start: best[start][0] + (end - start) * peaks[start, end])
            cost = best[split][0] + (end - split) * peaks[split, end]
            step = (split, end, peaks[split, end])
            longer.append((cost, (*best[split][1], step)) if cost < best[end][0] else best[end])
        if longer == best:
            break
        best = longer
        covers.append(best[hours][1])
    return covers
