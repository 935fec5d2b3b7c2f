"""From plan to SQL text, by sqlglot only."""
