"""What the OpenAPI document says is what the API does: no 5xx, no answer that is not declared, whatever is sent."""

import pytest
import schemathesis
from hypothesis import given
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from effort import examples
from serving import Api, event

CALLS = [
    ("/v1/events", "POST"),
    ("/v1/profiles/{customer_id}", "GET"),
    ("/v1/profiles/{customer_id}/promotions", "GET"),
    ("/v1/profiles/{customer_id}/activations/{activation}", "PUT"),
    ("/v1/profiles/{customer_id}/activations/{activation}/redeem", "POST"),
    ("/v1/profiles/{customer_id}/activations/{activation}/deactivate", "POST"),
    ("/health/live", "GET"),
    ("/health/ready", "GET"),
    ("/metrics", "GET"),
]
CHECKS = (not_a_server_error, status_code_conformance, content_type_conformance, response_schema_conformance)


@pytest.fixture(scope="module")
def schema(api: Api) -> schemathesis.BaseSchema:
    api.shop.post("/v1/events", json=event("17"))
    return schemathesis.openapi.from_url(f"{api.address}/openapi.json")


def test_every_call_is_tried(schema: schemathesis.BaseSchema) -> None:
    found = [(one.ok().path, one.ok().method.upper()) for one in schema.get_all_operations()]
    assert sorted(found) == sorted(CALLS)


TRIES = [(*call, GenerationMode.POSITIVE) for call in CALLS] + [
    (*call, GenerationMode.NEGATIVE)
    for call in CALLS
    if call[0].startswith("/v1/")  # the others take nothing in
]


@pytest.mark.parametrize(("path", "method", "mode"), TRIES)
def test_every_answer_is_a_declared_one(
    api: Api, schema: schemathesis.BaseSchema, path: str, method: str, mode: GenerationMode
) -> None:
    operation = schema[path][method]
    key = api.shop.headers["authorization"]

    @examples(6)
    @given(case=operation.as_strategy(generation_mode=mode))
    def try_it(case: schemathesis.Case) -> None:
        response = case.call(headers={"Authorization": key})
        case.validate_response(response, checks=list(CHECKS))

    try_it()


def test_the_examples_of_the_document_are_good(api: Api) -> None:
    example = api.shop.get("/openapi.json").json()["components"]["schemas"]["Event"]["example"]
    assert api.shop.post("/v1/events", json=example).status_code == 201
