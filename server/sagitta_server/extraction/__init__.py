"""Bulk extraction: a client of Flight SQL that pulls a partitioned result into files."""
