"""Sagitta's gateway: the documented REST API, each operation one call to the engine's gRPC services."""
