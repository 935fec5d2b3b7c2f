"""Documents about a review: documentation, validation report, run summary, in JSON, Markdown, CSV and PDF."""

from sagitta_server.reviews.exports.export import export_bytes

__all__ = ["export_bytes"]
