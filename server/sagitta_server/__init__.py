"""Sagitta's server."""
