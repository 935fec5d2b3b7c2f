"""What a link names, without any network; hostile links are refused."""

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sagitta_server.reviews.enums import SourceKind
from sagitta_server.reviews.errors import ReviewError
from sagitta_server.reviews.superset.links import LinkKind, parse_source

BASE = "https://bi.example.com/sub"
HOSTS = frozenset({"bi.example.com", "reports.example.com"})


def link(text, base=BASE):
    return parse_source(SourceKind.SUPERSET_LINK, text, base, HOSTS)


def selection(text):
    return parse_source(SourceKind.DATASET_SELECTION, text, BASE, HOSTS)


@pytest.mark.parametrize(
    ("text", "kind", "key"),
    [
        ("https://bi.example.com/superset/dashboard/12/", LinkKind.DASHBOARD, "12"),
        ("https://bi.example.com/sub/superset/dashboard/sales", LinkKind.DASHBOARD, "sales"),
        ("http://BI.example.com:8088/superset/dashboard/p/Kx9/", LinkKind.DASHBOARD_PERMALINK, "Kx9"),
        ("https://reports.example.com/explore/?slice_id=3", LinkKind.EXPLORE, ""),
        ("https://bi.example.com/superset/explore/?datasource=3__table", LinkKind.EXPLORE, ""),
        ("https://bi.example.com/superset/slice/7/", LinkKind.EXPLORE, ""),
        ("https://bi.example.com/explore/p/Kx9/", LinkKind.EXPLORE_PERMALINK, "Kx9"),
        ("https://bi.example.com/tablemodelview/edit/4", LinkKind.DATASET, "4"),
        ("https://bi.example.com/dataset/004", LinkKind.DATASET, "4"),
        ("https://bi.example.com/sqllab/p/Kx9/", LinkKind.SQLLAB_PERMALINK, "Kx9"),
        ("https://bi.example.com/sqllab?savedQueryId=5", LinkKind.SAVED_QUERY, "5"),
        ("https://bi.example.com/superset/sqllab/?queryId=6", LinkKind.QUERY, "6"),
        ("https://bi.example.com/sqllab/?sql=SELECT%201&dbid=2", LinkKind.SQL_TEXT, "2"),
    ],
)
def test_every_kind_of_link(text, kind, key):
    found = link(text)
    assert (found.kind, found.key) == (kind, key)


def test_parameters_of_superset_itself_are_told_from_the_users():
    found = link(
        "https://bi.example.com/superset/dashboard/1/?status=new&standalone=1&native_filters_key=k&status=paid"
    )
    assert found.url_params == (("status", "new"), ("status", "paid"))
    assert found.param("status") == "paid"
    assert found.param("native_filters_key") == "k"


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("https://evil.example.org/superset/dashboard/1/", "link_host_mismatch"),
        ("https://bi.example.com.evil.org/superset/dashboard/1/", "link_host_mismatch"),
        ("https://bi.example.com@evil.org/superset/dashboard/1/", "invalid_link"),
        ("https://user:secret@bi.example.com/superset/dashboard/1/", "invalid_link"),
        ("https://bi.example.com/superset/dashboard/1/#x", "invalid_link"),
        ("https://bi.example.com/superset/dashboard/%2e%2e/1", "invalid_link"),
        ("https://bi.example.com\\@evil.org/superset/dashboard/1/", "invalid_link"),
        ("ftp://bi.example.com/superset/dashboard/1/", "invalid_link"),
        ("file:///etc/passwd", "invalid_link"),
        ("javascript:alert(1)", "invalid_link"),
        ("dashboard 12", "invalid_link"),
        ("https://bi.example.com:99999/superset/dashboard/1/", "invalid_link"),
        ("https://bi.example.com/r/12", "unsupported_link"),
        ("https://bi.example.com/login/", "unsupported_link"),
        ("https://bi.example.com/explore/", "unsupported_link"),
        ("https://bi.example.com/sqllab/", "unsupported_link"),
        ("https://bi.example.com/explore/?datasource=3__query", "unsupported_link"),
        ("https://bi.example.com/dataset/99999999999999999999", "invalid_link"),
        ("https://bi.example.com/sqllab?savedQueryId=1%20OR%201", "invalid_link"),
        ("https://bi.example.com/explore/?slice_id=" + "9" * 19, "invalid_link"),
    ],
)
def test_what_is_no_link_of_this_superset_is_refused(text, code):
    with pytest.raises(ReviewError) as refused:
        link(text)
    assert refused.value.code == code
    assert "secret" not in refused.value.message


@pytest.mark.parametrize(
    ("text", "kind", "key"),
    [
        ("12", LinkKind.DATASET, "12"),
        ("dataset:12", LinkKind.DATASET, "12"),
        ("12__table", LinkKind.DATASET, "12"),
        ("orders", LinkKind.DATASET_NAME, "orders"),
        ("shop.main.orders", LinkKind.DATASET_NAME, "shop.main.orders"),
    ],
)
def test_a_selection_is_a_number_or_a_name(text, kind, key):
    found = selection(text)
    assert (found.kind, found.key) == (kind, key)


@pytest.mark.parametrize("text", ["", "a.b.c.d", "a..b", "model:x", '{"model": "x"}', "x" * 600])
def test_what_is_no_selection_is_refused(text):
    with pytest.raises(ReviewError) as refused:
        selection(text)
    assert refused.value.code in {"invalid_dataset_selection", "invalid_link"}


@given(st.text(max_size=200))
def test_any_text_is_parsed_or_refused(text):
    for parse in (link, selection, lambda t: link(f"https://bi.example.com/{t}")):
        with suppress(ReviewError):
            parse(text)
