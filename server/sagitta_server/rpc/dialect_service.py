"""`sagitta.semantic.v1.DialectService`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import grpc
from sagitta.semantic.v1 import dialect_service_pb2 as pb
from sagitta.semantic.v1 import dialect_service_pb2_grpc as pb_grpc
from sagitta_compiler.model.types import Aggregation
from sagitta_compiler.sql.dialects import DIALECTS

if TYPE_CHECKING:
    from sagitta_server.app import Engine

NAME = pb.DESCRIPTOR.services_by_name["DialectService"].full_name


def register(server: grpc.Server, engine: Engine) -> tuple[str, ...]:
    """Adds the service to a server."""
    del engine
    pb_grpc.add_DialectServiceServicer_to_server(DialectServicer(), server)
    return (NAME,)


class DialectServicer(pb_grpc.DialectServiceServicer):
    """Lists what the compiler writes."""

    def ListDialects(self, request: pb.ListDialectsRequest, context: grpc.ServicerContext) -> pb.ListDialectsResponse:
        dialects = [
            pb.Dialect(
                name=name,
                capabilities=dialect.capabilities,
                supported_aggregations=[item for item in Aggregation if item not in dialect.unsupported],
            )
            for name, dialect in sorted(DIALECTS.items())
        ]
        return pb.ListDialectsResponse(dialects=dialects)
