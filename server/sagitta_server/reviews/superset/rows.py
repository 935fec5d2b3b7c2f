"""Rows of a dataset: only for data dictionaries that somebody keeps as one."""

from __future__ import annotations

from sagitta_server.reviews.json_text import Json
from sagitta_server.reviews.superset.client import SupersetClient, results_of
from sagitta_server.reviews.superset.datasets import objects


def read_rows(client: SupersetClient, dataset_id: int, limit: int) -> list[dict[str, Json]]:
    """The first rows of a dataset, all columns.

    Raises:
        SupersetError: it cannot be read.
    """
    columns = [c.get("column_name") for c in objects(client.get_dataset(dataset_id).get("columns"))]
    query: dict[str, Json] = {"columns": list(columns), "metrics": None, "filters": [], "row_limit": limit}
    body: dict[str, Json] = {
        "datasource": {"id": dataset_id, "type": "table"},
        "queries": [query],
        "result_format": "json",
        "result_type": "full",
        "force": False,
    }
    results = results_of(client.post("/api/v1/chart/data", body))
    return objects(results[0].get("data")) if results else []
