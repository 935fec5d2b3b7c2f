"""The gRPC surface: a servicer per proto service; each handler checks, calls, and converts."""
