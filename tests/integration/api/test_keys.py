"""Which key may tell of which action: through the API, and past it, on the database itself."""

import json
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest

from loyalty.errors import LoyaltyError
from loyalty.services.api_keys import KeyRights, create_key, list_keys, revoke_key
from loyalty.services.take_events import take_events
from serving import Api, calling, event, key

# What each kind of key may tell of, by default: written down here, and not taken from the code.
WORKSPACE, PROFILE = "workspace", "profile"
MAY = {
    "transaction.charge": {WORKSPACE},
    "transaction.refund": {WORKSPACE},
    "points.loyalty": {WORKSPACE},
    "quest.done": {WORKSPACE},  # earns points under a name of its own
    "app.review": {WORKSPACE},  # an earning rule turns it into points
    "points.reverse": {WORKSPACE},
    "points.adjust": {WORKSPACE},
    "points.expire": set(),
    "points.cancel": set(),
    "points.restore": set(),
    "points.locked": {WORKSPACE},
    "points.engineError": {WORKSPACE},
    "points.anything": {WORKSPACE},
    "client.activatePromotion": {WORKSPACE},  # its own customer has a call for it, which knows the price
    "client.redeemPromotion": {WORKSPACE},
    "client.deactivatePromotion": {WORKSPACE},
    "email.unsubscribed": {WORKSPACE},
    "app.opened": {WORKSPACE, PROFILE},
}
CUSTOMER = "the customer"


@pytest.fixture(scope="module")
def tokens(api: Api) -> dict[str, str]:
    api.shop.post("/v1/events", json=event(CUSTOMER, points=1000))
    return {WORKSPACE: key(api.ledger), PROFILE: key(api.ledger, customer_id=CUSTOMER)}


@pytest.mark.parametrize("kind", [WORKSPACE, PROFILE])
@pytest.mark.parametrize("action", MAY)
def test_each_kind_of_key_and_each_action(api: Api, tokens: dict[str, str], action: str, kind: str) -> None:
    told = event(CUSTOMER, action, event_id=uuid4().hex, promotionRequireRedeemedPoints=1)
    with calling(api.address, tokens[kind]) as caller:
        through_the_api = caller.post("/v1/events", json=told)
    with api.ledger.begin() as connection:
        (past_it,) = take_events(connection, tokens[kind], [json.dumps(told)])
    if kind in MAY[action]:
        assert through_the_api.status_code != 403, through_the_api.text
        assert past_it.code != "forbidden"
    else:
        assert (through_the_api.status_code, through_the_api.json()["code"]) == (403, "forbidden")
        assert past_it.code == "forbidden"
        assert api.stored("event_id = :id", id=told["event_id"]) == 0


@pytest.mark.parametrize(
    ("rights", "may", "may_not"),
    [
        ({"allows": ("points.locked", "points.engineError")}, ["points.locked"], ["points.loyalty", "app.opened"]),
        ({"allows": ("app.*",)}, ["app.opened", "app.review"], ["application", "points.loyalty"]),
        ({"denies": ("points.*",)}, ["app.opened"], ["points.loyalty", "points.adjust"]),
        ({"customer_id": CUSTOMER, "allows": ("app.*",)}, ["app.opened"], ["app.review", "client.activatePromotion"]),
        ({"customer_id": CUSTOMER, "allows": ("app.review",)}, ["app.review"], ["app.opened"]),
        ({"customer_id": CUSTOMER, "denies": ("app.*",)}, ["web.seen"], ["app.opened", "quest.done"]),
        ({"allows": ()}, [], ["app.opened"]),
    ],
)
def test_what_a_key_allows_and_denies(api: Api, rights: dict[str, object], may: list[str], may_not: list[str]) -> None:
    with calling(api.address, key(api.ledger, **rights)) as caller:
        told = [
            event(CUSTOMER, action, event_id=uuid4().hex, promotionRequireRedeemedPoints=0) for action in may + may_not
        ]
        results = caller.post("/v1/events", json=told).json()["results"]
    assert [one.get("code") == "forbidden" for one in results] == [False] * len(may) + [True] * len(may_not)


def test_a_customers_own_key_takes_no_name_from_others(api: Api, tokens: dict[str, str]) -> None:
    """Whatever it calls its events, the shop's refund of that name is taken all the same."""
    with calling(api.address, tokens[PROFILE]) as own:
        assert own.post("/v1/events", json=event(CUSTOMER, "app.opened", event_id="A-1001")).status_code == 201
    assert api.shop.post("/v1/events", json=event(CUSTOMER, "transaction.refund", event_id="A-1001")).status_code == 201


@pytest.mark.parametrize("allow", [("client.*",), None])
def test_nothing_is_given_back_that_was_not_paid(
    api: Api, tokens: dict[str, str], allow: tuple[str, ...] | None
) -> None:
    told = event(CUSTOMER, "client.deactivatePromotion", returnedPoints=10**15, event_id=uuid4().hex)
    with calling(api.address, key(api.ledger, allows=allow)) as engine:
        answer = engine.post("/v1/events", json=told)
    assert (answer.status_code, "without the parameter activation" in answer.json()["detail"]) == (422, True)


def test_only_a_good_key_is_let_in(api: Api) -> None:
    good = key(api.ledger)
    ended = key(api.ledger, expires_at=datetime.now(UTC) - timedelta(seconds=1))
    revoked = key(api.ledger)
    with api.ledger.begin() as connection:
        revoke_key(connection, revoked.split("_")[1])
        revoke_key(connection, revoked.split("_")[1])
    for token in (good[:-1], good + "x", good.replace("lk_", "kl_"), "lk__", "x" * 199, ended, revoked, "%"):
        with calling(api.address, token) as caller:
            for answer in (caller.post("/v1/events", json=event()), caller.get("/v1/profiles/17")):
                assert (answer.status_code, answer.headers["www-authenticate"]) == (401, "Bearer"), token
    with calling(api.address) as nobody:
        assert nobody.post("/v1/events", json=event()).status_code == 401


def test_a_key_is_kept_nowhere(api: Api) -> None:
    token = key(api.ledger, title="till")
    kept = api.ask("SELECT string_agg(api_key::text, ' ') FROM loyalty.api_key")
    assert token.split("_", 2)[2] not in kept
    with api.ledger.begin() as connection:
        shown = [one for one in list_keys(connection) if one["key_id"] == token.split("_")[1]]
    assert [(one["title"], one["kind"], one["state"]) for one in shown] == [("till", "workspace", "good")]


@pytest.mark.parametrize("wrong", [{"allows": ("a b",)}, {"denies": ("*x",)}, {"per_minute": 0}, {"customer_id": ""}])
def test_rights_that_cannot_be_are_refused(api: Api, wrong: dict[str, object]) -> None:
    with api.ledger.begin() as connection, pytest.raises(LoyaltyError):
        create_key(connection, "wrong", KeyRights(**wrong))  # type: ignore[arg-type]


def test_an_unknown_key_cannot_be_revoked(api: Api) -> None:
    with api.ledger.begin() as connection, pytest.raises(LoyaltyError, match="there is no key"):
        revoke_key(connection, "x")


def test_keys_are_compared_by_salted_digests(api: Api) -> None:
    """No comparison ends early at a byte of the secret: what is compared changes with every call."""
    source = api.ask("SELECT pg_get_functiondef('loyalty.authenticate'::regproc)")
    assert "sha256(salt || coalesce(known.digest, '')) <> sha256(salt || sha256(" in source
    assert source.count("known.digest") == 1
