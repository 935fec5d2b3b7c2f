"""Many sessions stay fast to list and read; many owners at once lose nothing.

`make bench BENCH=reviews` does the same big.
"""

import pytest
from sagitta_server.reviews.enums import SessionStatus
from server.execution.postgres import start_postgres
from server.reviews.crowd import edit_together, fill, timed
from server.reviews.world import ALICE, world


def test_listing_does_not_depend_on_the_width_and_little_on_the_number_of_sessions(tmp_path):
    with world(tmp_path) as engine:
        service = engine.reviews.service
        fill(engine, "alice", 3, 200)
        few = timed(lambda: service.list_sessions(ALICE, None, None, 1, 3), 15)
        ids = fill(engine, "alice", 60, 200)
        many = timed(lambda: service.list_sessions(ALICE, None, None, 1, 3), 15)
        assert many[7] < 5 * few[7] + 5
        assert service.list_sessions(ALICE, SessionStatus.ACTIVE, None, 1, 100).total == 63
        assert len(service.get_session(ALICE, ids[0]).fields) == 200


@pytest.mark.parametrize("database", ["sqlite", "postgresql"])
def test_owners_who_edit_together_lose_nothing(tmp_path, database):
    server = start_postgres(tmp_path / "pg") if database == "postgresql" else None
    if database == "postgresql" and server is None:
        pytest.skip("the PostgreSQL server programs are not installed")
    try:
        with world(tmp_path, server.uri if server else "") as engine:
            crowd = edit_together(engine.reviews.service, owners=12, seconds=3)
    finally:
        if server is not None:
            server.stop()
    assert (crowd.errors, crowd.lost) == ([], 0)
    assert crowd.edits >= 12
