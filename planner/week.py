"""Windows of the week with a minimum of replicas: as people read them, and as cron expressions. All times are UTC.

KEDA's cron trigger is active when its next end comes before its next start (kedacore/keda, pkg/scalers/cron_scaler.go),
and a scaler takes the highest of its triggers; outside them its own minimum holds.
"""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["DAY_NAMES", "Window", "cron_span", "day_span", "hour_span", "read_window"]

DAY_NAMES = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_DAILY = "daily"
_HOUR_MINUTES = 60
_DAY_MINUTES = 1440
_WEEK_MINUTES = 10_080


@dataclass(frozen=True, kw_only=True)
class Window:
    """Hours of some days with the same minimum.

    Attributes:
        first_day: Monday is 0.
        last_day: included.
        start_hour: 0..23.
        end_hour: 1..24, excluded.
        replicas: at least this many.
    """

    first_day: int
    last_day: int
    start_hour: int
    end_hour: int
    replicas: int


def day_span(window: Window) -> str:
    """``Mon``, ``Mon-Fri`` or ``daily``."""
    first, last = window.first_day, window.last_day
    if (first, last) == (0, 6):
        return _DAILY
    return DAY_NAMES[first] if first == last else f"{DAY_NAMES[first]}-{DAY_NAMES[last]}"


def hour_span(window: Window) -> str:
    """``08:00-20:00``."""
    return f"{window.start_hour:02}:00-{window.end_hour:02}:00"


def read_window(days: str, hours: str, replicas: int) -> Window:
    """The window that `day_span` and `hour_span` wrote; ValueError when they did not."""
    first, _, last = ("Mon-Sun" if days == _DAILY else days).partition("-")
    start, _, end = hours.partition("-")
    window = Window(
        first_day=DAY_NAMES.index(first),
        last_day=DAY_NAMES.index(last or first),
        start_hour=int(start.removesuffix(":00")),
        end_hour=int(end.removesuffix(":00")),
        replicas=replicas,
    )
    if not (window.first_day <= window.last_day and 0 <= window.start_hour < window.end_hour <= 24):
        raise ValueError(f"{days} {hours} is no window of a week")
    return window


def cron_span(window: Window, *, lead_minutes: int) -> tuple[str, str]:
    """Start and end as cron expressions; a window of whole days is one stretch from its first day to its last.

    Args:
        window: in UTC.
        lead_minutes: 0..60, how much earlier it starts, so that its replicas are ready when it does.
    """
    if not 0 <= lead_minutes <= _HOUR_MINUTES:
        raise ValueError(f"lead_minutes must be within 0..{_HOUR_MINUTES}, got {lead_minutes}")
    days = window.last_day - window.first_day + 1
    begin = window.first_day * _DAY_MINUTES + window.start_hour * _HOUR_MINUTES - lead_minutes
    if window.end_hour - window.start_hour == 24:
        return _cron(begin, 1), _cron(begin + lead_minutes + days * _DAY_MINUTES, 1)
    end = window.first_day * _DAY_MINUTES + window.end_hour * _HOUR_MINUTES
    return _cron(begin, days), _cron(end, days)


def _cron(minute_of_week: int, days: int) -> str:
    """A weekly cron at a minute of the week (which may be before Monday or after Sunday) on consecutive days."""
    minute = minute_of_week % _WEEK_MINUTES
    first = minute // _DAY_MINUTES
    if days == 7:
        weekdays = "*"
    else:
        numbers = sorted(_cron_day(day % 7) for day in range(first, first + days))
        consecutive = days > 1 and numbers[-1] - numbers[0] == days - 1
        weekdays = f"{numbers[0]}-{numbers[-1]}" if consecutive else ",".join(map(str, numbers))
    return f"{minute % _HOUR_MINUTES} {minute // _HOUR_MINUTES % 24} * * {weekdays}"


def _cron_day(day: int) -> int:
    """Cron counts from Sunday = 0; ours from Monday = 0."""
    return (day + 1) % 7
