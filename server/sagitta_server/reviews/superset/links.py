"""What a pasted link or a selection names; pure, without any network.

A link is never fetched: it is taken apart here, and what it names is asked of the API.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass
from enum import StrEnum
from urllib.parse import SplitResult, parse_qsl, unquote, urlsplit

from sagitta_server.reviews.enums import SourceKind
from sagitta_server.reviews.errors import ReviewError


class LinkKind(StrEnum):
    """What a source names."""

    DASHBOARD = "dashboard"
    DASHBOARD_PERMALINK = "dashboard_permalink"
    EXPLORE = "explore"
    EXPLORE_PERMALINK = "explore_permalink"
    DATASET = "dataset"
    DATASET_NAME = "dataset_name"
    SQLLAB_PERMALINK = "sqllab_permalink"
    SAVED_QUERY = "saved_query"
    QUERY = "query"
    SQL_TEXT = "sql_text"


@dataclass(frozen=True, slots=True)
class Link:
    """A source taken apart."""

    kind: LinkKind
    key: str
    """Id, slug, UUID, permalink key or name; empty for links of explore that name things in their parameters."""
    params: tuple[tuple[str, str], ...] = ()
    """All parameters of the link, in order."""

    def param(self, name: str) -> str | None:
        """The last value of a parameter; None when it is absent or empty."""
        return next((value for key, value in reversed(self.params) if key == name and value), None)

    @property
    def url_params(self) -> tuple[tuple[str, str], ...]:
        """Parameters that are not Superset's own."""
        return tuple((name, value) for name, value in self.params if name not in OWN_PARAMETERS)

    @property
    def is_sql_lab(self) -> bool:
        """It names an SQL text instead of a dataset."""
        return self.kind in {
            LinkKind.SQLLAB_PERMALINK,
            LinkKind.SAVED_QUERY,
            LinkKind.QUERY,
            LinkKind.SQL_TEXT,
        }


OWN_PARAMETERS = frozenset(
    {
        "native_filters",
        "native_filters_key",
        "permalink_key",
        "standalone",
        "show_filters",
        "expand_filters",
        "preselect_filters",
        "edit",
        "force",
        "uiConfig",
        "slice_id",
        "form_data",
        "form_data_key",
        "datasource",
        "datasource_id",
        "datasource_type",
        "dashboard_page_id",
    }
)
"""Superset's own parameters of links; explore echoes them among the URL parameters."""

SUPPORTED = (
    "dashboards (/superset/dashboard/...), charts (/explore/..., /superset/slice/...), datasets "
    "(/tablemodelview/edit/..., /dataset/...) and SQL Lab (/sqllab/p/..., /sqllab?savedQueryId=, ?queryId= "
    "or ?sql=&dbid=)"
)
_MAX_INT = 2**63 - 1
_DASHBOARD = re.compile(r"^/superset/dashboard/(?!p/)([^/]+)$")
_DASHBOARD_PERMALINK = re.compile(r"^/superset/dashboard/p/([^/]+)$")
_EXPLORE = re.compile(r"^(?:/superset)?/explore$")
_EXPLORE_PERMALINK = re.compile(r"^(?:/superset)?/explore/p/([^/]+)$")
_SLICE = re.compile(r"^/superset/slice/(\d+)$")
_DATASET = re.compile(r"^/(?:tablemodelview/edit|dataset)/(\d+)$")
_SQLLAB_PERMALINK = re.compile(r"^/sqllab/p/([^/]+)$")
_SQLLAB = re.compile(r"^(?:/superset)?/sqllab$")
_SELECTION = re.compile(r"^(?:dataset:)?(\d+)$|^(\d+)__table$")
_NAME = re.compile(r"^[^\x00-\x1f]{1,500}$")


def parse_source(kind: SourceKind, text: str, base_url: str, hosts: Collection[str]) -> Link:
    """What a source names.

    Raises:
        ReviewError: `unsupported_link`, `invalid_link`, `link_host_mismatch` or `invalid_dataset_selection`.
    """
    if kind is SourceKind.DATASET_SELECTION:
        return _selection(text.strip())
    return _link(text.strip(), base_url, hosts)


def _selection(text: str) -> Link:
    numbered = _SELECTION.match(text)
    if numbered is not None:
        return Link(LinkKind.DATASET, _id(numbered.group(1) or numbered.group(2)))
    if not _NAME.match(text) or ":" in text or len(text.split(".")) > 3 or not all(text.split(".")):
        raise ReviewError(
            "invalid_dataset_selection", "Name a dataset by its id, as 12__table, or as [database.][schema.]table."
        )
    return Link(LinkKind.DATASET_NAME, text)


