"""What a link names, read from a Superset that answers from a dictionary."""

from __future__ import annotations

from urllib.parse import quote

import pytest
from sagitta_server.reviews.enums import SourceKind
from sagitta_server.reviews.environment import SourceRequest
from sagitta_server.reviews.superset.environment import SupersetEnvironment
from sagitta_server.reviews.superset.settings import SupersetSettings

BASE = "https://bi.example.com"
MASK = "(f:(extraFormData:(filters:!((col:country,op:IN,val:!(FR))))))"
"""Filters six levels deep."""


class Answers:
    """A client to whom a dashboard without charts is known."""

    def get(self, path, params=None):
        return {"result": [] if path.endswith("/charts") else {"id": 1, "json_metadata": "{}", "position_json": "{}"}}


@pytest.mark.parametrize(("depth", "told"), [(6, None), (5, "it nests deeper than 5")])
def test_filters_in_a_link_nest_as_deep_as_the_settings_allow(depth, told):
    settings = SupersetSettings(base_url=BASE, token_env="BI_TOKEN", max_rison_depth=depth)
    link = f"{BASE}/superset/dashboard/1/?native_filters={quote(MASK)}"
    request = SourceRequest(SourceKind.SUPERSET_LINK, link, "alice", None)
    found = SupersetEnvironment("bi", settings, Answers()).identify(request)
    unread = [c.message for c in found.conditions if c.code == "NATIVE_FILTERS_UNPARSABLE"]
    assert [told in message for message in unread] == ([True] if told else [])
