"""SPARQL over the graphs of models, within limits."""

from sagitta_server.graph.pool import SparqlPool, SparqlTimeoutError

__all__ = ["SparqlPool", "SparqlTimeoutError"]
