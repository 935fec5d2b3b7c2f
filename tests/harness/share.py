"""Which share of the exhaustive tests a run takes: `SHARE=1/4` is the second quarter; without it, all of them.

Continuous integration takes another quarter with each commit, `make test` by hand takes the whole.
"""

from __future__ import annotations

import os
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Share:
    """One of several shares that together are everything, each once."""

    number: int = 0
    of: int = 1

    @classmethod
    def read(cls, text: str) -> Share:
        """`0/4` is the first quarter."""
        number, _, of = text.partition("/")
        share = cls(int(number), int(of))
        if not 0 <= share.number < share.of:
            raise ValueError(f"{text} is no share: the first of four is 0/4")
        return share

    @property
    def is_whole(self) -> bool:
        return self.of == 1

    def holds(self, number: int) -> bool:
        """Whether a numbered case is in this share."""
        return number % self.of == self.number


WHOLE = Share()
SHARE = Share.read(os.environ.get("SHARE", "0/1"))
