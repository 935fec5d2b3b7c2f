"""SQL on a model's virtual table as a question."""

from __future__ import annotations

import datetime as dt
import json

from sagitta_compiler import query_to_dict
from sagitta_compiler.query.semantic_sql import read_semantic_sql

from sagitta_server.models import ModelHandle
from sagitta_server.queries.service import Question


def translate(sql: str, handle: ModelHandle) -> Question:
    """The question that a statement asks.

    Raises:
        CompileError: it is not SQL on the model, or says more than a query can.
    """
    query = read_semantic_sql(sql, handle.model, now=dt.datetime.now(dt.UTC))
    return Question(query=query, translated=json.dumps(query_to_dict(query), default=str))
