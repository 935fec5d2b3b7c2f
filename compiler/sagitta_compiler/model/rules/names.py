"""Names: each artefact's is its own, also where only blanks tell two apart."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable

from sagitta_compiler.model.resolved import ResolvedModel
from sagitta_compiler.model.scope import Scope
from sagitta_compiler.source import Path


def check_names(model: ResolvedModel, scope: Scope) -> None:
    """Reports names that two artefacts share, or that differ only in blanks around them."""
    _check_identifiers(model, scope)
    document = scope.document
    for section in ("data_objects", "dimensions", "measures", "metrics"):
        key = "dataObjects" if section == "data_objects" else section
        _check_blanks(scope, getattr(document, section), (key,))
    for name, data_object in document.data_objects.items():
        _check_blanks(scope, data_object.columns, ("dataObjects", name, "columns"))


def _check_identifiers(model: ResolvedModel, scope: Scope) -> None:
    """Dimensions, measures and metrics share one name space with the row counts."""
    owners: dict[str, list[tuple[str, Path]]] = defaultdict(list)
    for name in model.dimensions:
        owners[name].append(("a dimension", ("dimensions", name)))
    for name, measure in model.measures.items():
        place: Path = ("dataObjects", measure.count_of or "") if measure.synthesised else ("measures", name)
        kind = f"the row count of '{measure.count_of}'" if measure.synthesised else "a measure"
        owners[name].append((kind, place))
    for name in scope.document.metrics:
        owners[name.strip()].append(("a metric", ("metrics", name)))
    for name, found in owners.items():
        if len(found) > 1:
            kinds = " and ".join(kind for kind, _ in found)
            for _, path in found:
                hint = "Rename one; a row count is renamed by `countLabel` or removed by `countable: false`."
                scope.report.error("DUPLICATE_IDENTIFIER", f"'{name}' names {kinds}", path, hint)


def _check_blanks(scope: Scope, names: Iterable[str], path: Path) -> None:
    seen: dict[str, str] = {}
    for name in names:
        if not name.strip():
            scope.report.error("AMBIGUOUS_NAME", "A name must not be empty", (*path, name), "Give it a name.")
        elif name.strip() in seen:
            message = f"'{seen[name.strip()]}' and '{name}' differ only in blanks"
            scope.report.error("AMBIGUOUS_NAME", message, (*path, name), "Rename one of them.")
        seen.setdefault(name.strip(), name)
