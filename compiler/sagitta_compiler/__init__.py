"""Sagitta's compiler."""
