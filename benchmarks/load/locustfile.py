"""Users who search and remember over HTTP, each in a scope of its own: `locust -f benchmarks/load/locustfile.py`.

    --writes 0.25      this share of the requests remembers, the others search
    --repeats 0.7      this share of the texts was sent before, by any user, among the last thousand
    --offered 120      requests a second, of all users together, at random moments; 0 is as many as are answered
    --scopes 1000      each request in any of so many scopes; 0 is a scope for each user
    --series 1         which texts: another number, other texts
    --agent load       whose scopes

Run by `python -m benchmarks.load`, which starts the server and fills the scopes first.
"""

import random
import sys
import time
from collections import deque
from itertools import count
from pathlib import Path

from locust import FastHttpUser, events, task
from msgspec import json

sys.path.insert(0, str(Path(__file__).parents[2]))
from benchmarks.load.texts import Texts

OPTIONS = {"writes": 0.0, "repeats": 0.0, "offered": 0.0, "series": 1, "agent": "load", "scopes": 0}

_numbers = count()
_sent: dict[str, deque[str]] = {"asked": deque(maxlen=1000), "told": deque(maxlen=1000)}


@events.init_command_line_parser.add_listener
def add_options(parser) -> None:
    for name, default in OPTIONS.items():
        parser.add_argument(f"--{name}", type=type(default), default=default)


class Person(FastHttpUser):
    def __init__(self, environment) -> None:
        super().__init__(environment)
        self.options = environment.parsed_options
        self.number = next(_numbers)
        self.dice = random.Random(self.number + 60 * self.options.series)
        self.texts = Texts(self.number + 60 * self.options.series)
        self.due = time.monotonic()

    def wait_time(self) -> float:
        """Poisson: the next moment does not depend on when the answer came."""
        if not self.options.offered:
            return 0.0
        self.due += self.dice.expovariate(self.options.offered / self.environment.runner.target_user_count)
        return max(self.due - time.monotonic(), 0.0)

    @task
    def ask(self) -> None:
        who = {"agent_id": self.options.agent, "user_id": f"user {self.scope()}"}
        if self.dice.random() < self.options.writes:
            self.client.post("/v1/memories", data=json.encode(who | {"content": self.text("told")}))
        else:
            question = who | {"query": self.text("asked"), "top_k": 10}
            self.client.post("/v1/memories/search", data=json.encode(question))

    def scope(self) -> int:
        return self.dice.randrange(self.options.scopes) if self.options.scopes else self.number

    def text(self, kind: str) -> str:
        sent = _sent[kind]
        if sent and self.dice.random() < self.options.repeats:
            return self.dice.choice(sent)
        sent.append(getattr(self.texts, kind)())
        return sent[-1]
