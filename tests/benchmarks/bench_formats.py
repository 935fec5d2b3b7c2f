"""How long a large model takes to become a graph, an OSI text, and a question to the graph to be answered.

Limits, for 1,000 data objects of 10 columns: graph and Turtle 6 s, OSI 6 s; a small question 50 ms.
"""

from __future__ import annotations

import statistics

from sagitta_compiler import load_model
from sagitta_compiler.conversion import obml_to_osi, osi_to_obml
from sagitta_compiler.ontology import graph_to_turtle, to_graph
from sagitta_server.graph import SparqlPool

from benchmarks.bench_model import model_text
from benchmarks.harness import Bench, seconds

LABELS = """
PREFIX obsl: <https://ralforion.com/ns/obsl#>
PREFIX rdfs: <http://www.w3.org/2000/01/rdf-schema#>
SELECT ?label WHERE { ?m a obsl:Measure ; rdfs:label ?label }
"""
OBJECTS, COLUMNS, SMALL = 1_000, 10, 100


def run(bench: Bench) -> None:
    """Times each step by itself."""
    text = model_text(OBJECTS, COLUMNS)
    model = load_model(text).model
    assert model is not None
    rounds = max(1, bench.rounds // 2)
    graph = to_graph(model, "bench")
    made = statistics.median(seconds(lambda: to_graph(model, "bench")) for _ in range(rounds))
    bench.report(f"graph of {OBJECTS:,} data objects ({len(graph):,} statements)", made, "s")
    written = statistics.median(seconds(lambda: graph_to_turtle(graph)) for _ in range(rounds))
    bench.report("its Turtle", written, "s")
    bench.report("both", made + written, "s", limit=6)
    bench.report("to OSI", statistics.median(seconds(lambda: obml_to_osi(text)) for _ in range(rounds)), "s", limit=6)
    small = obml_to_osi(model_text(SMALL, COLUMNS)).output_yaml
    back = statistics.median(seconds(lambda: osi_to_obml(small)) for _ in range(rounds))
    bench.report(f"back from OSI, {SMALL} data objects", back, "s", limit=3)
    _questions(bench)


def _questions(bench: Bench) -> None:
    model = load_model(model_text(SMALL, COLUMNS)).model
    assert model is not None
    graph = to_graph(model, "bench")
    pool = SparqlPool(timeout_seconds=30, max_rows=10_000, workers=1)
    try:
        first = seconds(lambda: pool.query("k", lambda: graph, LABELS))
        bench.report("the first question (starts a process)", first, "s")
        times = [seconds(lambda: pool.query("k", lambda: graph, LABELS)) for _ in range(bench.rounds * 10)]
        bench.report("a question for 300 labels", statistics.median(times) * 1000, "ms", limit=50)
    finally:
        pool.close()
