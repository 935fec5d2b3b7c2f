"""Everything that must outlive a process: one relational schema, on SQLite or PostgreSQL."""

from sagitta_server.state.base import Base
from sagitta_server.state.database import Database, open_database

__all__ = ["Base", "Database", "open_database"]
