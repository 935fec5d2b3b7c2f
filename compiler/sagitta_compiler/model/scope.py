"""What a resolver may ask while a model takes shape: which names exist, and which are broken."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass, field

from sagitta_compiler.model.document import (
    AboutDocument,
    ColumnDocument,
    DataObjectDocument,
    ModelDocument,
)
from sagitta_compiler.model.report import Reporter
from sagitta_compiler.model.resolved import About, ColumnRef, CustomExtension
from sagitta_compiler.source import Path


@dataclass
class Scope:
    """The document, its reporter and the look-ups over both. Names are trimmed here and everywhere after."""

    document: ModelDocument
    report: Reporter
    broken: frozenset[Path]
    objects: dict[str, DataObjectDocument] = field(init=False)
    count_names: Collection[str] = ()
    joins_are_whole: bool = True
    """False when a join could not be read: what depends on the join graph is then not judged."""

    def __post_init__(self) -> None:
        self.objects = {name.strip(): item for name, item in self.document.data_objects.items()}
        self._columns = {
            name: {column.strip(): item for column, item in data_object.columns.items()}
            for name, data_object in self.objects.items()
        }
        self.joins_are_whole = not any("joins" in path for path in self.broken)
        self._dimensions = dict.fromkeys(name.strip() for name in self.document.dimensions)
        self._measures = dict.fromkeys(name.strip() for name in self.document.measures)
        self._metrics = dict.fromkeys(name.strip() for name in self.document.metrics)

    def is_broken(self, *path: str | int) -> bool:
        """Whether an entry, or the part that would hold it, could not be read."""
        return any(path[:length] in self.broken for length in range(1, len(path) + 1))

    def columns(self, data_object: str) -> dict[str, ColumnDocument]:
        return self._columns.get(data_object, {})

    def has_object(self, name: str) -> bool:
        return name in self.objects or self.is_broken("dataObjects", name)

    def has_column(self, ref: ColumnRef) -> bool:
        return ref.column in self.columns(ref.object) or self.is_broken(
            "dataObjects", ref.object, "columns", ref.column
        )

    def has_dimension(self, name: str) -> bool:
        return name in self._dimensions or self.is_broken("dimensions", name)

    def has_measure(self, name: str) -> bool:
        return name in self._measures or name in self.count_names or self.is_broken("measures", name)

    def has_metric(self, name: str) -> bool:
        return name in self._metrics or self.is_broken("metrics", name)

    @property
    def dimension_names(self) -> Iterable[str]:
        return self._dimensions

    @property
    def figure_names(self) -> Iterable[str]:
        return [*self._measures, *self.count_names, *self._metrics]

    def check_object(self, name: str, path: Path, code: str = "UNKNOWN_DATA_OBJECT") -> bool:
        """Reports a data object that does not exist; returns whether it does."""
        if self.has_object(name):
            return True
        self.report.unknown(code, "Data object", name, self.objects, path)
        return False

    def check_column(self, ref: ColumnRef, path: Path, *, object_path: Path, codes: tuple[str, str] = ("", "")) -> bool:
        """Reports a column that does not exist, or its object; returns whether both do."""
        object_code, column_code = codes[0] or "UNKNOWN_DATA_OBJECT", codes[1] or "UNKNOWN_COLUMN"
        if not self.check_object(ref.object, object_path, object_code):
            return False
        if self.has_column(ref):
            return True
        within = f" in data object '{ref.object}'"
        self.report.unknown(column_code, "Column", ref.column, self.columns(ref.object), path, within=within)
        return False

    def check_dimension(self, name: str, path: Path, code: str) -> bool:
        """Reports a dimension that does not exist; returns whether it does."""
        if self.has_dimension(name):
            return True
        self.report.unknown(code, "Dimension", name, self.dimension_names, path)
        return False

    def check_figure(self, name: str, path: Path, code: str) -> bool:
        """Reports a measure or metric that does not exist; returns whether it does."""
        if self.has_measure(name) or self.has_metric(name):
            return True
        self.report.unknown(code, "Measure or metric", name, self.figure_names, path)
        return False


_NOTHING = About()
_SAYINGS = frozenset({*AboutDocument.model_fields, "comment"})


def about(document: AboutDocument) -> About:
    """Returns what an author says about an artefact; most columns have nothing to say, and share one value."""
    if document.model_fields_set.isdisjoint(_SAYINGS):
        return _NOTHING
    return About(
        description=document.description,
        comment=getattr(document, "comment", None),
        owner=document.owner,
        synonyms=document.synonyms,
        custom_extensions=tuple(CustomExtension(e.vendor, e.data) for e in document.custom_extensions),
    )
