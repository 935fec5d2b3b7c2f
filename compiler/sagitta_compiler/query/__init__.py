"""Queries: as asked, as bound, and the texts they come from."""
