"""An events API for the tests of a module, with a program that has a promotion and an action that earns."""

from collections.abc import Iterator

import pytest
from sqlalchemy import Engine

from ledger import program_of
from loyalty.services.apply_program import apply_program
from serving import Api, calling, key, serving

PROGRAM = program_of(
    validity={"points.loyalty": 182, "quest.done": None},
    promotions=[
        {"name": "coffee", "title": "A coffee", "required_points": 10},
        {"name": "cruise", "title": "A cruise", "required_points": 1_000_000},
    ],
    earning_rules=[{"name": "review", "action": "app.review", "earns": "points.loyalty", "points_per_event": 5}],
)


@pytest.fixture(scope="module")
def api(module_database: Engine) -> Iterator[Api]:
    with module_database.begin() as connection:
        apply_program(connection, PROGRAM)
    with serving(module_database) as address, calling(address, key(module_database)) as shop:
        yield Api(address, module_database, shop)
