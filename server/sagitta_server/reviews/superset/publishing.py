"""Writes accepted texts back to a dataset of Superset.

Superset replaces the lists of columns and metrics by those that are sent: what is left out is deleted. So every column
and metric is echoed as it was read, with the new texts in it. There is no way to make a write conditional; the dataset
is read right before, refused when somebody has changed it since the review saw it, and read again afterwards.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from sagitta_server.reviews.enums import FieldKind
from sagitta_server.reviews.environment import FieldTexts, PublishOutcome, PublishRequest, TextChange
from sagitta_server.reviews.errors import ReviewError
from sagitta_server.reviews.json_text import Json
from sagitta_server.reviews.superset.client import SupersetClient, SupersetError
from sagitta_server.reviews.superset.datasets import objects, payload_of, text


@dataclass(frozen=True, slots=True)
class _Kind:
    """How a kind of field is written."""

    listed: str
    """The list of the dataset that holds its fields."""
    name: str
    """The property that names one."""
    echoed: tuple[str, ...]
    """Properties that a write accepts; all that were read are sent back."""
    attributes: Mapping[str, str]
    """Our attributes and Superset's properties."""


_KINDS: Mapping[FieldKind, _Kind] = {
    FieldKind.COLUMN: _Kind(
        "columns",
        "column_name",
        (
            "id",
            "uuid",
            "column_name",
            "type",
            "advanced_data_type",
            "verbose_name",
            "description",
            "expression",
            "extra",
            "filterable",
            "groupby",
            "is_active",
            "is_dttm",
            "python_date_format",
        ),
        {"verbose_name": "verbose_name", "description": "description"},
    ),
    FieldKind.METRIC: _Kind(
        "metrics",
        "metric_name",
        (
            "id",
            "uuid",
            "metric_name",
            "metric_type",
            "verbose_name",
            "description",
            "expression",
            "extra",
            "d3format",
            "currency",
            "warning_text",
        ),
        {"verbose_name": "verbose_name", "description": "description", "display_format": "d3format"},
    ),
}


def publish(client: SupersetClient, dataset_id: int, request: PublishRequest) -> PublishOutcome:
    """Writes what differs, once; nothing when all texts are there already.

    Raises:
        ReviewError: `publish_forbidden`, `dataset_changed`, `semantics_overwritten`, `superset_unreachable`, ...
    """
    stored = _read(client, dataset_id)
    changes = tuple(_changes(stored, request))
    outcome = PublishOutcome(changes, tuple(_skipped(stored, request)))
    if not changes:
        return outcome
    _check_unchanged(stored, request)
    if request.dry_run:
        return outcome
    try:
        client.put_dataset(dataset_id, write_body(stored, changes))
    except SupersetError as error:
        raise _refusal(error) from error
    _check_written(stored, _read(client, dataset_id), changes)
    return outcome


def write_body(stored: Mapping[str, Json], changes: Sequence[TextChange]) -> dict[str, Json]:
    """The whole of what is sent: every column and metric of the dataset, and the new texts."""
    body: dict[str, Json] = {}
    for kind, how in _KINDS.items():
        new = {(c.name, how.attributes[c.attribute]): c.after for c in changes if c.kind is kind}
        body[how.listed] = [_echo(item, how, new) for item in objects(stored.get(how.listed))]
    own = next((c for c in changes if c.kind is None), None)
    return body if own is None else {**body, "description": own.after}


def _echo(item: Mapping[str, Json], how: _Kind, new: Mapping[tuple[str, str], str | None]) -> Json:
    name = str(item.get(how.name))
    kept = {key: item[key] for key in how.echoed if key in item}
    return {**kept, **{key: after for (owner, key), after in new.items() if owner == name}}


def _changes(stored: Mapping[str, Json], request: PublishRequest) -> Iterator[TextChange]:
    for texts, how, item in _matched(stored, request):
        for attribute, key in how.attributes.items():
            wanted = getattr(texts, attribute)
            held = item.get(key) if isinstance(item.get(key), str) else None
            if wanted is not None and wanted != held:
                yield TextChange(texts.kind, texts.name, attribute, held if isinstance(held, str) else None, wanted)
    held = text(stored.get("description"))
    if request.description is not None and request.description != held:
        yield TextChange(None, "", "description", held, request.description)


def _skipped(stored: Mapping[str, Json], request: PublishRequest) -> Iterator[str]:
    known = {(texts.kind, texts.name) for texts, _, _ in _matched(stored, request)}
    for texts in request.fields:
        if (texts.kind, texts.name) not in known:
            yield f"{texts.name}: the dataset has no such {texts.kind}"
        elif texts.display_format is not None and "display_format" not in _KINDS[texts.kind].attributes:
            yield f"{texts.name}: Superset keeps formats of metrics only"


def _matched(
    stored: Mapping[str, Json], request: PublishRequest
) -> Iterator[tuple[FieldTexts, _Kind, Mapping[str, Json]]]:
    for kind, how in _KINDS.items():
        items = {str(item.get(how.name)): item for item in objects(stored.get(how.listed))}
        for texts in request.fields:
            if texts.kind is kind and texts.name in items:
                yield texts, how, items[texts.name]


def _check_unchanged(stored: Mapping[str, Json], request: PublishRequest) -> None:
    seen, now = payload_of(request.dataset).changed_on, text(stored.get("changed_on"))
    if seen != now:
        raise ReviewError(
            "dataset_changed",
            "Somebody has changed the dataset in Superset since this review imported it. Import it again first.",
            {"seen": seen, "now": now},
        )


def _check_written(before: Mapping[str, Json], after: Mapping[str, Json], changes: Sequence[TextChange]) -> None:
    """Everything is still there, and says what it should."""
    for kind, how in _KINDS.items():
        items = {str(item.get(how.name)): item for item in objects(after.get(how.listed))}
        lost = [name for item in objects(before.get(how.listed)) if (name := str(item.get(how.name))) not in items]
        other = [
            c.name
            for c in changes
            if c.kind is kind and c.name in items and items[c.name].get(how.attributes[c.attribute]) != c.after
        ]
        if lost or other:
            raise ReviewError(
                "semantics_overwritten",
                "Superset does not hold what was written; somebody else has changed the dataset at the same moment.",
                {"lost": lost, "other": other},
            )


def _read(client: SupersetClient, dataset_id: int) -> dict[str, Json]:
    try:
        return client.get_dataset(dataset_id)
    except SupersetError as error:
        raise _refusal(error) from error


def _refusal(error: SupersetError) -> ReviewError:
    match error.code:
        case "superset_forbidden" | "not_found":
            return ReviewError(
                "publish_forbidden",
                f"Superset lets its service account not change this dataset ({error.message[:300]}); make it an owner.",
            )
        case "superset_unreachable" | "superset_timeout":
            return ReviewError(error.code, error.message)
        case _:
            return ReviewError("superset_error", error.message)
