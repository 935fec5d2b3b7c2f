"""A user's mistake as data: a code, where it is, what is wrong and what to do.

Diagnostics are returned, never raised, so that one run reports all of them. Codes are stable and are never repurposed.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from types import MappingProxyType
from typing import Any, Final

from sagitta_compiler.codes import CODES
from sagitta_compiler.names import near

MAX_COMPARISONS: Final = 1_000_000
"""How many names are compared for suggestions in one run."""
_EMPTY: Mapping[str, Any] = MappingProxyType({})


class Severity(StrEnum):
    """How much a diagnostic matters: only an error stops the work."""

    ERROR = "error"
    WARNING = "warning"
    INFO = "info"


@dataclass(frozen=True, slots=True)
class Span:
    """A place in a text: 1-based line and column, end exclusive."""

    line: int
    column: int
    end_line: int
    end_column: int


@dataclass(frozen=True, slots=True)
class Diagnostic:
    """One thing to tell the author of a model or a query.

    `path` is dotted with list positions in brackets (`measures.Revenue.columns[0]`, `select.dimensions`);
    `context` carries every value that the message mentions; `suggestions` holds at most three near names.
    """

    code: str
    message: str
    path: str = ""
    severity: Severity = Severity.ERROR
    hint: str | None = None
    context: Mapping[str, Any] = field(default_factory=lambda: _EMPTY)
    suggestions: tuple[str, ...] = ()
    span: Span | None = None
    source: str | None = None
    """The name of the text that the span is in; None for the model's or query's own."""

    def __post_init__(self) -> None:
        """Gives a diagnostic without a hint the first suggestion, or the remedy of its code."""
        if self.hint is None:
            code = CODES.get(self.code)
            remedy = code.remedy if code is not None else None
            hint = f"Did you mean '{self.suggestions[0]}'?" if self.suggestions else remedy
            object.__setattr__(self, "hint", hint)

    @property
    def is_error(self) -> bool:
        return self.severity is Severity.ERROR

    def at(self, span: Span | None, source: str | None = None) -> Diagnostic:
        """Returns the same diagnostic placed at a span of a text."""
        return replace(self, span=span, source=source)


class Diagnostics:
    """Collects diagnostics in the order in which they were found; the one mutable value of a compiler stage."""

    __slots__ = ("_comparisons", "_items")

    def __init__(self, items: Iterable[Diagnostic] = ()) -> None:
        self._items: list[Diagnostic] = list(items)
        self._comparisons = MAX_COMPARISONS

    def near(self, name: str, candidates: Iterable[str]) -> tuple[str, ...]:
        """At most three candidates that look like a name; none once a great many were compared in this run."""
        known = list(candidates)
        self._comparisons -= len(known)
        return near(name, known) if self._comparisons > 0 else ()

    def add(self, diagnostic: Diagnostic) -> None:
        self._items.append(diagnostic)

    def error(self, code: str, message: str, path: str = "", **rest: Any) -> None:
        self.add(Diagnostic(code, message, path, Severity.ERROR, **rest))

    def warning(self, code: str, message: str, path: str = "", **rest: Any) -> None:
        self.add(Diagnostic(code, message, path, Severity.WARNING, **rest))

    def extend(self, items: Iterable[Diagnostic]) -> None:
        self._items.extend(items)

    @property
    def errors(self) -> tuple[Diagnostic, ...]:
        return tuple(d for d in self._items if d.severity is Severity.ERROR)

    @property
    def warnings(self) -> tuple[Diagnostic, ...]:
        return tuple(d for d in self._items if d.severity is Severity.WARNING)

    @property
    def has_errors(self) -> bool:
        return any(d.severity is Severity.ERROR for d in self._items)

    def __iter__(self) -> Iterator[Diagnostic]:
        return iter(self._items)

    def __len__(self) -> int:
        return len(self._items)


class CompileError(Exception):
    """Raised by the facade when a query or a model cannot be compiled; carries every diagnostic of the run."""

    def __init__(self, diagnostics: Iterable[Diagnostic]) -> None:
        self.diagnostics = tuple(diagnostics)
        super().__init__("; ".join(f"[{d.code}] {d.message}" for d in self.diagnostics if d.is_error))
