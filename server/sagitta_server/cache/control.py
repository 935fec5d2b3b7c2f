"""What a caller says about the age of results, in the words of HTTP (RFC 9111)."""

from __future__ import annotations

import re

_MAX_AGE = re.compile(r'max-age\s*=\s*"?(\d{1,9})"?')
_FRESH = frozenset({"no-cache", "no-store"})


def accepted_age(cache_control: str | None) -> int | None:
    """Returns the age in seconds up to which a caller accepts a result: 0 asks for a fresh one, None takes any.

    Directives that mean nothing here, or are misspelt, say nothing.
    """
    ages: list[int] = []
    for directive in (cache_control or "").lower().split(","):
        word = directive.strip()
        if word in _FRESH:
            return 0
        if match := _MAX_AGE.fullmatch(word):
            ages.append(int(match[1]))
    return min(ages, default=None)
