"""One port, a listening socket for each worker."""

from __future__ import annotations

import socket
import sys
from typing import Any


class SharedPort(socket.socket):
    """A bound socket that becomes another one on its way to a worker: each listens for itself on the same port.

    The kernel spreads new connections over the listening sockets of a port. Of one socket that all workers listen on,
    the worker that wakes up first takes most of the connections, and the others rest.
    """

    supported = sys.platform == "linux"
    """Elsewhere SO_REUSEPORT is missing, or does not spread."""

    @classmethod
    def bound(cls, family: int, address: Any) -> SharedPort:
        shared = cls(family, socket.SOCK_STREAM)
        shared.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        shared.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        shared.bind(address)
        return shared

    @classmethod
    def instead_of(cls, exclusive: socket.socket) -> SharedPort:
        """Takes over the address of a socket that had it alone: nobody else's port is shared by mistake."""
        family, address = exclusive.family, exclusive.getsockname()
        exclusive.close()
        return cls.bound(family, address)

    def __reduce__(self) -> tuple[Any, ...]:
        return SharedPort.bound, (int(self.family), self.getsockname())
