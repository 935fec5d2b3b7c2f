"""What a model can tell about itself: lineage, search, join graph, composability."""
