"""HTTP with Airflow's API server: log-in, errors that say what was refused, and no proxy in between."""

from typing import Any

import httpx

from loyalty.errors import LoyaltyError


class RestClient:
    """A client that logs in when it must."""

    def __init__(self, url: str, username: str, password: str, transport: httpx.BaseTransport | None = None) -> None:
        self._client = httpx.Client(base_url=url, timeout=120, trust_env=False, transport=transport)
        self._login = {"username": username, "password": password}

    def close(self) -> None:
        """The connections are closed."""
        self._client.close()

    def peek(self, path: str) -> dict[str, Any]:
        """The answer's JSON without a log-in; empty while nobody answers."""
        try:
            answer = self._client.get(path)
            answer.raise_for_status()
        except httpx.HTTPError:
            return {}
        return dict(answer.json())

    def call(self, method: str, path: str, unless: int | None = None, **arguments: Any) -> dict[str, Any]:
        """The answer's JSON; empty for the status ``unless``."""
        try:
            answer = self._authorized(method, path, **arguments)
        except httpx.HTTPError as error:
            raise LoyaltyError(f"Airflow's API at {self._client.base_url} does not answer: {error!r}") from error
        if answer.status_code == unless:
            return {}
        if answer.is_error:
            raise LoyaltyError(f"Airflow refuses {method} {path}: {answer.status_code} {answer.text}")
        return dict(answer.json())

    def _authorized(self, method: str, path: str, **arguments: Any) -> httpx.Response:
        if "Authorization" not in self._client.headers:
            self._log_in()
        answer = self._client.request(method, path, **arguments)
        if answer.status_code == httpx.codes.UNAUTHORIZED:
            self._log_in()
            answer = self._client.request(method, path, **arguments)
        return answer

    def _log_in(self) -> None:
        answer = self._client.post("/auth/token", json=self._login)
        answer.raise_for_status()
        self._client.headers["Authorization"] = f"Bearer {answer.json()['access_token']}"
