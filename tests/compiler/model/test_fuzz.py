"""Whatever is sent, loading answers: it never raises, never hangs and never eats the memory.

`make fuzz` (`--hypothesis-profile fuzz`) tries 50,000 inputs.
"""

from __future__ import annotations

import random
import resource
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sagitta_compiler import load_model, read_query
from sagitta_compiler.source import MAX_CHARACTERS, MAX_DEPTH, read_document

CORPUS = Path(__file__).parents[1] / "corpus"
VALID = [path.read_text() for path in sorted(CORPUS.rglob("*.yaml"))]
LIMIT_MEGABYTES = 200
T = TypeVar("T")
FEW = 60
"""Inputs of each test in the everyday run."""
PIECES = [
    *("&a", "*a", "<<:", "!!python/object:os.system", "{", "}", "[", "]", ":", "- ", "|", ">", "? ", "%", "\t", "\0"),
    *('"', "'", "{[", "]}", "}.{", "null", "~", "true", ".inf", "1e999", "9" * 400, "-", "\ue000", "\ue001", "\x85"),
    *("dataObjects:", "measures:", "expression: ", "{[A].[B]}", "CASE WHEN", "((((", "NOT " * 80, "\U0001f600"),
]

EXAMPLES = settings().max_examples if settings().max_examples > 1_000 else FEW
LIMIT_SECONDS = 2.0 if EXAMPLES > FEW else 10.0
"""Of processor time; the everyday run is lenient, for others use the machine at the same time."""
fuzzed = settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck))


def peak() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1000


def timely(work: Callable[[], T]) -> T:
    """Works within the limit; a second try counts, for the collector may take its time."""
    for _ in range(2):
        started = time.process_time()
        result = work()
        if time.process_time() - started < LIMIT_SECONDS:
            return result
    raise AssertionError("too slow, twice")


def check(text: object) -> None:
    """Loads as a model and as a query, within the limits (processor time: other tests run beside this one)."""
    before = peak()
    loaded = timely(lambda: load_model(text))  # type: ignore[arg-type]
    assert peak() - before < LIMIT_MEGABYTES
    query, found = timely(lambda: read_query(text))
    assert (loaded.model is None) == any(d.is_error for d in loaded.diagnostics)
    assert query is not None or found
    for diagnostic in loaded.diagnostics:
        assert loaded.render(diagnostic)
        assert "Traceback" not in diagnostic.message
        assert "pydantic" not in diagnostic.message.lower()


def mutated(text: str, chance: random.Random) -> str:
    """Returns the text with a few wounds."""
    for _ in range(chance.randint(1, 6)):
        at, to = sorted(chance.randint(0, len(text)) for _ in range(2))
        to = min(to, at + 200)
        match chance.randint(0, 5):
            case 0:
                text = text[:at] + text[to:]
            case 1:
                text = text[:at] + text[at:to] * chance.randint(2, 4) + text[to:]
            case 2:
                text = text[:at] + chance.choice(PIECES) + text[at:]
            case 3:
                words = text.split(" ")
                words[chance.randrange(len(words))] = chance.choice(PIECES)
                text = " ".join(words)
            case 4:
                lines = text.split("\n")
                chance.shuffle(lines[: chance.randint(1, 8)])
                line = chance.randrange(len(lines))
                lines[line] = " " * chance.randint(0, 9) + lines[line].strip()
                text = "\n".join(lines)
            case _:
                at = min(at, max(len(text) - 1, 0))
                text = (
                    text[:at]
                    + chr(chance.choice([0, 9, 10, 38, 42, 58, 123, 0x2028, 0xFEFF, 0x1F600]))
                    + text[at + 1 :]
                )
    return text


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=12), inner, max_size=4),
    max_leaves=20,
)
KEYS = ["dataObjects", "dimensions", "measures", "metrics", "filters", "settings", "examples", "columns", "joins"]
documents = st.dictionaries(
    st.sampled_from([*KEYS, "select", "where", "orderBy", "extends", "inherits", "name"]), json_values
)


@fuzzed
@given(st.text())
def test_any_text(text: str) -> None:
    check(text)


@fuzzed
@given(documents)
def test_any_mapping(document: dict[str, object]) -> None:
    check(document)


@fuzzed
@given(st.sampled_from(VALID), st.integers(0, 2**62))
def test_wounded_models(text: str, seed: int) -> None:
    check(mutated(text, random.Random(seed)))


@fuzzed
@given(st.lists(st.sampled_from([*PIECES, "\n", "  ", "a", "1"]), max_size=60).map("".join))
def test_texts_of_awkward_pieces(text: str) -> None:
    check(text)


