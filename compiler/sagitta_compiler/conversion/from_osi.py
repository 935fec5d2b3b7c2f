"""OSI to OBML: what OSI says, what the extension kept, and guesses (each with a warning) where both are silent."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from sagitta_compiler.conversion.draft import Draft, Element, described, named, restored
from sagitta_compiler.conversion.extension import read_extension
from sagitta_compiler.conversion.legacy import is_legacy, modernised
from sagitta_compiler.conversion.names import split_source
from sagitta_compiler.conversion.osi_fields import FieldReader
from sagitta_compiler.conversion.osi_metrics import MetricReader
from sagitta_compiler.conversion.osi_schema import VERSION
from sagitta_compiler.conversion.pruning import pruned
from sagitta_compiler.conversion.reading import read_mapping
from sagitta_compiler.conversion.result import Conversion, ConversionError
from sagitta_compiler.conversion.to_osi import dump
from sagitta_compiler.conversion.validation import validate_obml, validate_osi

_MODEL_NAME = re.compile(r"[a-z][a-z0-9_]{0,62}")
_NOT_ON_OBJECTS = ("obml_kind", "obml_primary_key", "obml_unique_keys")
_SOURCES = ("nestedIn", "query", "unionOf")
_SECTIONS = ("dataObjects", "dimensions", "measures", "metrics")
_NOT_ON_MODELS = ("obml_unwritten", "obml_data_objects", "obml_dimensions", "obml_measures", "obml_metrics")


def osi_to_obml(text: str) -> Conversion:
    """Converts an OSI model (0.2.0.dev0, or 0.1 by a shim) to OBML.

    Raises:
        InvalidYamlError: the text cannot be read.
        ConversionError: it has no semantic model with datasets.
    """
    root = read_mapping(text)
    models = root.get("semantic_model")
    candidates = [models] if isinstance(models, dict) else models
    if not isinstance(candidates, list) or not candidates or not isinstance(candidates[0], dict):
        raise ConversionError("The text has no semantic_model.")
    reader = _Reader()
    reader.check_version(root, len(candidates))
    model, ignored = pruned(modernised(candidates[0]) if is_legacy(root) else candidates[0])
    for warning in ignored:
        reader.draft.warn(warning)
    document = reader.model(model)
    output = dump(document)
    return Conversion(output, tuple(reader.draft.warnings), validate_obml(output), validate_osi(root))


class _Reader:
    """Reads one semantic model."""

    def __init__(self) -> None:
        self.draft = Draft()

    def check_version(self, root: Mapping[str, Any], models: int) -> None:
        version = root.get("version")
        if is_legacy(root):
            named_version = f"OSI {version}" if version else "OSI without a version"
            self.draft.warn(f"{named_version}: read as 0.1; the present version is {VERSION}.")
        elif version != VERSION:
            self.draft.warn(f"OSI {version} is not known; read as {VERSION}.")
        if models > 1:
            self.draft.warn(f"The text has {models} semantic models; only the first is converted.")

    def model(self, model: Element) -> Element:
        datasets = named(model.get("datasets"))
        if not datasets:
            raise ConversionError("The semantic model has no datasets.")
        if len({name for name, _ in datasets}) < len(datasets):
            raise ConversionError("Two datasets have the same name.")
        kept = read_extension(model)
        readers = [self._dataset(name, element) for name, element in datasets]
        for (name, element), reader in zip(datasets, readers, strict=True):
            self._finish_dataset(name, element)
            reader.columns()
            self._primary_key(name, element)
        joins = list(self._joins(model, dict(datasets)))
        for source, _, join in sorted(joins, key=lambda item: item[1]):
            self.draft.objects[source].setdefault("joins", []).append(join)
        metrics = MetricReader(self.draft)
        for reader in readers:
            reader.dimensions()
        for name, metric in named(model.get("metrics")):
            metrics.read(name, metric)
            if name in self.draft.dimensions and (name in self.draft.measures or name in self.draft.metrics):
                self._rename_dimension(name)
        self._put_back(kept.get("obml_unwritten"))
        return self._document(model, kept, metrics)

    def _rename_dimension(self, name: str) -> None:
        """Gives a dimension a longer name: metrics are what a text is about, and share the namespace."""
        dimension = self.draft.dimensions.pop(name)
        longer = f"{dimension['dataObject']} {name}"
        self.draft.dimensions[longer] = dimension
        self.draft.warn(f"Dimension '{name}' is called '{longer}': a metric has the name.")

    def _dataset(self, name: str, element: Element) -> FieldReader:
        self.draft.add_object(name)
        return FieldReader(self.draft, name, element)

    def _finish_dataset(self, name: str, element: Element) -> None:
        """Adds everything but the columns; the labels of the columns are known by now."""
        kept, result = read_extension(element), self.draft.objects[name]
        rest = restored(kept, *_NOT_ON_OBJECTS)
        if not any(key in rest for key in (*_SOURCES, "code")):
            result |= self._source(name, element.get("source"))
        written = element.get("unique_keys")
        keys = [[self.draft.label(name, str(each)) or str(each) for each in key] for key in written or () if key]
        result |= described(element, rest, unique_keys=keys)
        result |= rest

    def _source(self, name: str, source: object) -> Element:
        if not isinstance(source, str) or not source.strip():
            self.draft.warn(f"Dataset '{name}': it has no source; its name is taken for the table.")
            return {"code": name}
        parts = split_source(source)
        if parts is None:
            self.draft.warn(f"Dataset '{name}': its source is no database.schema.table; taken for one name.")
            return {"code": source}
        return {key: part for key, part in zip(("database", "schema", "code"), parts, strict=True) if part}

    def _primary_key(self, name: str, element: Element) -> None:
        keys = element.get("primary_key")
        for field in keys if isinstance(keys, list) else ():
            label = self.draft.label(name, str(field))
            if label is None:
                self.draft.warn(f"Dataset '{name}': primary key names the unknown field '{field}'.")
            else:
                self.draft.objects[name]["columns"][label]["primaryKey"] = True

    def _joins(self, model: Element, datasets: Mapping[str, Element]) -> Iterator[tuple[str, int, Element]]:
        """The joins with their source and their place in it."""
        pairs: set[tuple[str, str]] = set()
        for position, (name, relationship) in enumerate(named(model.get("relationships"))):
            ends = (self._end(relationship, "from"), self._end(relationship, "to"))
            columns = [self._columns(ends[0], relationship, "from"), self._columns(ends[1], relationship, "to")]
            if ends[0] is None or ends[1] is None or not columns[0] or len(columns[0]) != len(columns[1]):
                self.draft.warn(f"LOSSY: Relationship '{name}': its ends do not fit together; left out.")
                continue
            kept = read_extension(relationship)
            join: Element = {"joinTo": ends[1], "columnsFrom": columns[0], "columnsTo": columns[1]}
            rest = restored(kept, "obml_index")
            if "joinType" in rest:
                join |= rest
            else:
                join |= {"joinType": self._cardinality(name, relationship, datasets)} | rest
                if (ends[0], ends[1]) in pairs and "secondary" not in join:
                    join |= {"secondary": True, "pathName": name}
                    self.draft.warn(f"Relationship '{name}': a second path to '{ends[1]}'; made a secondary join.")
            if not join.get("secondary"):
                pairs.add((ends[0], ends[1]))
            index = kept.get("obml_index")
            yield ends[0], index if isinstance(index, int) else position + 1_000, join

    def _end(self, relationship: Element, side: str) -> str | None:
        name = relationship.get(side)
        return self.draft.dataset(name) if isinstance(name, str) else None

    def _columns(self, dataset: str | None, relationship: Element, side: str) -> list[str]:
        columns = relationship.get(f"{side}_columns")
        if dataset is None or not isinstance(columns, list):
            return []
        return [self.draft.label(dataset, str(name)) or self.draft.hidden(dataset, str(name)) for name in columns]

    def _cardinality(self, name: str, relationship: Element, datasets: Mapping[str, Element]) -> str:
        target, source = datasets.get(relationship["to"], {}), datasets.get(relationship["from"], {})
        keys = _keys(target)
        if not keys:
            self.draft.warn(f"Relationship '{name}': no type specified, defaulting to many-to-one.")
            return "many-to-one"
        if frozenset(relationship["to_columns"]) not in keys:
            self.draft.warn(f"Relationship '{name}': its columns are no key of '{relationship['to']}'; many-to-many.")
            return "many-to-many"
        return "one-to-one" if frozenset(relationship["from_columns"]) in _keys(source) else "many-to-one"

    def _put_back(self, unwritten: object) -> None:
        """Puts elements back that OSI had no counterpart for; what does not fit any more is left out."""
        if not isinstance(unwritten, dict):
            return
        for item in _list(unwritten.get("columns")):
            match item:
                case [str(label), str(name), dict(column)] if label in self.draft.objects:
                    self.draft.objects[label].setdefault("columns", {})[name] = column
        for item in _list(unwritten.get("joins")):
            match item:
                case [str(label), int(index), dict(join)] if label in self.draft.objects:
                    self.draft.objects[label].setdefault("joins", []).insert(index, join)
        for key, section in (
            ("dimensions", self.draft.dimensions),
            ("measures", self.draft.measures),
            ("metrics", self.draft.metrics),
        ):
            kept = unwritten.get(key)
            section.update(kept if isinstance(kept, dict) else {})

    def _document(self, model: Element, kept: Element, metrics: MetricReader) -> Element:
        rest = restored(kept, *_NOT_ON_MODELS)
        ours = kept.get("source_format") == "OBML"
        document: Element = {}
        if not ours or "source_version" in kept:
            document["version"] = kept.get("source_version", 1.0)
        if not ours and _MODEL_NAME.fullmatch(str(model.get("name", ""))):
            document["name"] = model["name"]
        document |= described(model, rest, has_synonyms=False, unconverted_metrics=metrics.unconverted) | rest
        sections = (self.draft.objects, self.draft.dimensions, self.draft.measures, self.draft.metrics)
        for section, content in zip(_SECTIONS, sections, strict=True):
            if content or kept.get(f"obml_{_snake(section)}") == {}:
                document[section] = content
        return document


def _list(value: object) -> list[Any]:
    return value if isinstance(value, list) else []


def _snake(section: str) -> str:
    return "data_objects" if section == "dataObjects" else section


def _keys(dataset: Mapping[str, Any]) -> set[frozenset[str]]:
    written = [dataset.get("primary_key"), *(dataset.get("unique_keys") or ())]
    return {frozenset(key) for key in written if isinstance(key, list) and key}
