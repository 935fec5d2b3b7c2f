"""Apache Superset as an environment of reviews, over its REST API."""
