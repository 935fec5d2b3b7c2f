"""Texts as values that remember their places."""

from __future__ import annotations

import pytest
from sagitta_compiler.diagnostics import Diagnostic, Span
from sagitta_compiler.source import SourceText, excerpt, path_text, read_document, render


def root(text: str) -> object:
    found = read_document(text)
    assert found.diagnostics == (), found.diagnostics
    return found.root


@pytest.mark.parametrize(
    ("text", "value"),
    [
        *(("NO", "NO"), ("yes", "yes"), ("on", "on"), ("true", True), ("False", False), ("null", None), ("~", None)),
        *(
            ("", None),
            ("12", 12),
            ("-7", -7),
            ("012", 12),
            ("0o17", 15),
            ("0x1F", 31),
            ("1.5", 1.5),
            (".5", 0.5),
            ("1e3", 1000.0),
        ),
        *(("2024-01-31", "2024-01-31"), ("12:30", "12:30"), ("1_000", "1_000"), (".inf", ".inf"), (".nan", ".nan")),
        *(
            ('"12"', "12"),
            ("'true'", "true"),
            ("!!str 12", "12"),
            ("!!int 12", 12),
            ("9" * 70, "9" * 70),
            ("1e999", "1e999"),
        ),
        *(
            ("R &D", "R &D"),
            ("a *b", "a *b"),
            ("50 % & more", "50 % & more"),
            ("a#b", "a#b"),
            ("-", "-"),
            ("+", "+"),
            (".", "."),
        ),
    ],
)
def test_scalars_follow_yaml_1_2(text: str, value: object) -> None:
    found = root(f"a: {text}\n") if text != "-" else root('a: "-"\n')
    assert found == {"a": value}
    assert isinstance(found, dict)
    assert type(found["a"]) is type(value)


def test_keys_are_texts() -> None:
    assert root("{1: a, true: b, null: c, 2024-01-01: d}") == {"1": "a", "true": "b", "null": "c", "2024-01-01": "d"}


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("a: &x 1", "YAML_SAFETY_ERROR"),
        ("a: [*x]", "YAML_SAFETY_ERROR"),
        ("a: *x", "YAML_SAFETY_ERROR"),
        ("<<: {a: 1}", "YAML_SAFETY_ERROR"),
        ("&x {a: 1}", "YAML_SAFETY_ERROR"),
        ("a: !!python/object:os.system x", "YAML_PARSE_ERROR"),
        ("a: !include x.yaml", "YAML_PARSE_ERROR"),
        ("a: 1\na: 2", "YAML_PARSE_ERROR"),
        ('{"a": 1, "a": 2}', "YAML_PARSE_ERROR"),
        ("a: 1\n---\nb: 2", "YAML_PARSE_ERROR"),
        ("a: [1, 2", "YAML_PARSE_ERROR"),
        ("? [a]\n: b", "YAML_PARSE_ERROR"),
        ("\x00", "YAML_PARSE_ERROR"),
        ("a: \ud800", "YAML_PARSE_ERROR"),
        ("\ta: 1", "YAML_PARSE_ERROR"),
    ],
)
def test_what_is_unsafe_or_no_yaml_is_refused(text: str, code: str) -> None:
    found = read_document(text)

    assert [d.code for d in found.diagnostics] == [code]
    assert found.diagnostics[0].hint


def test_every_duplicate_key_is_reported() -> None:
    found = read_document("a: {x: 1, x: 2}\nb: 1\nb: 2\n")

    assert [(d.context["key"], d.span and d.span.line) for d in found.diagnostics] == [("x", 1), ("b", 3)]


def test_json_with_escaped_surrogates_is_read() -> None:
    assert root('{"a": "\\ud83d\\ude00"}') == {"a": "\U0001f600"}


TEXT = "top:\n  list:\n    - one\n    - {deep: value}\n  ünï: 'quoted'\n"


@pytest.mark.parametrize(
    ("path", "key", "shown"),
    [
        (("top",), False, "top"),
        (("top", "list", 0), False, "one"),
        (("top", "list", 1, "deep"), False, "value"),
        (("top", "list", 1, "deep"), True, "deep"),
        (("top", "ünï"), False, "'quoted'"),
        (("top", "list", 9), False, "list"),
        (("top", "missing", "x"), False, "top"),
    ],
)
def test_a_path_finds_its_place(path: tuple[str | int, ...], key: bool, shown: str) -> None:
    """A path that leaves the text ends at its last part that exists."""
    span = read_document(TEXT).span(path, key=key)

    assert span is not None
    assert TEXT.split("\n")[span.line - 1][span.column - 1 : span.end_column - 1] == shown


def test_a_camel_case_path_finds_its_snake_case_key() -> None:
    span = read_document("data_objects: {A: {}}").span(("dataObjects", "A"))

    assert span == Span(1, 16, 1, 17)


def test_a_mapping_has_no_places() -> None:
    found = read_document({"a": {"b": [1, {2: 3}]}})

    assert found.root == {"a": {"b": [1, {"2": 3}]}}
    assert found.span(("a", "b")) is None


def test_paths_are_written_with_dots_and_brackets() -> None:
    assert path_text(("measures", "My Measure", "columns", 0, "column")) == "measures.My Measure.columns[0].column"
    assert path_text(()) == ""


def test_carets_stand_under_the_place() -> None:
    source = SourceText("a: 1\nbcd: efg\n", "m.yaml")
    text = render(Diagnostic("SCHEMA_VALIDATION", "wrong", span=source.span(10, 13), hint="mend it"), source)

    assert text.split("\n") == [
        "error[SCHEMA_VALIDATION]: wrong",
        " --> m.yaml:2:6",
        "  |",
        "2 | bcd: efg",
        "  |      ^^^",
        "  = hint: mend it",
    ]


def test_a_long_line_is_shown_in_part() -> None:
    source = SourceText("x" * 10_000)
    number, shown, carets = excerpt(source.span(5_000, 5_010), source)

    assert max(map(len, (number, shown, carets))) < 200
    assert carets.count("^") == 10
