"""What the documents of models and queries share: spellings, unknown keys, and words for pydantic's findings."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Annotated, Any, ClassVar

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    GetCoreSchemaHandler,
    GetJsonSchemaHandler,
    Strict,
    ValidationError,
    WithJsonSchema,
    model_validator,
)
from pydantic.alias_generators import to_camel
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, ErrorDetails, PydanticCustomError, core_schema

from sagitta_compiler.diagnostics import Diagnostic
from sagitta_compiler.names import did_you_mean, near
from sagitta_compiler.source import Path, path_text

Scalar = str | int | float | bool | None
Whole = Annotated[int, Strict()]
Flag = bool
"""True or false; `yes`, `no`, `on` and `off` are read too."""


def _single(value: Any) -> Any:
    if value is None or isinstance(value, str | int | float | bool):
        return value
    raise PydanticCustomError("scalar", "must be a single value: text, a number, true, false or null")


ScalarValue = Annotated[Any, AfterValidator(_single), WithJsonSchema({"type": ["string", "number", "boolean", "null"]})]


class DocumentNode(BaseModel):
    """A mapping of the language. Every key is read in camelCase and in snake_case; null means that a key is absent."""

    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
        alias_generator=to_camel,
        use_attribute_docstrings=True,
        arbitrary_types_allowed=True,
    )
    other_spellings: ClassVar[Mapping[str, str]] = {}
    """Further spellings of keys, to the spelling that is read."""
    keep_null: ClassVar[bool] = False
    """Whether an explicit null is a value that the fields must judge."""
    may_be_empty: ClassVar[bool] = False
    """Whether nothing at all (`Name:`) stands for an empty mapping."""
    bare: ClassVar[str | None] = None
    """The key for which a bare text stands (`Revenue` for `{measure: Revenue}`)."""
    spellings: ClassVar[dict[str, str]] = {}
    known: ClassVar[frozenset[str]] = frozenset()

    @classmethod
    def __pydantic_init_subclass__(cls, **kwargs: Any) -> None:
        super().__pydantic_init_subclass__(**kwargs)
        aliases = {name: info.alias or name for name, info in cls.model_fields.items()}
        cls.known = frozenset(aliases.values())
        snake = {name: alias for name, alias in aliases.items() if name != alias and not name.endswith("_")}
        cls.spellings = {**snake, **cls.other_spellings}

    @model_validator(mode="before")
    @classmethod
    def _one_spelling(cls, data: Any) -> Any:
        if not isinstance(data, dict):
            if data is None and cls.may_be_empty:
                return {}
            return {cls.bare: data} if cls.bare is not None and isinstance(data, str) else data
        spellings, known, keep_null = cls.spellings, cls.known, cls.keep_null
        for key, value in data.items():
            if key in spellings or (value is None and not keep_null):
                break
        else:
            return data
        read: dict[str, Any] = {}
        for key, value in data.items():
            name = str(spellings.get(key, key))
            if name in read:
                raise PydanticCustomError("both_spellings", "has '{key}' twice, in two spellings", {"key": name})
            if value is not None or keep_null or name not in known:
                read[name] = value
        return read

    @classmethod
    def __get_pydantic_json_schema__(cls, core_schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        schema = handler(core_schema)
        _admit_spellings(handler.resolve_ref_schema(schema), cls.spellings)
        return {"anyOf": [{"type": "string"}, schema]} if cls.bare else schema


def _admit_spellings(schema: dict[str, Any], spellings: Mapping[str, str]) -> None:
    """Lets a JSON Schema accept every spelling of a key that the reader accepts."""
    properties = schema.get("properties", {})
    for spelling, key in spellings.items():
        if key in properties:
            properties[spelling] = {**properties[key], "description": f"Another spelling of `{key}`."}
    required = schema.pop("required", [])
    several = {key: [key, *(s for s, k in spellings.items() if k == key)] for key in required}
    if plain := [key for key, names in several.items() if len(names) == 1]:
        schema["required"] = plain
    if choices := [names for names in several.values() if len(names) > 1]:
        schema["allOf"] = [{"anyOf": [{"required": [name]} for name in names]} for names in choices]


def keys_of(node: type[DocumentNode]) -> tuple[str, ...]:
    """Returns the keys of a mapping of the language, as documented."""
    return tuple(sorted(node.known))


_KINDS = {
    "string_type": "text",
    "int_type": "a whole number",
    "int_from_float": "a whole number",
    "int_parsing": "a whole number",
    "float_type": "a number",
    "float_parsing": "a number",
    "bool_type": "true or false",
    "bool_parsing": "true or false",
    "dict_type": "a mapping",
    "model_type": "a mapping",
    "model_attributes_type": "a mapping",
    "list_type": "a list",
    "tuple_type": "a list",
}


def shown(value: Any) -> str:
    """Returns a value as a message shows it, cut to a readable length."""
    match value:
        case dict():
            return "a mapping"
        case list() | tuple():
            return "a list"
        case None:
            return "nothing"
        case bool():
            return "true" if value else "false"
        case _:
            text = str(value)
            return f"'{text[:60]}…'" if len(text) > 60 else f"'{text}'"


def findings(
    error: ValidationError, path: Path, code: Callable[[Path], str], node: type[DocumentNode]
) -> Iterator[tuple[Diagnostic, Path]]:
    """Yields a diagnostic and its full path for everything that a validation found.

    Args:
        error: what pydantic found in a value.
        path: where the value stands in its document.
        code: chooses the code by the path inside the value.
        node: the class that was read, for the keys it knows.
    """
    for detail in error.errors(include_url=False):
        inner = tuple(detail["loc"])
        where: Path = (*path, *inner)
        if detail["type"] == "extra_forbidden":
            yield _unknown_key(inner, where, node), where
            continue
        message, hint, suggestions = _words(detail, where)
        yield (
            Diagnostic(code(inner), message, path_text(where), hint=hint, suggestions=suggestions),
            where,
        )


def _unknown_key(inner: Path, where: Path, node: type[DocumentNode]) -> Diagnostic:
    owner = _owner(node, inner[:-1])
    key = str(inner[-1])
    suggestions = near(key, owner.known | owner.spellings.keys()) if owner else ()
    known = f"The keys here are: {', '.join(keys_of(owner))}." if owner else "Remove it."
    return Diagnostic(
        "UNKNOWN_PROPERTY",
        f"'{key}' is not a key of the language here",
        path_text(where),
        hint=did_you_mean(suggestions, known),
        context={"key": key},
        suggestions=suggestions,
    )


def _owner(node: type[DocumentNode], path: Path) -> type[DocumentNode] | None:
    """Follows a path through the document classes."""
    found: type[DocumentNode] | None = node
    for step in path:
        if found is None:
            return None
        if isinstance(step, str):
            for name, info in found.model_fields.items():
                if step in (name, info.alias):
                    nested = next(_nodes_in(info.annotation), None)
                    found = nested if nested is not None else None
                    break
    return found


def _nodes_in(annotation: Any) -> Iterator[type[DocumentNode]]:
    if isinstance(annotation, type) and issubclass(annotation, DocumentNode):
        yield annotation
    for argument in getattr(annotation, "__args__", ()):
        yield from _nodes_in(argument)


def _words(detail: ErrorDetails, where: Path) -> tuple[str, str | None, tuple[str, ...]]:
    """Returns message, hint and suggestions."""
    kind, value, context = detail["type"], detail["input"], detail.get("ctx", {})
    key = next((str(step) for step in reversed(where) if isinstance(step, str)), "the document")
    if kind == "missing":
        return f"'{where[-1]}' is missing", f"Add `{where[-1]}:`.", ()
    if kind in ("enum", "literal_error"):
        allowed = re.findall(r"'([^']*)'", str(context.get("expected", "")))
        suggestions = near(value.lower(), allowed) if isinstance(value, str) else ()
        return (
            f"{shown(value)} is not a value of '{key}'",
            did_you_mean(suggestions, f"Use one of: {', '.join(allowed)}."),
            suggestions,
        )
    if kind in _KINDS:
        quote = kind == "string_type" and isinstance(value, int | float)
        hint = "Put it in quotes." if quote else f"Write {_KINDS[kind]}, or remove the key."
        return f"'{key}' must be {_KINDS[kind]}, not {shown(value)}", hint, ()
    if kind == "both_spellings":
        return f"'{key}' {detail['msg']}", "Keep one of them.", ()
    if kind == "scalar":
        return f"'{key}' {detail['msg']}", "Write one value.", ()
    bounds = {"greater_than_equal": ("ge", "at least"), "less_than_equal": ("le", "at most")}
    bounds |= {"greater_than": ("gt", "greater than"), "less_than": ("lt", "less than")}
    if kind in bounds:
        name, words = bounds[kind]
        return f"'{key}' must be {words} {context.get(name)}, not {shown(value)}", "Correct the number.", ()
    return f"'{key}' is not valid: {detail['msg']}", "Compare with the JSON Schema of the language.", ()


class AnyCase:
    """Reads an enumeration's text in any case; the schema admits its values in lower and in upper case.

    `synonyms` are further texts, in lower case, to the value that each means.
    """

    def __init__(self, fold: Callable[[str], str] = str.lower, synonyms: Mapping[str, str] | None = None) -> None:
        self._fold, self._synonyms = fold, synonyms or {}

    def _read(self, value: Any) -> Any:
        if not isinstance(value, str):
            return value
        text = self._fold(value.strip())
        return self._synonyms.get(text, text)

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_before_validator_function(self._read, handler(source))

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        inner = handler(schema)
        values: list[str] = []
        for part in inner.get("anyOf", [inner]):
            values += handler.resolve_ref_schema(part).get("enum", [])
        every = dict.fromkeys([*values, *self._synonyms])
        cases = dict.fromkeys([*every, *(v.upper() for v in every), *(v.lower() for v in every)])
        return {"anyOf": [{"enum": list(cases)}, {"type": "null"}]} if "anyOf" in inner else {"enum": list(cases)}


class OneOrMany:
    """Reads one entry where a list of entries is meant."""

    def _read(self, value: Any) -> Any:
        return [value] if isinstance(value, str | dict) else value

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_before_validator_function(self._read, handler(source))

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        inner = handler(schema)
        lists = [part for part in inner.get("anyOf", [inner]) if "items" in part]
        return {"anyOf": [*(part["items"] for part in lists), *inner.get("anyOf", [inner])]}


Texts = Annotated[tuple[str, ...], OneOrMany()]
