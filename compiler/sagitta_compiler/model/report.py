"""Where a run's diagnostics gather: each placed in the text that it is about."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

from sagitta_compiler.diagnostics import Diagnostic, Diagnostics, Severity
from sagitta_compiler.names import did_you_mean
from sagitta_compiler.source import Document, Path, path_text

MAX_DIAGNOSTICS: Final = 500


class Reporter:
    """Collects diagnostics by path.

    `origins` names the text of an entry (`("measures", "Revenue")`) that did not come from the model's own text, and
    the entry's path there.
    """

    def __init__(self, document: Document, origins: Mapping[Path, tuple[Document, Path]] | None = None) -> None:
        self._document = document
        self._origins = dict(origins or {})
        self._left_out: list[bool] = []
        self.diagnostics = Diagnostics()

    def add(self, diagnostic: Diagnostic, path: Path, *, key: bool = False) -> None:
        """Adds a diagnostic, placed in its text; of a great many the first are kept, and their number."""
        if len(self.diagnostics) >= MAX_DIAGNOSTICS:
            self._left_out.append(diagnostic.is_error)
            return
        if diagnostic.span is None:
            origin, prefix = self._origins.get(path[:2], (self._document, path[:2]))
            name = None if origin is self._document else origin.source.name
            diagnostic = diagnostic.at(origin.span((*prefix, *path[2:]), key=key), name)
        self.diagnostics.add(diagnostic)

    def close(self) -> None:
        """Says how many diagnostics were left out, if any were."""
        if self._left_out:
            severity = Severity.ERROR if any(self._left_out) else Severity.WARNING
            message = f"{len(self._left_out):,} further findings are not shown"
            self.diagnostics.add(Diagnostic("TOO_MANY_FINDINGS", message, "(root)", severity, "Correct these first."))

    def error(self, code: str, message: str, path: Path, hint: str | None = None, **rest: Any) -> None:
        self.add(Diagnostic(code, message, path_text(path), hint=hint, **rest), path)

    def warning(self, code: str, message: str, path: Path, hint: str | None = None, **rest: Any) -> None:
        self.add(Diagnostic(code, message, path_text(path), Severity.WARNING, hint=hint, **rest), path)

    def unknown(
        self, code: str, kind: str, name: str, candidates: Iterable[str], path: Path, *, within: str = ""
    ) -> None:
        """Reports a name that nothing bears, with the names that look like it."""
        known = list(candidates)
        suggestions = self.diagnostics.near(name, known)
        self.error(
            code,
            f"{kind} '{name}' not found{within}",
            path,
            did_you_mean(suggestions, _listing(known)),
            context={"name": name},
            suggestions=suggestions,
        )


_MAX_LISTED = 12


def _listing(names: list[str]) -> str:
    if not names:
        return "There is none of this kind yet."
    more = f", … ({len(names)} in all)" if len(names) > _MAX_LISTED else ""
    return f"Known: {', '.join(names[:_MAX_LISTED])}{more}."
