"""An OpenAI client that notes when each token came. It is light, so that it takes little from the server beside it."""

import http.client
import json
import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, field

from benchmarks.servers import Server

Messages = list[dict[str, str]]


@dataclass(slots=True)
class Answer:
    """`came` has a time for each token: the benchmark's model says one letter a token."""

    sent: float
    text: str = ""
    came: list[float] = field(default_factory=list)
    usage: dict = field(default_factory=dict)

    @property
    def first(self) -> float:
        """Seconds until the first token."""
        return self.came[0] - self.sent

    @property
    def cached(self) -> int:
        return (self.usage.get("prompt_tokens_details") or {}).get("cached_tokens", 0)


def ask(server: Server, messages: Messages, max_tokens: int = 1) -> Answer:
    """The whole answer."""
    *_, answer = stream(server, messages, max_tokens)
    assert len(answer.came) == max_tokens, f"{len(answer.came)} letters of {max_tokens} tokens came one by one"
    return answer


def stream(server: Server, messages: Messages, max_tokens: int) -> Iterator[Answer]:
    """The answer as it grows, once for every event. Closing this leaves the server while it speaks."""
    body = {"model": server.model, "messages": messages, "temperature": 0, "max_tokens": max_tokens, "stream": True}
    address = server.url.removeprefix("http://")
    with closing(http.client.HTTPConnection(address, timeout=600)) as connection:
        answer = Answer(time.perf_counter())
        connection.request(
            "POST",
            "/v1/chat/completions",
            json.dumps(body | {"stream_options": {"include_usage": True}}).encode(),
            {"Content-Type": "application/json"},
        )
        response = connection.getresponse()
        if response.status != 200:
            raise RuntimeError(f"{response.status} {response.read().decode()}")
        while line := response.readline():
            now = time.perf_counter()
            if line.startswith(b"data: {"):
                _hear(answer, json.loads(line[6:]), now)
                yield answer


def _hear(answer: Answer, event: dict, now: float) -> None:
    if "error" in event:
        raise RuntimeError(str(event["error"]))
    answer.usage = event.get("usage") or answer.usage
    for choice in event["choices"]:
        text = choice["delta"].get("content") or ""
        answer.text += text
        answer.came += [now] * len(text)


class Talk:
    """A conversation, to which every turn adds its answer and the next question."""

    def __init__(self, messages: Messages) -> None:
        self.messages = messages

    def turn(self, server: Server, max_tokens: int) -> Answer:
        answer = ask(server, self.messages, max_tokens)
        said = {"role": "assistant", "content": answer.text}
        self.messages = [*self.messages, said, {"role": "user", "content": "And then?"}]
        return answer
