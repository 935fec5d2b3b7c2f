"""Fields of OSI datasets as columns and dimensions."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlglot import exp

from sagitta_compiler.conversion.draft import Draft, Element, described, guessed_type, named, restored, sql_of
from sagitta_compiler.conversion.extension import camel, read_extension
from sagitta_compiler.conversion.osi_formula import UnconvertibleError, column_expression, parse_sql
from sagitta_compiler.conversion.to_osi import DATA_TYPES
from sagitta_compiler.model.resolved import ColumnRef

_TYPES = {
    "String": "string",
    "Integer": "int",
    "Decimal": "float",
    "Float": "float",
    "Boolean": "boolean",
    "Date": "date",
    "Time": "time",
    "DateTime": "timestamp",
    "DateTimeTz": "timestamp_tz",
}
_DATA_TYPE_OF = {kind.value: name for kind, name in DATA_TYPES.items()}
_OWN_KEYS = ("obml_name", "obml_sql", "obml_time_grain", "obml_extra_dimensions", "obml_field_label")
_DIMENSION = "obml_dimension_"


class FieldReader:
    """Reads the fields of one dataset: first what they are called, then what they are."""

    def __init__(self, draft: Draft, dataset: str, element: Mapping[str, Any]) -> None:
        self._draft = draft
        self._dataset = dataset
        self._guessed: list[str] = []
        self._fields: list[tuple[str, Element, Element]] = []
        labels: set[str] = set()
        for name, field in named(element.get("fields")):
            kept = read_extension(field)
            wanted = _label(name, field, kept)
            label = _free(wanted, labels)
            if label != wanted:
                draft.warn(f"Dataset '{dataset}': field '{name}' is defined more than once; the second is '{label}'.")
            labels.add(label)
            self._fields.append((label, field, kept))
            draft.name_field(dataset, name, label)
            if (code := _bare(field)) is not None:
                draft.name_code(dataset, code, label)

    def columns(self) -> None:
        """Adds the columns."""
        columns = self._draft.objects[self._dataset].setdefault("columns", {})
        for label, field, kept in self._fields:
            column = self._column(label, field, kept)
            if column is not None:
                columns[label] = column
        if not columns:
            columns["placeholder"] = {"code": "placeholder", "abstractType": "string"}
            self._draft.warn(f"Dataset '{self._dataset}': it has no fields; added a placeholder column.")
        if self._guessed:
            names = ", ".join(self._guessed)
            self._draft.warn(f"Dataset '{self._dataset}': no datatype for {names}; guessed from the names.")

    def dimensions(self) -> None:
        """Adds the dimensions; all columns of all datasets are known by now."""
        for label, field, kept in self._fields:
            if label in self._draft.objects[self._dataset]["columns"]:
                self._dimension(label, field, kept)

    def _column(self, label: str, field: Element, kept: Element) -> Element | None:
        rest = restored(kept, *_OWN_KEYS, *(key for key in kept if key.startswith(_DIMENSION)))
        written = self._written(label, field, kept, rest)
        if written is None:
            return None
        for key in ("code", "expression"):
            rest.pop(key, None)
        own_label = label if label != field["name"] else None
        column = written | self._type(label, field, rest)
        column |= described(field, rest, own_label=own_label, field_label=field.get("label"))
        return column | {key: value for key, value in rest.items() if key not in column}

    def _written(self, label: str, field: Element, kept: Element, rest: Element) -> Element | None:
        """The column's `code` or `expression`."""
        where = f"Dataset '{self._dataset}', field '{field['name']}'"
        found = sql_of(field)
        if found is None:
            if "expression" in field:
                self._draft.warn(f"{where}: no expression in SQL; taken for a physical column of that name.")
            return {"code": field["name"]}
        sql, dialect = found
        if "expression" in rest and kept.get("obml_sql", sql) == sql:
            return {key: rest[key] for key in ("code", "expression") if key in rest}
        if "expression" in rest:
            self._draft.warn(f"{where}: its SQL was changed; the formula it was made from is dropped.")
        try:
            tree = parse_sql(sql, dialect)
            code = _identifier(tree)
            if code is not None:
                return {} if "obml_code" in kept and kept["obml_code"] is None and code == label else {"code": code}
            return {"expression": column_expression(tree, self._resolve(label))}
        except UnconvertibleError as reason:
            self._draft.warn(f"LOSSY: {where}: {reason}; the field is left out.")
            return None

    def _resolve(self, label: str) -> Any:
        def resolve(node: exp.Column) -> ColumnRef:
            if node.table and self._draft.dataset(node.table) not in (None, self._dataset):
                return self._draft.column(node)
            found = self._draft.label(self._dataset, node.name, physical=True)
            if found is None or found == label:
                found = self._draft.hidden(self._dataset, node.name)
            return ColumnRef(self._dataset, found)

        return resolve

    def _type(self, label: str, field: Element, rest: Element) -> Element:
        kept, declared = rest.pop("abstractType", None), field.get("datatype")
        if isinstance(kept, str) and _DATA_TYPE_OF.get(kept) == declared:
            return {"abstractType": kept}
        if declared in _TYPES:
            return {"abstractType": _TYPES[declared]}
        if kept is not None:
            return {"abstractType": kept}
        if read_extension(field):
            return {}
        tree = _tree(field)
        if isinstance(tree, exp.Add | exp.Sub | exp.Mul | exp.Div | exp.Mod | exp.Neg):
            return {"abstractType": "float"}
        is_time = isinstance(field.get("dimension"), dict) and field["dimension"].get("is_time") is True
        self._guessed.append(str(field["name"]))
        return {"abstractType": guessed_type(str(field["name"]), is_time=is_time)}

    def _dimension(self, label: str, field: Element, kept: Element) -> None:
        where = {"dataObject": self._dataset, "column": label}
        if not isinstance(field.get("dimension"), dict):
            if f"{_DIMENSION}name" in kept:
                self._draft.warn(f"Dimension '{kept[f'{_DIMENSION}name']}': its field is none any more; left out.")
            return
        if f"{_DIMENSION}name" not in kept:
            column_type = self._draft.objects[self._dataset]["columns"][label].get("abstractType", "string")
            self._draft.dimensions[self._name(label)] = where | {"resultType": column_type}
            return
        rest = {
            camel(key.removeprefix(_DIMENSION)): value
            for key, value in kept.items()
            if key.startswith(_DIMENSION) and key != f"{_DIMENSION}name"
        }
        if "obml_time_grain" in kept:
            rest["timeGrain"] = kept["obml_time_grain"]
        self._draft.dimensions[str(kept[f"{_DIMENSION}name"])] = where | rest
        for name, extra in named(kept.get("obml_extra_dimensions")):
            self._draft.dimensions[name] = where | {key: value for key, value in extra.items() if key != "name"}

    def _name(self, label: str) -> str:
        if not self._draft.is_taken(label):
            return label
        name = _free(f"{self._dataset} {label}", set(self._draft.dimensions) | set(self._draft.measures))
        self._draft.warn(f"Dimension '{label}' of dataset '{self._dataset}' is called '{name}': the name was taken.")
        return name


def _label(name: str, field: Element, kept: Element) -> str:
    """The column's own name: our extension's, or the one that other writers of it put among the synonyms."""
    if "obml_name" in kept:
        return str(kept["obml_name"])
    context, shown = field.get("ai_context"), kept.get("obml_field_label")
    is_synonym = isinstance(context, dict) and shown in context.get("synonyms", ())
    return str(shown) if is_synonym else name


def _bare(field: Element) -> str | None:
    """The physical column that a field stands for, if it is no more than that."""
    if sql_of(field) is None:
        return str(field["name"])
    tree = _tree(field)
    return None if tree is None else _identifier(tree)


def _tree(field: Element) -> exp.Expr | None:
    found = sql_of(field)
    try:
        return None if found is None else parse_sql(*found)
    except UnconvertibleError:
        return None


def _identifier(tree: exp.Expr) -> str | None:
    return tree.name if isinstance(tree, exp.Column) and isinstance(tree.this, exp.Identifier) else None


def _free(name: str, taken: set[str]) -> str:
    candidate, number = name, 2
    while candidate in taken:
        candidate, number = f"{name} {number}", number + 1
    return candidate
