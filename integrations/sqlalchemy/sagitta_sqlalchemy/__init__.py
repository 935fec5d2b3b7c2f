"""Sagitta's models in SQLAlchemy and Apache Superset."""

from sagitta_sqlalchemy.dialect import SagittaDialect

__all__ = ["SagittaDialect"]
