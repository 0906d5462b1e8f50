"""The dashboard in Airflow's pages; and what every task of the journeys imports, imported once by the scheduler."""

from functools import cache
from typing import Any

from airflow.plugins_manager import AirflowPlugin

import loyalty.orchestration.preload  # noqa: F401

PROGRAM = "loyalty/ui/program"
RUN = "loyalty/ui/run?dag_id={DAG_ID}&run_id={RUN_ID}"


@cache
def dashboard() -> Any:
    """The pages, with Airflow's own users and rights; made at the first request: only the API server pays for it."""
    from airflow.api_fastapi.core_api.security import get_user

    from loyalty.dashboard.app import create_app
    from loyalty.dashboard.surroundings import Surroundings
    from loyalty.orchestration import host

    return create_app(Surroundings(host.reading_engine, get_user, host.may_see, host.next_runs, host.task_path))


async def serve(scope: Any, receive: Any, send: Any) -> None:
    """Answers one request."""
    await dashboard()(scope, receive, send)


class LoyaltyPlugin(AirflowPlugin):
    """A page in the navigation, and a tab on the page of each run."""

    name = "loyalty"
    fastapi_apps = ({"name": "loyalty", "app": serve, "url_prefix": "/loyalty"},)
    external_views = (
        {"name": "Loyalty", "href": PROGRAM, "destination": "nav", "url_route": "loyalty", "nav_top_level": True},
        {"name": "Journey", "href": RUN, "destination": "dag_run", "url_route": "loyalty-journey"},
    )
