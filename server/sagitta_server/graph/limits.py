"""What a process that answers SPARQL may use."""

MEMORY_BYTES = 2 * 1024**3
"""Its address space."""
MAX_ANSWER_CHARACTERS = 16_000_000
"""All values of an answer together."""
GRAPHS = 16
"""How many graphs it keeps; the pool counts along."""
