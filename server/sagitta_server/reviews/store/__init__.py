"""Reviews in the database: one row per thing that the contract names, one transaction per change."""

from sagitta_server.reviews.store.store import ReviewStore, VersionConflictError

__all__ = ["ReviewStore", "VersionConflictError"]