def _link(text: str, base_url: str, hosts: Collection[str]) -> Link:
    parts = _split(text)
    if (parts.hostname or "").lower() not in hosts:
        raise ReviewError(
            "link_host_mismatch",
            "The link's host is not this environment's. Choose the environment it belongs to, or correct the link.",
            {"accepted_hosts": sorted(hosts)},
        )
    path = _path(parts.path, urlsplit(base_url).path)
    try:
        params = tuple(parse_qsl(parts.query, keep_blank_values=True, max_num_fields=200))
    except ValueError as error:
        raise ReviewError("invalid_link", "The link has too many parameters.") from error
    named = _named(path, params)
    if named is None:
        raise ReviewError("unsupported_link", f"That kind of link cannot be reviewed. Supported are {SUPPORTED}.")
    return named


def _split(text: str) -> SplitResult:
    try:
        parts = urlsplit(text)
        well_formed = parts.port is None or parts.port > 0
    except ValueError:
        well_formed = False
    if not well_formed or parts.scheme not in {"http", "https"} or not parts.hostname or "\\" in text:
        raise ReviewError("invalid_link", "The source is not an http or https link.")
    if parts.username is not None or parts.password is not None or parts.fragment:
        raise ReviewError("invalid_link", "A link may hold neither credentials nor a fragment (#).")
    return parts


def _path(path: str, prefix: str) -> str:
    """The path below the base URL's own, without slashes at the end."""
    segments = unquote(path).split("/")
    if ".." in segments or "." in segments or any(ord(char) < 32 for char in path):
        raise ReviewError("invalid_link", "The link's path is not a plain one.")
    prefix = prefix.rstrip("/")
    below = path[len(prefix) :] if prefix and (path == prefix or path.startswith(f"{prefix}/")) else path
    return below.rstrip("/")


def _named(path: str, params: tuple[tuple[str, str], ...]) -> Link | None:
    by_key = (
        (_DASHBOARD, LinkKind.DASHBOARD),
        (_DASHBOARD_PERMALINK, LinkKind.DASHBOARD_PERMALINK),
        (_EXPLORE_PERMALINK, LinkKind.EXPLORE_PERMALINK),
        (_DATASET, LinkKind.DATASET),
        (_SQLLAB_PERMALINK, LinkKind.SQLLAB_PERMALINK),
    )
    for pattern, kind in by_key:
        found = pattern.match(path)
        if found is not None:
            key = unquote(found.group(1))
            return Link(kind, _id(key) if kind is LinkKind.DATASET else key, params)
    sliced = _SLICE.match(path)
    if sliced is not None:
        return Link(LinkKind.EXPLORE, "", (*params, ("slice_id", _id(sliced.group(1)))))
    if _EXPLORE.match(path):
        return _explore(Link(LinkKind.EXPLORE, "", params))
    if _SQLLAB.match(path):
        return _sql_lab(Link(LinkKind.SQL_TEXT, "", params))
    return None


def _explore(link: Link) -> Link:
    names = ("slice_id", "form_data_key", "datasource", "datasource_id", "form_data", "permalink_key")
    if not any(link.param(name) for name in names):
        raise ReviewError("unsupported_link", "The link to explore names no chart, no dataset and no saved form.")
    for name in ("slice_id", "datasource_id"):
        if link.param(name) is not None:
            _id(link.param(name) or "")
    datasource = link.param("datasource")
    if datasource is not None and not re.fullmatch(r"\d{1,19}__(table|query)", datasource):
        raise ReviewError("invalid_link", "The parameter datasource must look like 12__table.")
    if "query" in {link.param("datasource_type"), (datasource or "").rpartition("__")[2]}:
        raise ReviewError(
            "unsupported_link", "A chart on a query that was never saved as a dataset cannot be reviewed."
        )
    return link


def _sql_lab(link: Link) -> Link:
    saved, query = link.param("savedQueryId"), link.param("queryId")
    if saved is not None:
        return Link(LinkKind.SAVED_QUERY, _id(saved), link.params)
    if query is not None:
        return Link(LinkKind.QUERY, _id(query), link.params)
    if link.param("sql") is not None and link.param("dbid") is not None:
        return Link(LinkKind.SQL_TEXT, _id(link.param("dbid") or ""), link.params)
    raise ReviewError("unsupported_link", "The link to SQL Lab names no query; save it or share it first.")


def _id(text: str) -> str:
    if not re.fullmatch(r"[0-9]{1,19}", text) or int(text) > _MAX_INT:
        raise ReviewError("invalid_link", "An id in the source is not a number.")
    return str(int(text))
