"""Demand: from a request history to a forecast with quantiles, and on to minimum replicas by hour of the week."""

from planner.demand.accuracy import Accuracy
from planner.demand.forecast import Forecast, forecast
from planner.demand.history import History
from planner.demand.reading import RequestTrace, read_history, read_requests
from planner.demand.schedule import Schedule, minimum_replicas
from planner.demand.table import series_names

__all__ = [
    "Accuracy",
    "Forecast",
    "History",
    "RequestTrace",
    "Schedule",
    "forecast",
    "minimum_replicas",
    "read_history",
    "read_requests",
    "series_names",
]
