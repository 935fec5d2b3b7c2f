"""A model as an RDF graph, and questions to it in SPARQL."""

from sagitta_compiler.ontology.graph import graph_to_turtle, to_graph, to_turtle
from sagitta_compiler.ontology.sparql import SparqlError, SparqlForm, SparqlResult, parse_sparql, run_sparql

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