@pytest.mark.parametrize(
    "text",
    [
        "[" * 100_000,
        "{" * 100_000,
        "a: " * 100_000,
        "- " * 100_000,
        "x" * (MAX_CHARACTERS + 1),
        "[" + "1," * 400_000 + "1]",
        "[" + "{a: 1}," * 600_000 + "]",
        "a: '" + "x" * 4_000_000,
        "".join(f"k{at}: 1\n" for at in range(300_000)),
        "{" + ",".join(f'"k{at}": 1' for at in range(300_000)) + "}",
        "".join(f"k{at}: 1\n" for at in range(140_000)),
        "dimensions:\n" + "".join(f"  D{at}: {{dataObject: X, column: Y}}\n" for at in range(40_000)),
        "dataObjects: {A: {code: a, columns: {B: {}}}}\n"
        "dimensions:\n" + "".join(f"  D{at}: {{dataObject: A, column: Y}}\n" for at in range(40_000)),
        "a: &a [x,x]\nb: &b [*a,*a]\nc: &c [*b,*b]\n",
        "measures:\n  M: {expression: '" + "+".join(["{[A].[B]}"] * 2_000) + "'}",
        "measures:\n  M: {expression: '" + "(" * 5_000 + "'}",
        "measures:\n  M: {expression: '" + "CASE WHEN 1=1 THEN " * 900 + "'}",
        "measures:\n  M: {expression: '" + "NOT " * 4_900 + "1'}",
        "measures:\n  M: {expression: '" + "{[" * 9_000 + "'}",
        "metrics:\n" + "".join(f"  M{at}: {{expression: '{{[M{at + 1}]}}'}}\n" for at in range(5_000)),
        "# " + "\u2028" * 1_000_000,
    ],
    ids=lambda text: f"{text[:24]!r} x{len(text)}",
)
def test_texts_made_to_exhaust(text: str) -> None:
    check(text)


def test_a_mapping_that_contains_itself_is_refused() -> None:
    endless: dict[str, object] = {}
    endless["a"] = endless

    assert load_model(endless).errors
    assert read_query(endless)[1]


def test_depth_is_counted_in_texts_and_mappings_alike() -> None:
    def nested(depth: int) -> object:
        return {"a": nested(depth - 1)} if depth else 1

    for depth, refused in ((MAX_DEPTH, False), (MAX_DEPTH + 1, True)):
        text = "{a: " * depth + "1" + "}" * depth
        assert bool(read_document(text).diagnostics) is refused
        assert bool(read_document(nested(depth)).diagnostics) is refused  # type: ignore[arg-type]


def dense(objects: int, joins: int, *, circular: bool) -> str:
    """A model in which everything joins to everything."""
    chance = random.Random(1)
    lines = ["dataObjects:"]
    for at in range(objects):
        others = [n for n in range(objects) if n != at] if circular else list(range(at + 1, objects))
        targets = chance.sample(others, min(joins, len(others)))
        join = "{joinType: many-to-one, columnsFrom: [X], columnsTo: [X], joinTo: O"
        lines.append(
            f"  O{at}: {{code: o, columns: {{X: {{}}}}, joins: [{', '.join(f'{join}{t}}}' for t in targets)}]}}"
        )
    lines.append("dimensions:")
    lines += [f"  D{at}: {{dataObject: O{objects - 1}, column: X, via: O0}}" for at in range(2_000)]
    lines.append("measures:")
    lines += [f"  M{at}: {{columns: [{{dataObject: O{at}, column: X}}], aggregation: max}}" for at in range(objects)]
    return "\n".join(lines)


CHAIN = "dataObjects: {A: {code: a, columns: {X: {}}}}\nmeasures:\n  M: {columns: [{dataObject: A, column: X}]}\n"


@pytest.mark.parametrize(
    "text",
    [
        dense(1_000, 8, circular=False),
        dense(1_000, 8, circular=True),
        dense(1_500, 1, circular=False),
        "dataObjects:\n  D: {code: d, columns: {X: {}}}\n"
        + "".join(
            f"  F{at}: {{code: f, columns: {{X: {{}}}}, joins: [{{joinType: many-to-one, joinTo: D, columnsFrom: X, "
            "columnsTo: X}]}\n"
            for at in range(5_000)
        ),
        CHAIN
        + "  N: {expression: '{[C9999]}', aggregation: avg}\nmetrics:\n  C0: {expression: '{[M]}'}\n"
        + "".join(f"  C{at}: {{expression: '{{[C{at - 1}]}}'}}\n" for at in range(1, 10_000)),
        CHAIN
        + "metrics:\n  C0: {expression: '{[M]}'}\n"
        + "".join(f"  C{at}: {{expression: '{{[C{at - 1}]}}'}}\n" for at in range(1, 2_000))
        + "".join(f"  R{at}: {{type: cumulative, measure: C1999, timeDimension: T}}\n" for at in range(8_000)),
        "dataObjects:\n  A:\n    code: a\n    columns:\n      X0: {}\n"
        + "".join(f"      X{at}: {{expression: '{{X{at - 1}}}'}}\n" for at in range(1, 10_000)),
    ],
    ids=["dense", "circular", "sparse", "one calendar", "chain", "chains", "columns"],
)
def test_models_made_to_exhaust(text: str) -> None:
    check(text)


def test_suggestions_do_not_cost_more_than_they_are_worth() -> None:
    """Thousands of names, and hundreds of mistakes that look like them."""
    dimensions = "".join(f"  Dimension {at}: {{dataObject: A, column: X}}\n" for at in range(20_000))
    mistakes = "".join(f"  - {{field: Dimensio {at}, op: '=', value: 1}}\n" for at in range(2_000))
    check(f"dataObjects: {{A: {{code: a, columns: {{X: {{}}}}}}}}\ndimensions:\n{dimensions}filters:\n{mistakes}")
