"""A dashboard taken apart: its native filters, its charts, and which charts a filter is meant for; pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from sagitta_server.reviews.json_text import Json, load
from sagitta_server.reviews.superset.datasets import integer, objects, parameters, text


@dataclass(frozen=True, slots=True)
class Chart:
    """A chart of a dashboard."""

    chart_id: int
    name: str
    dataset_id: int | None


@dataclass(frozen=True, slots=True)
class NativeFilter:
    """A native filter as the dashboard configures it."""

    filter_id: str
    title: str
    default_mask: Mapping[str, Json]
    columns: tuple[str, ...] = ()
    """Columns that it targets."""
    dataset_ids: frozenset[int] = frozenset()
    """Datasets that it targets."""
    charts: frozenset[int] = frozenset()
    """Charts that it applies to."""


@dataclass(frozen=True, slots=True)
class Dashboard:
    """A dashboard."""

    dashboard_id: int
    title: str
    filters: tuple[NativeFilter, ...] = ()
    charts: tuple[Chart, ...] = ()

    def datasets(self) -> dict[int, int]:
        """Ids of the datasets of its charts and of its filters' targets, each with its number of charts."""
        counts: dict[int, int] = {}
        for chart in self.charts:
            if chart.dataset_id is not None:
                counts[chart.dataset_id] = counts.get(chart.dataset_id, 0) + 1
        for item in self.filters:
            for dataset_id in sorted(item.dataset_ids):
                counts.setdefault(dataset_id, 0)
        return counts

    def applies(self, item: NativeFilter, dataset_id: int) -> bool:
        """A filter reaches some chart of a dataset; a dataset without charts is reached by what targets it."""
        charts = {c.chart_id for c in self.charts if c.dataset_id == dataset_id}
        return bool(charts & item.charts) if charts else dataset_id in item.dataset_ids or not item.dataset_ids

    def chart_name(self, chart_id: str) -> str:
        """A chart's name, or its id where it has none here."""
        return next((c.name for c in self.charts if str(c.chart_id) == chart_id), f"chart {chart_id}")


def read_dashboard(raw: Mapping[str, Json], charts: Iterable[Mapping[str, Json]]) -> Dashboard:
    """A dashboard out of the answers of `/dashboard/<id>` and `/dashboard/<id>/charts`."""
    metadata = _object(raw.get("json_metadata"))
    layout = _object(raw.get("position_json"))
    found = tuple(map(_chart, charts))
    configured = objects(metadata.get("native_filter_configuration"))
    return Dashboard(
        dashboard_id=integer(raw.get("id")) or 0,
        title=str(raw.get("dashboard_title") or ""),
        filters=tuple(_filter(item, layout, found) for item in configured if item.get("type") != "DIVIDER"),
        charts=found,
    )


def _chart(raw: Mapping[str, Json]) -> Chart:
    form = raw.get("form_data")
    source = form.get("datasource") if isinstance(form, dict) else None
    return Chart(integer(raw.get("id")) or 0, str(raw.get("slice_name") or ""), dataset_of(source))


def dataset_of(datasource: Json) -> int | None:
    """The dataset that `12__table` names."""
    number, _, kind = datasource.partition("__") if isinstance(datasource, str) else ("", "", "")
    return int(number) if number.isdigit() and kind == "table" else None


def _filter(raw: Mapping[str, Json], layout: Mapping[str, Json], charts: tuple[Chart, ...]) -> NativeFilter:
    targets = objects(raw.get("targets"))
    columns = [t["column"] for t in targets if isinstance(t.get("column"), dict)]
    mask = raw.get("defaultDataMask")
    return NativeFilter(
        filter_id=str(raw.get("id") or ""),
        title=text(raw.get("name")) or str(raw.get("id") or ""),
        default_mask=mask if isinstance(mask, dict) else {},
        columns=tuple(str(c.get("name")) for c in columns if isinstance(c, dict) and text(c.get("name"))),
        dataset_ids=frozenset(n for t in targets if (n := integer(t.get("datasetId"))) is not None),
        charts=_charts_in_scope(raw, layout, charts),
    )


def _charts_in_scope(raw: Mapping[str, Json], layout: Mapping[str, Json], charts: tuple[Chart, ...]) -> frozenset[int]:
    """What the dashboard computed when it was saved, else the scope's own rule: below its roots, not excluded."""
    computed = raw.get("chartsInScope")
    if isinstance(computed, list):
        return frozenset(n for c in computed if (n := integer(c)) is not None)
    scope = raw.get("scope")
    if not isinstance(scope, dict):
        return frozenset(c.chart_id for c in charts)
    excluded = scope.get("excluded")
    roots = scope.get("rootPath")
    left_out = {integer(c) for c in excluded} if isinstance(excluded, list) else set()
    below = _charts_below(layout, [str(r) for r in roots] if isinstance(roots, list) else ["ROOT_ID"])
    inside = below or {c.chart_id for c in charts}
    return frozenset(c.chart_id for c in charts if c.chart_id in inside and c.chart_id not in left_out)


def _charts_below(layout: Mapping[str, Json], roots: list[str]) -> set[int]:
    found: set[int] = set()
    waiting, seen = list(roots), set(roots)
    while waiting:
        node = layout.get(waiting.pop())
        if not isinstance(node, dict):
            continue
        meta = node.get("meta")
        chart = integer(meta.get("chartId")) if isinstance(meta, dict) else None
        if chart is not None:
            found.add(chart)
        children = node.get("children")
        fresh = [str(c) for c in children if str(c) not in seen] if isinstance(children, list) else []
        seen.update(fresh)
        waiting.extend(fresh)
    return found


def _object(value: Json) -> dict[str, Json]:
    parsed = load(parameters(value))
    return parsed if isinstance(parsed, dict) else {}
