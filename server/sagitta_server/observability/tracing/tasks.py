"""Spans of background work, linked to the call that asked for it."""

from __future__ import annotations

from opentelemetry.context import Context
from opentelemetry.trace import Link, get_current_span
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from sagitta_server.observability.tracing.failures import reason_of
from sagitta_server.observability.tracing.provider import Tracing, fail
from sagitta_server.reviews.store.tasks import Task
from sagitta_server.reviews.task_runner import Perform

_W3C = TraceContextTextMapPropagator()


def traced_tasks(tracing: Tracing, perform: Perform) -> Perform:
    """Performs review tasks in traces of their own: the call has ended long ago, on another replica perhaps."""

    def performed(task: Task) -> None:
        about = {
            "sagitta.review.task": task.kind.value,
            "sagitta.review.session_id": task.session_id,
            "sagitta.review.attempt": task.attempts,
        }
        with tracing.tracer.start_as_current_span(
            f"review {task.kind}",
            context=Context(),
            attributes=about,
            links=_links(task),
            record_exception=False,
            set_status_on_exception=False,
        ) as span:
            try:
                perform(task)
            except Exception as error:
                fail(span, reason_of(error))
                raise

    return performed


def _links(task: Task) -> list[Link]:
    if task.traceparent is None:
        return []
    asked = get_current_span(_W3C.extract({"traceparent": task.traceparent})).get_span_context()
    return [Link(asked)] if asked.is_valid else []
