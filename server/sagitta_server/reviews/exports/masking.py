"""A review whose filter values are replaced by their type and size."""

from __future__ import annotations

from dataclasses import replace

from sagitta_server.reviews.json_text import NULL, JsonText, describe_masked, dump, load
from sagitta_server.reviews.values import Filter, Mapping, Question, Review, Run


def masked(review: Review) -> Review:
    """The review without any filter value, neither in filters, mappings, questions and runs nor in the SQL."""
    run = review.run
    return replace(
        review,
        filters=tuple(map(_filter, review.filters)),
        mappings=tuple(map(_mapping, review.mappings)),
        questions=tuple(map(_question, review.questions)),
        preview=None if review.preview is None else replace(review.preview, compiled_sql=None),
        run=None if run is None else hidden_run(run),
    )


def hidden_run(run: Run) -> Run:
    """A run without any value and without the texts that hold values."""
    return replace(
        run,
        effective_filters=tuple(map(_filter, run.effective_filters)),
        template_params=dump(dict.fromkeys(_names(run.template_params), "masked")),
        sql="",
        executed_sql=None,
    )


def _names(params: JsonText) -> list[str]:
    value = load(params)
    return list(value) if isinstance(value, dict) else []


def _value(value: JsonText) -> JsonText:
    return NULL if value == NULL else dump(describe_masked(value))


def _filter(item: Filter) -> Filter:
    return replace(item, raw_value=_value(item.raw_value), normalized_value=_value(item.normalized_value))


def _mapping(item: Mapping) -> Mapping:
    return replace(item, raw_input_value=_value(item.raw_input_value), effective_value=_value(item.effective_value))


def _question(item: Question) -> Question:
    if not item.topic_ref.startswith(("filter", "variable", "mapping")):
        return item
    return replace(item, question_text=item.topic, current_guess=None, options=(), answer_value=None)
