"""The review of a dataset: import it, document it, question it, map it, preview it, approve it, launch it.

The domain core is pure functions over frozen values (`values`, `facts`, `decision`, `findings`, `questions`,
`mappings`, `gates`, `fingerprint`, `candidates`, `summary`, `settle`); `store` keeps the values in the database,
`service` joins the two and calls environments. Nothing in the core reads a clock, a file or a network.
"""
