"""A points engine of somebody else's, as a process: it shares no code with the project, and its manners are bad.

It is told of requests by webhook, and answers through the events API: late, in any order, some of them twice under
other names, to some with a refusal, to some never, and to some only when their request is over.
"""

import heapq
import itertools
import json
import random
import sys
import threading
import time
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import httpx
from standardwebhooks import Webhook


class Engine:
    """What it was asked, and what it is going to say when."""

    def __init__(self, manners: dict[str, Any]) -> None:
        self.manners = manners
        self.chance = random.Random(manners["seed"])
        self.hook = Webhook(manners["secret"])
        self.agenda: list[tuple[float, int, dict[str, Any]]] = []
        self.number, self.lock = itertools.count(), threading.Lock()
        self.seen: set[str] = set()

    def hear(self, body: bytes, headers: dict[str, str]) -> None:
        for event in self.hook.verify(body, headers)["events"]:
            with self.lock:
                if event["key"] not in self.seen:
                    self.seen.add(event["key"])
                    self.consider(event)

    def consider(self, event: dict[str, Any]) -> None:
        who, asked, action = event["customer_id"], event["params"], event["action"]
        shown = {name: asked[name] for name in ("run", "token") if name in asked}
        if action == "points.lockRequested" and who in self.manners["refuses"]:
            self.say(who, "points.engineError", shown | {"message": "the account is in arbitration"})
        elif action == "points.lockRequested" and who not in self.manners["silent"]:
            self.say(who, "points.locked", shown)
        elif action == "client.deactivatePromotionRequested" and who not in self.manners["idle"]:
            given = {"activation": asked["activation"], "returnedPoints": asked["returnedPoints"]}
            self.say(who, "client.deactivatePromotion", given)
        elif action == "points.unlocked" and who in self.manners["silent"]:
            self.say(who, "points.locked", shown | {"run": event["run"]})

    def say(self, who: str, action: str, params: dict[str, Any]) -> None:
        for _ in range(1 + (self.chance.random() < 0.1)):
            due = time.monotonic() + self.chance.uniform(0, self.manners["slowest"])
            number = next(self.number)
            told = {
                "customer_id": who,
                "action": action,
                "event_id": f"engine-{self.manners['seed']}-{number}",
                **params,
            }
            heapq.heappush(self.agenda, (due, number, told))

    def due(self) -> list[dict[str, Any]]:
        with self.lock:
            found = []
            while self.agenda and self.agenda[0][0] <= time.monotonic() and len(found) < 300:
                found.append(heapq.heappop(self.agenda)[2])
        self.chance.shuffle(found)
        return found

    def talk(self) -> None:
        headers = {"Authorization": f"Bearer {self.manners['key']}"}
        with httpx.Client(base_url=self.manners["api"], headers=headers, trust_env=False, timeout=30) as client:
            while True:
                told = self.due()
                while told and not self.tell(client, told):
                    time.sleep(0.2)
                time.sleep(0.05)

    def tell(self, client: httpx.Client, told: list[dict[str, Any]]) -> bool:
        now = datetime.now(UTC).isoformat()
        try:
            answer = client.post(
                "/v1/events", json=[{**one, "occurred_at": one.setdefault("occurred_at", now)} for one in told]
            )
        except httpx.HTTPError:
            return False
        return answer.status_code == 200


def main() -> None:
    engine = Engine(json.loads(sys.stdin.readline()))

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            engine.hear(body, {name.lower(): value for name, value in self.headers.items()})
            self.send_response(204)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=engine.talk, daemon=True).start()
        print(server.server_address[1], flush=True)
        server.serve_forever()


if __name__ == "__main__":
    main()
