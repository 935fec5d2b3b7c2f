"""What `bench_service` compares rates with: a gRPC server in Python that answers ready bytes and does nothing else.

Usage: python bare_grpc_server.py < ANSWER; prints its `host:port`.
"""

from __future__ import annotations

import sys
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import grpc


class Ready(grpc.GenericRpcHandler):  # type: ignore[misc]
    """Takes every method, and answers the same message."""

    def __init__(self, answer: bytes) -> None:
        self._handler = grpc.unary_unary_rpc_method_handler(lambda request, context: answer)

    def service(self, handler_call_details: Any) -> Any:
        return self._handler


if __name__ == "__main__":
    server = grpc.server(ThreadPoolExecutor(32), handlers=[Ready(sys.stdin.buffer.read())])
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    print(f"127.0.0.1:{port}", flush=True)
    server.wait_for_termination()
