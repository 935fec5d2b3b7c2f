"""What is written to the log, and how."""

from __future__ import annotations

import json
import logging
import sys

import pytest
from sagitta_server.config import LogSettings
from sagitta_server.logs import JsonFormatter, configure_logging


def test_a_json_line_holds_the_message_the_request_and_the_traceback() -> None:
    try:
        secret = "hidden"  # noqa: F841 (a local value that a traceback must not show)
        raise RuntimeError("broken")
    except RuntimeError:
        record = logging.LogRecord("sagitta.rpc", logging.ERROR, "f", 1, "%s failed", ("call",), sys.exc_info())
    record.request_id = "id-1"
    entry = json.loads(JsonFormatter().format(record))
    assert (entry["level"], entry["logger"], entry["message"]) == ("ERROR", "sagitta.rpc", "call failed")
    assert entry["request_id"] == "id-1"
    assert entry["time"].endswith("Z")
    assert "RuntimeError: broken" in entry["exception"]
    assert "hidden" not in entry["exception"].replace('secret = "hidden"', "")


@pytest.mark.parametrize("name", ["httpx", "httpcore.http11"])
def test_http_clients_log_neither_urls_nor_headers_at_any_level(name: str) -> None:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    try:
        configure_logging(LogSettings(level="debug"))
        assert not logging.getLogger(name).isEnabledFor(logging.INFO)
    finally:
        root.handlers[:] = handlers
        root.setLevel(level)
