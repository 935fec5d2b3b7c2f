"""Reviews of datasets that live in Apache Superset."""
