"""The embedded environment: reviews of the semantic models that this server serves."""

from sagitta_server.reviews.local.environment import LocalEnvironment

__all__ = ["LocalEnvironment"]
