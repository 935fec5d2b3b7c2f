"""A number that changes whenever one of the processes of an engine has changed what the others keep in memory.

Processes of one engine share a small file that is mapped into the memory of each; a place in it belongs to every
process, so that no two write the same one. Looking at it costs less than a microsecond, which is why nobody need ask
the database whether what was read is still true.
"""

from __future__ import annotations

import mmap
import struct
import threading
from pathlib import Path

_PLACE = struct.Struct("=Q")


class Generation:
    """The counts of all processes of an engine, of which this one may raise its own."""

    def __init__(self, memory: mmap.mmap, number: int) -> None:
        self._memory = memory
        self._number = number
        self._lock = threading.Lock()

    @property
    def value(self) -> bytes:
        """What the counts are now; another value than before tells that something has changed."""
        return self._memory[:]

    def raise_own(self) -> None:
        """Tells every process that something has changed; call it when the change can be read, before telling it."""
        with self._lock:
            place = self._number * _PLACE.size
            (count,) = _PLACE.unpack_from(self._memory, place)
            _PLACE.pack_into(self._memory, place, count + 1)


def own_generation() -> Generation:
    """A generation that no other process sees."""
    return Generation(mmap.mmap(-1, _PLACE.size), 0)


def shared_generation(path: Path, number: int, processes: int) -> Generation:
    """The generation of process `number` (from 0) of several; the first call makes the file."""
    size = processes * _PLACE.size
    with path.open("a+b") as file:
        file.truncate(size)
        return Generation(mmap.mmap(file.fileno(), size), number)
