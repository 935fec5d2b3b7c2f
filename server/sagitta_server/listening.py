"""Whether an address can be listened on, found out before a library tries, which would not say why it failed."""

from __future__ import annotations

import socket


class ListenError(Exception):
    """An address cannot be listened on, or the TLS files cannot be used; the message says which and why."""


def check_free(surface: str, address: str) -> None:
    """Takes the address of a surface (`host:port`) for a moment.

    Raises:
        ListenError: it is taken, unknown, or not one of this machine.
    """
    host, _, port = address.rpartition(":")
    try:
        found = socket.getaddrinfo(host.strip("[]"), int(port), type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        family, kind, protocol, _, place = found[0]
        with socket.socket(family, kind, protocol) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(place)
    except (OSError, ValueError, OverflowError) as error:
        reason = getattr(error, "strerror", None) or "it is not HOST:PORT"
        raise ListenError(f"{surface} cannot listen on {address}: {reason}") from error
