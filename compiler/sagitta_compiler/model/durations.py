"""Durations of freshness contracts.

Two small grammars: `<n><s|m|h|d|w>` and the part of ISO 8601 that has a fixed length. A library for ISO durations
would also read months and years, which the language refuses.
"""

from __future__ import annotations

import re

_SECONDS = {"s": 1, "m": 60, "h": 3_600, "d": 86_400, "w": 604_800}
_SHORT = re.compile(r"(\d{1,9})([smhdw])")
_ISO = re.compile(r"P(?=\d|T\d)(?:(\d{1,6})D)?(?:T(?=\d)(?:(\d{1,6})H)?(?:(\d{1,6})M)?(?:(\d{1,9})S)?)?")


def parse_duration(text: str) -> int | None:
    """Returns the seconds of a positive duration; None when the text is none."""
    text = text.strip()
    if match := _SHORT.fullmatch(text):
        return int(match[1]) * _SECONDS[match[2]] or None
    if match := _ISO.fullmatch(text.upper()):
        days, hours, minutes, seconds = (int(part or 0) for part in match.groups())
        return days * 86_400 + hours * 3_600 + minutes * 60 + seconds or None
    return None
