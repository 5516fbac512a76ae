"""Logs: one JSON object per line on standard output. Prompts, answers and keys are never in them."""

from __future__ import annotations

import json
import logging
import sys
from datetime import UTC, datetime

from starlette.types import Scope

__all__ = ["configure", "log_request", "note"]

_access = logging.getLogger("assistant.access")


class _JsonLines(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        entry = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
            **getattr(record, "fields", {}),
        }
        if record.exc_info:
            entry["traceback"] = self.formatException(record.exc_info)
        return json.dumps(entry, ensure_ascii=False)


def configure(level: str) -> None:
    """Send everything, uvicorn's messages included, through the JSON formatter."""
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(_JsonLines())
    logging.basicConfig(level=level.upper(), handlers=[handler], force=True)


def note(scope: Scope, **fields: object) -> None:
    """Add fields to the log line of this request."""
    scope.setdefault("assistant.fields", {}).update(fields)


def log_request(scope: Scope, **fields: object) -> None:
    """One line for one request, with what was noted while it was answered."""
    _access.info("request", extra={"fields": {**fields, **scope.get("assistant.fields", {})}})
