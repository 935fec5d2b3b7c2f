"""YAML and JSON texts as plain values that remember where they stood.

One pass over libyaml's event stream. Nothing is constructed but mappings, lists and the scalars of YAML 1.2's core
schema; aliases, anchors, merge keys, foreign tags, duplicate keys and oversized texts are refused by their events,
so an `&` inside prose is only prose.
"""

from __future__ import annotations

import json
import re
from array import array
from bisect import bisect_right
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import yaml
from yaml._yaml import CParser

from sagitta_compiler.diagnostics import Diagnostic, Severity, Span

MAX_CHARACTERS: Final = 5_000_000
MAX_NODES: Final = 300_000
MAX_DEPTH: Final = 20

Path = tuple[str | int, ...]
"""Where a value is in a document: mapping keys and list positions from the root."""

_CONSTANTS: Final[Mapping[str, Any]] = {
    "": None,
    "~": None,
    "null": None,
    "Null": None,
    "NULL": None,
    "true": True,
    "True": True,
    "TRUE": True,
    "false": False,
    "False": False,
    "FALSE": False,
}
_INTEGER = re.compile(r"[-+]?[0-9]+")
_PREFIXED = re.compile(r"0o[0-7]+|0x[0-9a-fA-F]+")
_FLOAT = re.compile(r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?")
_NUMERIC_START = frozenset("+-.0123456789")
_MAX_DIGITS = 64
_CORE_TAG = "tag:yaml.org,2002:"


class MapNode(dict[str, Any]):
    """A mapping with the offsets of its keys and values: four per key, in the order of the text."""

    __slots__ = ("_positions", "offsets")
    offsets: array[int] | None
    _positions: dict[str, int]

    def place_of(self, key: str) -> int:
        """Returns where among the keys of the text one stands."""
        try:
            return self._positions[key]
        except AttributeError:
            self._positions = {name: at for at, name in enumerate(self)}
            return self._positions[key]


class ListNode(list[Any]):
    """A list with the offsets of its items: two per item."""

    __slots__ = ("offsets",)
    offsets: array[int] | None


@dataclass(frozen=True)
class SourceText:
    """A text and the name that people know it by."""

    text: str
    name: str = "model"
    _starts: list[int] = field(default_factory=list, repr=False, compare=False)

    def span(self, start: int, end: int) -> Span:
        """Returns the 1-based place of the characters from `start` up to `end`."""
        if not self._starts:
            self._starts.extend([0, *(m.end() for m in re.finditer("\n", self.text))])
        first, last = self._line(start), self._line(max(start, end))
        return Span(first + 1, start - self._starts[first] + 1, last + 1, max(start, end) - self._starts[last] + 1)

    def _line(self, offset: int) -> int:
        return bisect_right(self._starts, offset) - 1

    def line(self, number: int) -> str:
        """Returns a line by its 1-based number, without its end."""
        lines = self.text.split("\n")
        return lines[number - 1].rstrip("\r") if 0 < number <= len(lines) else ""


class RefusedError(Exception):
    """A text that cannot be read any further; carries its diagnostic."""

    def __init__(self, diagnostic: Diagnostic) -> None:
        self.diagnostic = diagnostic
        super().__init__(diagnostic.message)


@dataclass(frozen=True)
class Document:
    """A text as values: `root` is None when it could not be read at all."""

    source: SourceText
    root: Any
    diagnostics: tuple[Diagnostic, ...] = ()

    def span(self, path: Path, *, key: bool = False) -> Span | None:
        """Returns where a value stands; the key's place for a mapping or list, or when `key` is true.

        A path that leaves the text ends at its last existing part. None for a document that never was a text.
        """
        place = _offsets(self.root, path, key=key)
        return None if place is None else self.source.span(*place)


def path_text(path: Path) -> str:
    """Writes a path: keys joined by dots, positions in brackets."""
    parts: list[str] = []
    for step in path:
        if isinstance(step, int):
            parts.append(f"[{step}]")
        else:
            parts.append(f".{step}" if parts else step)
    return "".join(parts)


def read_document(text: str | Mapping[str, Any], name: str = "model") -> Document:
    """Reads YAML or JSON text, or takes a mapping; never raises on what a stranger can send."""
    if not isinstance(text, str):
        source = SourceText("", name)
        try:
            return Document(source, _from_value(text))
        except RefusedError as refused:
            return Document(source, None, (refused.diagnostic,))
    source = SourceText(text, name)
    try:
        root, duplicates = _compose(source)
    except RefusedError as refused:
        if refused.diagnostic.code == "YAML_PARSE_ERROR" and (root := _as_json(text)) is not None:
            return Document(source, root)
        return Document(source, None, (refused.diagnostic,))
    return Document(source, root, tuple(duplicates))


def _as_json(text: str) -> Any:
    """Reads JSON that libyaml refuses (escaped surrogate pairs); None when it is no JSON or unsafe."""
    if not text.lstrip().startswith("{") or len(text) > MAX_CHARACTERS:
        return None
    try:
        return _from_value(json.loads(text, object_pairs_hook=_unique_pairs))
    except (ValueError, RecursionError, RefusedError):
        return None


def _unique_pairs(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("duplicate key")
    return found


def _safety(message: str, span: Span | None = None, hint: str | None = None) -> RefusedError:
    return RefusedError(Diagnostic("YAML_SAFETY_ERROR", message, "", Severity.ERROR, hint=hint, span=span))


def _syntax(message: str, span: Span | None = None, hint: str | None = None) -> RefusedError:
    return RefusedError(Diagnostic("YAML_PARSE_ERROR", message, "", Severity.ERROR, hint=hint, span=span))


def _too_deep(span: Span | None = None) -> RefusedError:
    return _syntax(f"The text is nested more than {MAX_DEPTH} levels deep", span, "Flatten it.")


def _compose(source: SourceText) -> tuple[Any, list[Diagnostic]]:
    if len(source.text) > MAX_CHARACTERS:
        raise _safety(f"The text has {len(source.text):,} characters; at most {MAX_CHARACTERS:,} are read")
    try:
        return _compose_events(source)
    except yaml.MarkedYAMLError as error:
        raise _syntax(*_yaml_mistake(source, error)) from None
    except (yaml.YAMLError, UnicodeError):
        raise _syntax("The text holds a character that YAML does not allow") from None


def _yaml_mistake(source: SourceText, error: yaml.MarkedYAMLError) -> tuple[str, Span | None]:
    mark = error.problem_mark or error.context_mark
    problem = error.problem or "the text is not YAML"
    context = f" {error.context}" if error.context else ""
    span = None if mark is None else source.span(mark.index, mark.index + 1)
    return f"The text is not valid YAML: {problem}{context}", span


@dataclass(slots=True)
class _Frame:
    """A collection that is being read: its node, its offsets so far, and the key that waits for its value."""

    node: Any
    offsets: list[int]
    is_map: bool
    key: str | None = None


def _compose_events(source: SourceText) -> tuple[Any, list[Diagnostic]]:  # noqa: PLR0915  one loop: the hot path
    next_event: Callable[[], Any] = CParser(source.text).get_event
    scalar_event, map_start, list_start = yaml.ScalarEvent, yaml.MappingStartEvent, yaml.SequenceStartEvent
    map_end, list_end, alias_event = yaml.MappingEndEvent, yaml.SequenceEndEvent, yaml.AliasEvent
    stack: list[_Frame] = []
    frame: _Frame | None = None
    documents, nodes, root = 0, 0, None
    duplicates: list[Diagnostic] = []
    while True:
        event = next_event()
        kind = event.__class__
        if kind is scalar_event:
            nodes += 1
            if event.anchor is not None or event.tag is not None or nodes > MAX_NODES:
                _guard(source, event, nodes)
            value = event.value
            if frame is not None and frame.is_map and frame.key is None:
                _take_key(source, frame, event, value, duplicates)
                continue
            if event.implicit[0] and (value in _CONSTANTS or value[0] in _NUMERIC_START):
                value = _plain(value)
            if event.tag is not None:
                value = _tagged(source, event)
        elif kind is map_end or kind is list_end:
            assert frame is not None
            frame.node.offsets = array("I", frame.offsets)
            stack.pop()
            done, frame = frame, stack[-1] if stack else None
            if frame is not None:
                frame.offsets[-1] = event.end_mark.index
                frame.key = None
            else:
                root = done.node
            continue
        elif kind is map_start or kind is list_start:
            nodes += 1
            if event.anchor is not None or event.tag is not None or nodes > MAX_NODES:
                _guard(source, event, nodes)
            if len(stack) >= MAX_DEPTH:
                raise _too_deep(_event_span(source, event))
            if frame is not None and frame.is_map and frame.key is None:
                raise _syntax("A key must be a plain text, not a mapping or a list", _event_span(source, event))
            value = MapNode() if kind is map_start else ListNode()
            _attach(frame, value, event)
            frame = _Frame(value, [], kind is map_start)
            stack.append(frame)
            continue
        elif kind is alias_event:
            _guard(source, event, nodes)
        elif kind is yaml.DocumentStartEvent:
            documents += 1
            if documents > 1:
                raise _syntax("The text holds more than one YAML document", _event_span(source, event))
            continue
        elif kind is yaml.StreamEndEvent:
            return root, duplicates
        else:
            continue
        if frame is None:
            root = value
        else:
            _attach(frame, value, event)
            frame.key = None


def _attach(frame: _Frame | None, value: Any, event: Any) -> None:
    if frame is None:
        return
    if frame.is_map:
        frame.node[frame.key] = value
    else:
        frame.node.append(value)
    frame.offsets += (event.start_mark.index, event.end_mark.index)


def _take_key(source: SourceText, frame: _Frame, event: Any, key: str, duplicates: list[Diagnostic]) -> None:
    if key == "<<" and event.implicit[0]:
        raise _safety("Merge keys (`<<`) are not read", _event_span(source, event), "Write the keys out.")
    start, end = event.start_mark.index, event.end_mark.index
    if key in frame.node:
        duplicates.append(
            Diagnostic(
                "YAML_PARSE_ERROR",
                f"The key '{key}' is written twice in one mapping",
                hint="Rename or remove one of them.",
                context={"key": key},
                span=source.span(start, end),
            )
        )
        del frame.offsets[4 * (at := list(frame.node).index(key)) : 4 * at + 4]
        del frame.node[key]
    frame.offsets += (start, end)
    frame.key = key


def _guard(source: SourceText, event: Any, nodes: int) -> None:
    """Refuses what the event says; returns for the tags of the core schema."""
    span = _event_span(source, event)
    if event.anchor is not None:
        what = "alias" if isinstance(event, yaml.AliasEvent) else "anchor"
        hint = "Write the value out where it is used; a text that begins with `&` or `*` needs quotes."
        raise _safety(f"The YAML {what} '{event.anchor}' is not read", span, hint)
    if nodes > MAX_NODES:
        raise _safety(f"The text has more than {MAX_NODES:,} values", span)
    tag = event.tag
    if tag not in (None, "!") and tag.removeprefix(_CORE_TAG) not in (
        "str",
        "int",
        "float",
        "bool",
        "null",
        "map",
        "seq",
    ):
        raise _syntax(f"The YAML tag '{tag}' is not read", span, "Remove the tag.")


def _tagged(source: SourceText, event: Any) -> Any:
    name = event.tag.removeprefix(_CORE_TAG)
    if name in ("str", "!"):
        return event.value
    value = _plain(event.value)
    kinds: dict[str, tuple[type, ...]] = {"int": (int,), "float": (float, int), "bool": (bool,), "null": (type(None),)}
    if not isinstance(value, kinds.get(name, ())):
        raise _syntax(f"'{event.value}' is not a value of the YAML tag '{name}'", _event_span(source, event))
    return value


def _event_span(source: SourceText, event: Any) -> Span:
    return source.span(event.start_mark.index, max(event.end_mark.index, event.start_mark.index + 1))


def _plain(text: str) -> Any:
    """Resolves a plain scalar by YAML 1.2's core schema; infinities and not-a-number stay text."""
    if text in _CONSTANTS:
        return _CONSTANTS[text]
    if len(text) > _MAX_DIGITS:
        return text
    if _INTEGER.fullmatch(text):
        return int(text)
    if _FLOAT.fullmatch(text):
        return _finite(text)
    if _PREFIXED.fullmatch(text):
        return int(text, 0)
    return text


def _finite(text: str) -> float | str:
    number = float(text)
    return text if number in (float("inf"), float("-inf")) else number


def _from_value(value: Any, depth: int = 0, budget: list[int] | None = None) -> Any:
    """Copies plain values into nodes without places, within the same limits as a text."""
    budget = [MAX_NODES] if budget is None else budget
    budget[0] -= 1 + (len(value) if isinstance(value, Mapping) else 0)
    if budget[0] < 0:
        raise _safety(f"The document has more than {MAX_NODES:,} values")
    is_map = isinstance(value, Mapping)
    if not is_map and not (isinstance(value, Sequence) and not isinstance(value, str | bytes)):
        return value
    if depth >= MAX_DEPTH:
        raise _too_deep()
    if is_map:
        node = MapNode((str(key), _from_value(item, depth + 1, budget)) for key, item in value.items())
        node.offsets = None
        return node
    items = ListNode(_from_value(item, depth + 1, budget) for item in value)
    items.offsets = None
    return items


def _snake(key: str) -> str:
    return re.sub(r"(?<!^)(?=[A-Z])", "_", key).lower()


def _offsets(root: Any, path: Path, *, key: bool) -> tuple[int, int] | None:
    """Finds the offsets of the last part of the path that exists in the tree."""
    node, place = root, None
    for position, step in enumerate(path):
        if isinstance(step, str) and isinstance(node, MapNode) and node.offsets is not None:
            name = step if step in node else _snake(step)
            if name not in node:
                break
            at = 4 * node.place_of(name)
            value = node[name]
            by_key = isinstance(value, dict | list) or (key and position == len(path) - 1)
            place = tuple(node.offsets[at : at + 2] if by_key else node.offsets[at + 2 : at + 4])
        elif isinstance(step, int) and isinstance(node, ListNode) and node.offsets is not None and step < len(node):
            value = node[step]
            place = tuple(node.offsets[2 * step : 2 * step + 2])
        else:
            break
        node = value
    return place  # type: ignore[return-value]  # two numbers by construction


_MAX_SHOWN = 160


def render(diagnostic: Diagnostic, source: SourceText) -> str:
    """Writes a diagnostic as people read it: code, message, the line with carets under the place, and the hint."""
    lines = [f"{diagnostic.severity}[{diagnostic.code}]: {diagnostic.message}"]
    span = diagnostic.span
    margin = " " * len(str(span.line)) if span else ""
    if span is not None:
        lines.append(f"{margin}--> {source.name}:{span.line}:{span.column}")
    elif diagnostic.path:
        lines.append(f"  --> {source.name}: {diagnostic.path}")
    lines += excerpt(span, source)
    if diagnostic.hint:
        lines.append(f"{margin} = hint: {diagnostic.hint}")
    return "\n".join(lines)


def excerpt(span: Span | None, source: SourceText) -> list[str]:
    """Returns the line at a span, its number before it and carets under the place; nothing without a place or text."""
    if span is None or not source.text:
        return []
    margin = " " * len(str(span.line))
    line = source.line(span.line)
    first = span.column - 1
    last = span.end_column - 1 if span.end_line == span.line else len(line)
    cut = max(0, min(first - _MAX_SHOWN // 4, len(line) - _MAX_SHOWN)) if len(line) > _MAX_SHOWN else 0
    shown = line[cut : cut + _MAX_SHOWN].replace("\t", " ")
    carets = "^" * max(1, min(last - first, len(shown) - (first - cut)))
    return [f"{margin} |", f"{span.line} | {shown}", f"{margin} | {' ' * (first - cut)}{carets}"]
