"""Profiles of the fuzz tests."""

from hypothesis import settings

settings.register_profile("fuzz", max_examples=12_500)
"""50,000 inputs over the four tests (`make fuzz`)."""
