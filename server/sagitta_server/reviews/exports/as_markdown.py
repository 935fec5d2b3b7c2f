"""Documents as Markdown; texts from outside cannot become markup."""

from __future__ import annotations

import re
from typing import assert_never

from sagitta_server.reviews.exports.blocks import Block, Bullets, Code, Document, Heading, Paragraph, Table

_SPECIAL = re.compile(r"([\\`*_{}\[\]<>|#~])")
_LINE_START = re.compile(r"^(\s*)([-+=])", re.MULTILINE)
_NUMBERED = re.compile(r"^(\s*\d+)([.)])(?=\s|$)", re.MULTILINE)
"""A numbered item is escaped behind its number: a backslash before a digit would be shown."""


def markdown(document: Document) -> str:
    """The text of a document."""
    parts = [f"# {_escape(document.title)}", f"*{_escape(document.subtitle)}*", *map(_block, document.blocks)]
    return "\n\n".join(parts) + "\n"


def _block(block: Block) -> str:
    match block:
        case Heading():
            return f"{'#' * block.level} {_escape(block.text)}"
        case Paragraph():
            text = _escape(block.text)
            return f"**{text}**" if block.strong else text
        case Bullets():
            return "\n".join(f"- {_escape(' '.join(item.split()))}" for item in block.items)
        case Table():
            return _table(block)
        case Code():
            fence = "`" * max(3, 1 + max((len(run) for run in re.findall(r"`+", block.text)), default=0))
            return f"{fence}{block.language}\n{block.text.rstrip()}\n{fence}"
        case _:
            assert_never(block)


def _table(table: Table) -> str:
    rows = [table.headers, tuple("---" for _ in table.headers)]
    lines = [f"| {' | '.join(row)} |" for row in rows]
    lines += [f"| {' | '.join(_one_line(cell) for cell in row)} |" for row in table.rows]
    return "\n".join(lines)


def _one_line(text: str) -> str:
    """Text of a table's cell, where nothing begins a line."""
    return _SPECIAL.sub(r"\\\1", " ".join(text.split()))


def _escape(text: str) -> str:
    return _NUMBERED.sub(r"\1\\\2", _LINE_START.sub(r"\1\\\2", _SPECIAL.sub(r"\\\1", text)))
