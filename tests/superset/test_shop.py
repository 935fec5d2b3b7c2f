"""The real Superset that tests work against."""

import httpx
import pytest

from superset.shop import Api

pytestmark = pytest.mark.xdist_group("superset")


def test_the_shop_is_there_with_a_link_of_every_kind(superset):
    assert len(superset.links) == (12 if superset.series >= 5 else 11)
    assert httpx.get(f"{superset.base_url}/health").text == "OK"


@pytest.mark.parametrize(("user", "sees"), [("admin", True), ("sam", True), ("gina", False)])
def test_users_see_what_their_roles_allow(superset, user, sees):
    api = Api(superset.base_url, user)
    try:
        assert (api.call("GET", "/api/v1/dataset/")["count"] > 0) is sees
    finally:
        api.close()
