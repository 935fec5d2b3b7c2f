"""What the parser says about a mistake, in words for the person who made it: its own name classes of its code."""

from __future__ import annotations

import re

_INCOMPLETE = re.compile(r"Required keyword: '\w+' missing for <class '[\w.]*?(\w+)'>")
_TOKEN = re.compile(r"<Token .*?text: (?P<text>.*?), line: [^>]*>", re.DOTALL)
_OBJECT = re.compile(r"<[a-zA-Z][^>]*>")
_END = "SENTINEL"
_WRITTEN = {
    "EQ": "=",
    "NEQ": "<>",
    "GT": ">",
    "GTE": ">=",
    "LT": "<",
    "LTE": "<=",
    "Add": "+",
    "Sub": "-",
    "Neg": "-",
    "Mul": "*",
    "Div": "/",
    "DPipe": "||",
    "Order": "ORDER BY",
    "Ordered": "ORDER BY",
    "Group": "GROUP BY",
    "If": "WHEN",
    "Join": "JOIN",
}
"""How the parser's classes are written, where that is not their name."""


def in_words(description: str) -> str:
    """A description of the parser without the names of its classes."""
    if incomplete := _INCOMPLETE.fullmatch(description):
        name = incomplete[1]
        return f"{_WRITTEN.get(name, name.upper())} is incomplete"
    named = _TOKEN.sub(lambda token: "the end" if token["text"] == _END else f"'{token['text']}'", description)
    return _OBJECT.sub("something else", named)
