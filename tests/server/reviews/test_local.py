"""Placeholders of the embedded environment: typed, and too modest to cost anything."""

import time

import pytest
from sagitta_server.reviews.enums import SourceKind
from sagitta_server.reviews.environment import CompilationError
from sagitta_server.reviews.errors import ReviewError
from sagitta_server.reviews.local.selection import SelectionKind, parse_selection
from sagitta_server.reviews.local.templates import Renderer
from sagitta_server.reviews.template_variables import discover
from sagitta_server.reviews.values import TemplateText

VALUES = {"day": '"2024-01-01"', "n": "12345678901234567890", "xs": '["a","b"]', "none": "null", "c d": '"x"'}


def value(template):
    return Renderer(VALUES, ()).value(template)


@pytest.mark.parametrize(
    ("template", "result"),
    [
        ("plain", "plain"),
        ("{{ day }}", "2024-01-01"),
        ("{{ n }}", 12345678901234567890),
        ("{{ xs }}", ["a", "b"]),
        ("{{ xs | first }}", "a"),
        ("{{ filter_values('xs') | where_in }}", ["a", "b"]),
        ("{{ filter_values('c d') }}", ["x"]),
        ("{{ url_param('nothing', 'given') }}", "given"),
        ("{{ none | default(none_) if false else 7 }}", 7),
        ("{{ missing | default('x') }}", "x"),
        ("{{ missing | default(none) }}", None),
        ("from {{ day }} on", "from 2024-01-01 on"),
        ("{% if day %}y{% else %}n{% endif %}", "y"),
    ],
)
def test_a_placeholder_keeps_the_type_of_its_value(template, result):
    assert value(template) == result


@pytest.mark.parametrize(
    "template",
    [
        "{{ missing }}",
        "{{ 9**9**9 }}",
        "{{ 'a' * 10000000000 }}",
        "{{ '%1000000000d' % 1 }}",
        "{{ day.__class__ }}",
        "{{ ''.__class__.__mro__[1].__subclasses__() }}",
        "{{ 'x'.format(1) }}",
        "{{ 'x' | center(1000000000) }}",
        "{{ range(1000000000) | list }}",
        "{% for a in xs %}{% for b in xs %}{{ a }}{% endfor %}{% endfor %}",
        "{% include 'x' %}",
        "{{ " + "(" * 500 + "1" + ")" * 500 + " }}",
        "{{ -" * 1 + "- " * 200 + "1 }}",
        "{{ day ",
    ],
)
def test_what_could_cost_time_or_reach_out_is_refused_at_once(template):
    started = time.perf_counter()
    with pytest.raises(CompilationError):
        value(template)
    assert time.perf_counter() - started < 20


def test_looking_for_variables_evaluates_nothing():
    started = time.perf_counter()
    found = discover([TemplateText("sql", "{{ filter_values('a', 9**9**9) }}{{ b | default('x' * 10**10) }}")])
    assert {v.name for v in found.variables} == {"a", "b"}
    assert time.perf_counter() - started < 20


@pytest.mark.parametrize(
    ("text", "kind", "name"),
    [
        ("shop", SelectionKind.MODEL, "shop"),
        (" model:shop ", SelectionKind.MODEL, "shop"),
        ("s1/m1", SelectionKind.SESSION_MODEL, "s1/m1"),
        ("example:shop/by day", SelectionKind.EXAMPLE, "shop"),
        ("table:main.orders", SelectionKind.TABLE, "main.orders"),
        ('{"model": "model:shop"}', SelectionKind.MODEL, "shop"),
    ],
)
def test_selections_are_read(text, kind, name):
    found = parse_selection(SourceKind.DATASET_SELECTION, text, "")
    assert (found.kind, found.name) == (kind, name)


@pytest.mark.parametrize(
    ("link", "ok"),
    [
        ("http://127.0.0.1:8080/v1/sessions/s/models/m", True),
        ("https://sagitta.example/v1/sessions/s/models/m/schema", True),
        ("http://evil.example/v1/sessions/s/models/m", False),
        ("http://user@sagitta.example/v1/sessions/s/models/m", False),
        ("http://sagitta.example/superset/dashboard/1/", False),
        ("file:///v1/sessions/s/models/m", False),
        ("http://[", False),
    ],
)
def test_links_of_this_gateway_are_taken_and_no_others(link, ok):
    if ok:
        found = parse_selection(SourceKind.SUPERSET_LINK, link, "https://sagitta.example")
        assert found.name == "s/m"
        return
    with pytest.raises(ReviewError) as refused:
        parse_selection(SourceKind.SUPERSET_LINK, link, "https://sagitta.example")
    assert refused.value.code in {"source_kind_not_supported", "invalid_link"}
