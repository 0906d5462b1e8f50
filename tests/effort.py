"""How much a test does: a little, or with --all many times as much."""

import os

from hypothesis import HealthCheck, settings

ALL = "LOYALTY_TEST_ALL"


def thorough(many: int, few: int) -> int:
    """How large a test is: ``many`` with --all, ``few`` without."""
    return many if os.environ.get(ALL) else few


def examples(few: int) -> settings:
    """The settings of a test that draws examples, on a database that they share."""
    count = few * 10 if os.environ.get(ALL) else few
    return settings(max_examples=count, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
