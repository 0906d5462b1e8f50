"""A subscriber as its own HTTP server: it keeps what it was told, and answers as it is told to."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from standardwebhooks import Webhook

SECRET = "whsec_" + "c2VjcmV0IG9mIHRoZSB0ZXN0cywgMzIgYnl0ZXMgbG9uZy4="


@dataclass
class Hook:
    """What was told, call by call; ``answers`` are used up before 200 is given; a poisoned customer is refused."""

    address: str = ""
    calls: list[list[dict[str, Any]]] = field(default_factory=list)
    tried: int = 0
    answers: list[int] = field(default_factory=list)
    poison: str | None = None

    @property
    def events(self) -> list[dict[str, Any]]:
        return [event for call in self.calls for event in call]

    def hear(self, headers: dict[str, str], body: bytes) -> int:
        self.tried += 1
        events = Webhook(SECRET).verify(body, headers)["events"]
        if self.answers:
            status = self.answers.pop(0)
            if status != 200:
                return status
        if any(event["customer_id"] == self.poison for event in events):
            return 422
        self.calls.append(events)
        return 200


@contextmanager
def listening(hook: Hook) -> Iterator[Hook]:
    """The hook has an address as long as it is entered."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            try:
                status = hook.hear({name.lower(): value for name, value in self.headers.items()}, body)
            except Exception as error:
                status = 400
                print(f"the hook does not trust it: {error!r}")
            self.send_response(status)
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        hook.address = f"http://127.0.0.1:{server.server_address[1]}/hook"
        thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
        thread.start()
        try:
            yield hook
        finally:
            server.shutdown()
            thread.join()
