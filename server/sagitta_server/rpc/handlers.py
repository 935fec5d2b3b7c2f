"""What stands around the handlers of our own services, and how a call ended."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any

import grpc

Behaviour = Callable[[Any, grpc.ServicerContext], Any]
"""A handler: a request or an iterator of them in, a response or an iterator of them out."""
OWN = "/sagitta."


class AroundHandlers(grpc.ServerInterceptor, ABC):
    """Wraps every handler of our own services, each once: the server asks anew for every call."""

    def __init__(self) -> None:
        self._wrapped: dict[str, grpc.RpcMethodHandler[Any, Any]] = {}

    @abstractmethod
    def around_one(self, behaviour: Behaviour, method: str) -> Behaviour:
        """A handler with one response."""

    @abstractmethod
    def around_many(self, behaviour: Behaviour, method: str) -> Behaviour:
        """A handler whose responses are streamed."""

    def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], grpc.RpcMethodHandler[Any, Any] | None],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> grpc.RpcMethodHandler[Any, Any] | None:
        method = handler_call_details.method
        if (known := self._wrapped.get(method)) is not None:
            return known
        handler = continuation(handler_call_details)
        if handler is None or not method.startswith(OWN):
            return handler
        wrapped = self._wrapped[method] = self._wrap(handler, method)
        return wrapped

    def _wrap(self, handler: grpc.RpcMethodHandler[Any, Any], method: str) -> grpc.RpcMethodHandler[Any, Any]:
        coders = (handler.request_deserializer, handler.response_serializer)
        match handler:
            case grpc.RpcMethodHandler(unary_unary=behaviour) if behaviour is not None:
                return grpc.unary_unary_rpc_method_handler(self.around_one(behaviour, method), *coders)
            case grpc.RpcMethodHandler(unary_stream=behaviour) if behaviour is not None:
                return grpc.unary_stream_rpc_method_handler(self.around_many(behaviour, method), *coders)
            case grpc.RpcMethodHandler(stream_unary=behaviour) if behaviour is not None:
                return grpc.stream_unary_rpc_method_handler(self.around_one(behaviour, method), *coders)
            case _:
                both: Any = handler.stream_stream
                return grpc.stream_stream_rpc_method_handler(self.around_many(both, method), *coders)


def outcome(context: Any) -> str:
    """The name of the code that a call ended with."""
    code = context.code()
    if code is None:
        return "OK" if context.is_active() else "CANCELLED"
    return str(getattr(code, "name", code))
