"""A browser in front of Airflow, and somebody who has logged in."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed: `make setup` installs it")
CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
needs_browser = pytest.mark.skipif(
    CHROMIUM is None, reason="there is no chromium: `apt-get install chromium` brings it"
)
SECONDS = 120


@contextmanager
def logged_in(airflow: Any) -> Iterator[Any]:
    """A page of a browser in which the administrator has logged in through the form."""
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield log_in(browser, airflow, "admin")
        browser.close()


def log_in(browser: Any, airflow: Any, user: str) -> Any:
    """A page of this browser, which shares nothing with others, after the user has logged in."""
    page = browser.new_page(viewport={"width": 1600, "height": 1000})
    page.set_default_timeout(SECONDS * 1000)
    page.goto(airflow.stack.url)
    page.get_by_label("Username").fill(user)
    page.get_by_label("Password").fill(airflow.stack.passwords()[user])
    page.get_by_role("button", name="Sign in").click()
    page.wait_for_url(lambda url: "/auth/login" not in url)
    return page
