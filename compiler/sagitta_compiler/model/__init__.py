"""The model language: a document as written, a model as meant."""
