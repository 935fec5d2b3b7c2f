"""A document as blocks, so that Markdown and PDF say the same."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Heading:
    """A heading of level 2 or 3."""

    text: str
    level: int = 2


@dataclass(frozen=True, slots=True)
class Paragraph:
    """A paragraph; `strong` for the one line that must not be missed."""

    text: str
    strong: bool = False


@dataclass(frozen=True, slots=True)
class Bullets:
    """A list of short items."""

    items: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Table:
    """A table; `widths` are relative and matter only on paper."""

    headers: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    widths: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Code:
    """A text in fixed width, kept as it is."""

    text: str
    language: str


Block = Heading | Paragraph | Bullets | Table | Code


@dataclass(frozen=True, slots=True)
class Document:
    """A title, a line below it, and blocks."""

    title: str
    subtitle: str
    blocks: tuple[Block, ...]
