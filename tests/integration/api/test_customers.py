"""What the API says of a customer, and what it lets the customer do with promotions."""

from datetime import date
from uuid import uuid4

import pytest

from serving import Api, calling, event, key


@pytest.fixture
def customer(api: Api) -> str:
    """Somebody with 52 points of June 1st and 30 of June 2nd."""
    name = f"customer {uuid4().hex}"
    told = [event(name), event(name, occurred_at="2026-06-02T12:00:00+02:00", points=30)]
    assert api.shop.post("/v1/events", json=told).json()["stored"] == 2
    return name


def test_balance_lots_and_expiries(api: Api, customer: str) -> None:
    api.shop.post("/v1/events", json=event(customer, "quest.done", points=7))
    api.shop.post("/v1/events", json=event(customer, "client.activatePromotion", promotionRequireRedeemedPoints=60))
    found = api.shop.get(f"/v1/profiles/{customer}").json()
    assert (found["customer_id"], found["balance"], found["locked_until"]) == (customer, 29, None)
    assert [(lot["action"], lot["remaining"], lot["expires_on"]) for lot in found["lots"]] == [
        ("points.loyalty", 22, "2026-12-02"),
        ("quest.done", 7, None),
    ]
    assert found["upcoming"] == [{"expires_on": "2026-12-02", "points": 22}]


def test_a_lock_is_shown_and_what_it_forbids_is_refused_until_it_ends(api: Api, customer: str) -> None:
    bought = f"/v1/profiles/{customer}/activations/{uuid4()}"
    assert api.shop.put(bought, json={"promotion": "coffee"}).status_code == 200
    until = api.lock(customer, 60)
    assert date.fromisoformat(api.shop.get(f"/v1/profiles/{customer}").json()["locked_until"][:10]) == until.date()
    other = f"/v1/profiles/{customer}/activations/{uuid4()}"
    for refused in (api.shop.put(other, json={"promotion": "coffee"}), api.shop.post(f"{bought}/deactivate")):
        assert refused.status_code == 423
        assert 50 < int(refused.headers["retry-after"]) <= 60
    assert api.shop.put(bought, json={"promotion": "coffee"}).status_code == 200, "it was active already"
    assert api.shop.post(f"{bought}/redeem").json()["state"] == "redeemed"


def test_a_promotion_is_paid_for_once_and_given_back_once(api: Api, customer: str) -> None:
    bought = f"/v1/profiles/{customer}/activations/{uuid4()}"
    offers = api.shop.get(f"/v1/profiles/{customer}/promotions").json()
    assert [offer["promotion"] for offer in offers["affordable"]] == ["coffee"]
    for _ in range(2):
        assert api.shop.put(bought, json={"promotion": "coffee"}).json()["state"] == "active"
    held = api.shop.get(f"/v1/profiles/{customer}/promotions").json()
    assert (held["balance"], len(held["activations"])) == (72, 1)
    for _ in range(2):
        assert api.shop.post(f"{bought}/deactivate").json()["state"] == "deactivated"
    assert api.shop.get(f"/v1/profiles/{customer}").json()["balance"] == 82
    assert api.shop.post(f"{bought}/redeem").status_code == 409


def test_the_engines_word_about_an_activation_of_the_api_is_understood(api: Api, customer: str) -> None:
    """The activation has no event_id: its key is its name."""
    bought = api.shop.put(f"/v1/profiles/{customer}/activations/{uuid4()}", json={"promotion": "coffee"})
    activation = bought.json()["activation"]
    told = event(customer, "client.deactivatePromotion", returnedPoints=10, activation=activation)
    assert api.shop.post("/v1/events", json=told).status_code == 201
    assert api.shop.get(f"/v1/profiles/{customer}/promotions").json()["activations"] == []


@pytest.mark.parametrize(
    ("method", "path", "body", "status"),
    [
        ("GET", "", None, 404),
        ("GET", "/promotions", None, 404),
        ("PUT", "/activations/00000000-0000-4000-8000-000000000000", {"promotion": "coffee"}, 404),
        ("PUT", "/activations/17", {"promotion": "coffee"}, 422),
        ("PUT", "/activations/00000000-0000-4000-8000-000000000000", {"promotion": "a\0"}, 422),
        ("POST", "/activations/00000000-0000-4000-8000-000000000000/redeem", None, 404),
        ("DELETE", "", None, 405),
    ],
)
def test_the_unknown_is_a_problem(api: Api, method: str, path: str, body: object, status: int) -> None:
    answer = api.shop.request(method, f"/v1/profiles/nobody{path}", json=body)
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    assert {"type", "title", "status", "code", "detail"} <= set(answer.json())


def test_what_costs_too_much_cannot_be_activated(api: Api, customer: str) -> None:
    answer = api.shop.put(f"/v1/profiles/{customer}/activations/{uuid4()}", json={"promotion": "cruise"})
    assert (answer.status_code, answer.json()["code"]) == (409, "too_few_points")


def test_a_customers_own_key_sees_nobody_else(api: Api, customer: str) -> None:
    other = f"other {customer}"
    api.shop.post("/v1/events", json=event(other))
    with calling(api.address, key(api.ledger, customer_id=customer)) as own:
        assert own.get(f"/v1/profiles/{customer}").status_code == 200
        assert own.put(f"/v1/profiles/{customer}/activations/{uuid4()}", json={"promotion": "coffee"}).is_success
        for refused in (
            own.get(f"/v1/profiles/{other}"),
            own.get("/v1/profiles/nobody"),
            own.get(f"/v1/profiles/{other}/promotions"),
            own.put(f"/v1/profiles/{other}/activations/{uuid4()}", json={"promotion": "coffee"}),
            own.post(f"/v1/profiles/{other}/activations/{uuid4()}/redeem"),
            own.post("/v1/events", json=event(other, "app.opened")),
        ):
            assert refused.status_code == 403, refused.text
    assert (
        api.ask(
            "SELECT balance FROM loyalty.account JOIN loyalty.profile USING (profile_id) WHERE customer_id = :c",
            c=other,
        )
        == 52
    )


def test_an_activation_cannot_take_the_key_of_another_event(api: Api, customer: str) -> None:
    """A caller who names the activation like the next expiry stops no expiry."""
    asked = "SELECT loyalty.settlement_key(profile_id, '2026-12-01', 1) FROM loyalty.profile WHERE customer_id = :c"
    wanted = api.ask(asked, c=customer)
    answer = api.shop.put(f"/v1/profiles/{customer}/activations/{wanted}", json={"promotion": "coffee"})
    assert (answer.status_code, answer.json()["activation"] == str(wanted)) == (200, False)
    for name in (wanted, answer.json()["activation"]):
        assert api.shop.post(f"/v1/profiles/{customer}/activations/{name}/redeem").json()["state"] == "redeemed"


def test_a_body_without_end_is_not_read_to_it(api: Api, customer: str) -> None:
    path = f"/v1/profiles/{customer}/activations/{uuid4()}"
    body = b'{"promotion": "' + b"x" * 1_000_000 + b'"}'
    answer = api.shop.put(path, content=body, headers={"content-type": "application/json"})
    assert answer.status_code in (400, 413)
