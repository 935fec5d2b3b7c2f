"""Ports that are still free when the server that they are meant for comes to take them."""

from __future__ import annotations

import random
import socket

LOWEST, HIGHEST = 20_000, 32_000
"""Below what Linux gives to whoever asks for any port, as every client does: nobody takes one of these by chance."""


def free_ports(count: int) -> int:
    """The first of several free ports in a row."""
    while True:
        first = random.randrange(LOWEST, HIGHEST - count)
        if all(_is_free(port) for port in range(first, first + count)):
            return first


def free_port() -> int:
    """One free port."""
    return free_ports(1)


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True
