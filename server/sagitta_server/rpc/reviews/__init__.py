"""The review services, a file for each; `boundary.py` is what they share, `convert.py` makes values messages."""
