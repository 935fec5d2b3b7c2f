"""Sagitta's gateway."""
