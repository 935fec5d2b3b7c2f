"""Logs: plain lines for people, or one JSON object per line for machines.

Records carry the request id of their call. Tracebacks are Python's own, without the values of variables: short,
quick to make, and they give no data away.
"""

from __future__ import annotations

import datetime as dt
import json
import logging
import sys

from sagitta_server.config import LogSettings

CONSOLE = "%(asctime)s %(levelname)-7s %(name)s: %(message)s"
_STANDARD = frozenset(logging.makeLogRecord({}).__dict__) | {"message", "asctime", "taskName"}


class ConsoleFormatter(logging.Formatter):
    """A line, with the trace of its call where there is one."""

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 (the name is the library's)
        line = super().formatMessage(record)
        trace_id = getattr(record, "trace_id", None)
        return line if trace_id is None else f"{line} trace_id={trace_id}"


class JsonFormatter(logging.Formatter):
    """One object per line: time, level, logger, message, what the caller added, and the traceback."""

    def format(self, record: logging.LogRecord) -> str:
        entry: dict[str, object] = {
            "time": dt.datetime.fromtimestamp(record.created, dt.UTC).isoformat().replace("+00:00", "Z"),
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
        }
        entry |= {key: value for key, value in record.__dict__.items() if key not in _STANDARD}
        if record.exc_info:
            entry["exception"] = self.formatException(record.exc_info)
        return json.dumps(entry, default=str)


def configure_logging(settings: LogSettings) -> None:
    """Sends the logs of this process to standard error, at the level and in the form of the settings."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonFormatter() if settings.format == "json" else ConsoleFormatter(CONSOLE))
    logging.basicConfig(level=settings.level.upper(), handlers=[handler], force=True)
    for chatty in ("alembic", "httpx", "httpcore"):  # HTTP clients would log URLs with values, and headers with tokens
        logging.getLogger(chatty).setLevel(max(logging.WARNING, logging.getLogger().level))
