"""The whole API, as production runs it: logged in as a role that can do nothing but call its functions."""

from collections.abc import Iterator
from uuid import uuid4

import pytest
from sqlalchemy import Engine, text

from ledger import balances
from loyalty.services.apply_program import apply_program
from loyalty.services.grant_roles import create_roles, grant_roles
from loyalty.store.database import open_engine
from serving import Api, calling, event, key, serving

from .conftest import PROGRAM


@pytest.fixture(scope="module")
def api(module_database: Engine) -> Iterator[Api]:
    """An API whose connections belong to a login in the role ``loyalty_ingest``."""
    login, password = f"ingest_{uuid4().hex[:8]}", uuid4().hex
    with module_database.begin() as connection:
        apply_program(connection, PROGRAM)
        create_roles(connection)
        grant_roles(connection)
        connection.execute(text(f"CREATE ROLE {login} LOGIN PASSWORD '{password}' IN ROLE loyalty_ingest"))
    own = open_engine(module_database.url.set(username=login, password=password))
    with serving(own) as address, calling(address, key(module_database)) as shop:
        yield Api(address, module_database, shop)
    own.dispose()
    with module_database.begin() as connection:
        connection.execute(text(f"DROP ROLE {login}"))


def test_it_is_ready_and_stores_events(api: Api) -> None:
    assert api.shop.get("/health/live").status_code == 200
    assert api.shop.get("/health/ready").status_code == 200
    assert api.shop.get("/metrics").status_code == 200
    earned = event("17")
    assert api.shop.post("/v1/events", json=[earned, earned | {"event_id": "other"}]).status_code in (200, 201, 207)
    assert api.stored("action = 'points.loyalty'") == 2


def test_it_answers_about_a_customer_and_changes_promotions(api: Api) -> None:
    assert api.shop.post("/v1/events", json=[event("18")]).status_code == 200
    with api.ledger.connect() as connection:
        before = balances(connection)["18"]
    assert api.shop.get("/v1/profiles/18").json()["balance"] == before
    assert [one["promotion"] for one in api.shop.get("/v1/profiles/18/promotions").json()["affordable"]] == ["coffee"]
    where = f"/v1/profiles/18/activations/{uuid4()}"
    assert api.shop.put(where, json={"promotion": "coffee"}).status_code in (200, 201)
    assert api.shop.post(f"{where}/deactivate").status_code == 200
    other = f"/v1/profiles/18/activations/{uuid4()}"
    assert api.shop.put(other, json={"promotion": "coffee"}).status_code in (200, 201)
    assert api.shop.post(f"{other}/redeem").status_code == 200
    with api.ledger.connect() as connection:
        assert balances(connection)["18"] == before - 10


def test_its_own_connection_sees_nothing_by_itself(api: Api) -> None:
    refused = text("SELECT has_table_privilege('loyalty_ingest', 'loyalty.event', 'SELECT')")
    with api.ledger.connect() as connection:
        assert connection.scalar(refused) is False
