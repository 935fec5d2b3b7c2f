"""A state database that fails while the server runs is told as that, without the driver's words."""

from __future__ import annotations

import logging
import shutil
from pathlib import Path

import grpc
import pytest
from google.rpc import error_details_pb2
from grpc_status import rpc_status
from sagitta.semantic.v1 import session_service_pb2 as pb
from sagitta.semantic.v1 import session_service_pb2_grpc as pb_grpc
from sagitta_server.app import Engine
from sagitta_server.config import FlightSettings, GrpcSettings, Settings


def test_a_state_database_that_is_gone_is_a_reason_to_come_again(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    settings = Settings(
        data_dir=tmp_path / "data",
        grpc=GrpcSettings(address="127.0.0.1:0"),
        flight=FlightSettings(enabled=False),
    )
    engine = Engine(settings)
    try:
        places = engine.start()
        with grpc.insecure_channel(places.grpc) as channel:
            sessions = pb_grpc.SessionServiceStub(channel)
            sessions.CreateSession(pb.CreateSessionRequest())
            engine.database.close()
            for file in (tmp_path / "data").glob("state.db*"):
                file.unlink()
            (tmp_path / "data" / "state.db").mkdir()
            with caplog.at_level(logging.ERROR), pytest.raises(grpc.RpcError) as refused:
                sessions.CreateSession(pb.CreateSessionRequest())
    finally:
        engine.stop()
        shutil.rmtree(tmp_path / "data")
    assert refused.value.code() is grpc.StatusCode.UNAVAILABLE
    assert str(tmp_path) not in refused.value.details()
    status = rpc_status.from_call(refused.value)
    info = error_details_pb2.ErrorInfo()
    assert status is not None
    assert status.details[0].Unpack(info)
    assert info.reason == "STATE_UNAVAILABLE"
    assert "unable to open database file" in caplog.text
