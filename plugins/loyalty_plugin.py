"""What every task of the journeys imports is imported once, by the scheduler, whose workers start with it."""

from airflow.plugins_manager import AirflowPlugin

import loyalty.orchestration.preload  # noqa: F401


class LoyaltyPlugin(AirflowPlugin):
    """The plugin of the loyalty project."""

    name = "loyalty"
