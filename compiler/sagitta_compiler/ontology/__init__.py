"""A model as an RDF graph, and questions to it in SPARQL.

What needs rdflib is imported when it is first used: few processes make a graph, and the library is large.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

from sagitta_compiler.ontology.answer import SparqlError, SparqlForm, SparqlResult

if TYPE_CHECKING:
    from sagitta_compiler.ontology.graph import graph_to_turtle, to_graph, to_turtle
    from sagitta_compiler.ontology.sparql import parse_sparql, run_sparql

_HOMES = {
    "graph_to_turtle": "graph",
    "to_graph": "graph",
    "to_turtle": "graph",
    "parse_sparql": "sparql",
    "run_sparql": "sparql",
}

__all__ = [
    "SparqlError",
    "SparqlForm",
    "SparqlResult",
    "graph_to_turtle",
    "parse_sparql",
    "run_sparql",
    "to_graph",
    "to_turtle",
]


def __getattr__(name: str) -> object:
    if (home := _HOMES.get(name)) is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{home}"), name)
