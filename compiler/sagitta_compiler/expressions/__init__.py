"""Expressions in models, parsed by sqlglot; the portable function catalogue."""
