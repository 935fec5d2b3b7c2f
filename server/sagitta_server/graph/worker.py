"""A process that answers SPARQL and may be killed at any moment.

It reads requests from the pipe whose file descriptor is its first argument: a graph to keep, or a question to a graph
that it keeps. Nothing else reaches it, and it is limited in memory.
"""

from __future__ import annotations

import json
import logging
import resource
import signal
import sys
from collections import OrderedDict
from multiprocessing.connection import Connection
from typing import Any

from rdflib import Graph
from sagitta_compiler.ontology import SparqlError, run_sparql

from sagitta_server.graph.limits import GRAPHS, MAX_ANSWER_CHARACTERS, MEMORY_BYTES

_GRACE_SECONDS = 5.0


def main() -> None:
    """Serves until the other end of the pipe closes."""
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
    logging.disable(logging.CRITICAL)  # rdflib comments on strange terms; nobody reads it here
    graphs: OrderedDict[str, Graph] = OrderedDict()
    with Connection(int(sys.argv[1])) as pipe:
        while True:
            try:
                request = json.loads(pipe.recv_bytes())
            except EOFError:
                return
            # The pool ends this process in time; should the pool be gone, the alarm does, whatever Python is busy with.
            signal.setitimer(signal.ITIMER_REAL, request["seconds"] + _GRACE_SECONDS)
            pipe.send_bytes(json.dumps(_answer(graphs, request)).encode())
            signal.setitimer(signal.ITIMER_REAL, 0)


def _answer(graphs: OrderedDict[str, Graph], request: dict[str, Any]) -> dict[str, Any]:
    key = request["key"]
    if "graph" in request:
        graphs[key] = Graph().parse(data=request["graph"], format="nt")
        while len(graphs) > GRAPHS:
            graphs.popitem(last=False)
        return {}
    graphs.move_to_end(key)
    try:
        result = run_sparql(graphs[key], request["query"], max_rows=request["max_rows"])
    except SparqlError as error:
        return {"error": str(error)}
    size = sum(len(value or "") for row in result.rows for value in row.values())
    if size > MAX_ANSWER_CHARACTERS:
        return {"error": f"The answer has more than {MAX_ANSWER_CHARACTERS:,} characters; ask for less."}
    return {
        "form": result.form.value,
        "variables": result.variables,
        "rows": [tuple(row.values()) for row in result.rows],
        "boolean": result.boolean,
        "truncated": result.truncated,
    }


if __name__ == "__main__":
    main()
