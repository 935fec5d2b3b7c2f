"""Revisions, one line per part of the server."""
