"""What a model can tell about itself: lineage, search, join graph, examples, composability, health."""

from sagitta_compiler.discovery.composables import Composable, Composables, Cost, composables
from sagitta_compiler.discovery.examples import ExamplesFound, example, examples
from sagitta_compiler.discovery.find import Found, FuzzyMatch, Match, find
from sagitta_compiler.discovery.graph import JoinGraph, er_diagram, join_graph
from sagitta_compiler.discovery.health import FanTrapRisk, Health, health
from sagitta_compiler.discovery.lineage import Lineage, LineageItem, lineage

__all__ = [
    "Composable",
    "Composables",
    "Cost",
    "ExamplesFound",
    "FanTrapRisk",
    "Found",
    "FuzzyMatch",
    "Health",
    "JoinGraph",
    "Lineage",
    "LineageItem",
    "Match",
    "composables",
    "er_diagram",
    "example",
    "examples",
    "find",
    "health",
    "join_graph",
    "lineage",
]
