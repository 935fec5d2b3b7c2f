"""An OpenAI-compatible endpoint on loopback that answers as told: right, wrong, slow, malicious, or not at all."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

Reply = Callable[[dict[str, Any]], tuple[int, bytes]]


def chat(content: str) -> tuple[int, bytes]:
    """A completion whose message is a text."""
    return 200, json.dumps({"choices": [{"message": {"content": content}}], "usage": {"total_tokens": 7}}).encode()


class FakeAi:
    """What was asked, and how to answer."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.asked: list[dict[str, Any]] = []
        self.reply: Reply = lambda _: chat('{"fields": []}')

    @property
    def text(self) -> str:
        """Everything that was sent out."""
        return json.dumps(self.asked)


@contextmanager
def fake_ai() -> Iterator[FakeAi]:
    """A running endpoint."""
    holder: list[FakeAi] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            holder[0].asked.append(body)
            status, content = holder[0].reply(body)
            try:
                self.send_response(status)
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)
            except (BrokenPipeError, ConnectionResetError):
                pass  # the client gave up, as it should

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    holder.append(FakeAi(f"http://127.0.0.1:{server.server_port}/v1"))
    try:
        yield holder[0]
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def slow(seconds: float) -> Reply:
    """Answers rightly, too late."""

    def reply(_: dict[str, Any]) -> tuple[int, bytes]:
        time.sleep(seconds)
        return chat('{"fields": []}')

    return reply
