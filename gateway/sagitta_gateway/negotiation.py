"""Which format of a result a client wants: the `format` parameter, else the `Accept` header, else JSON."""

from __future__ import annotations

from functools import lru_cache

from sagitta_gateway.results.formats import MEDIA_TYPES, ResultFormat

_BY_MEDIA_TYPE = {media.partition(";")[0]: name for name, media in MEDIA_TYPES.items()} | {
    "application/x-parquet": ResultFormat.PARQUET,
    "application/ndjson": ResultFormat.NDJSON,
    "application/jsonl": ResultFormat.NDJSON,
}


@lru_cache(maxsize=64)
def wanted_format(parameter: ResultFormat | None, accept: str) -> ResultFormat:
    """The format of the parameter, or the best of the header that is served."""
    if parameter is not None:
        return parameter
    for media in by_preference(accept):
        if (found := _BY_MEDIA_TYPE.get(media)) is not None:
            return found
        if media in {"*/*", "application/*"}:
            return ResultFormat.JSON
    return ResultFormat.JSON


def by_preference(accept: str) -> list[str]:
    """The media types of an `Accept` header, the most wanted first; those with q=0 left out."""
    weighed: list[tuple[float, str]] = []
    for part in accept.split(","):
        media, *parameters = (piece.strip() for piece in part.split(";"))
        weight = next((_weight(piece) for piece in parameters if piece.startswith("q=")), 1.0)
        if media and weight > 0:
            weighed.append((weight, media.lower()))
    return [media for _, media in sorted(weighed, key=lambda item: -item[0])]


def _weight(parameter: str) -> float:
    try:
        return float(parameter.removeprefix("q="))
    except ValueError:
        return 0.0
