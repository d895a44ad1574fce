"""Do tool calls and strict JSON come out valid whatever the schema, from a model that knows nothing?

Random schemas, a llama with random weights, random sampling: what makes an answer valid is the constraint alone. An
answer counts where it ended by itself, is JSON, and is found valid by the `jsonschema` package. Half of the calls are
of a tool by name, half of any of three, one or several. Every string, array and number of a schema has a limit, so that
random letters come to an end.

    python -m benchmarks.schemas [--trials 1000] [--json]
"""

import asyncio
import json
import random
import tempfile
import time
from pathlib import Path
from typing import Any

import jsonschema
from tests.models import make_model

from agent_memory.adapters.guidance.grammars import GuidanceCompiler
from agent_memory.adapters.in_memory.blocks import InMemoryBlockStore
from agent_memory.adapters.mlx.loading import load_model
from agent_memory.application.conversation import Conversation, Message, Prompt, Sampling
from agent_memory.application.engine import Engine
from agent_memory.application.engine_thread import EngineThread
from agent_memory.application.replies import Answer, whole
from agent_memory.application.tiered_blocks import TieredBlocks
from agent_memory.application.write_behind import WriteBehind
from agent_memory.domain.chat import Tool, ToolUse
from agent_memory.domain.kv.ledger import Ledger
from agent_memory.domain.kv.precision import Precision
from agent_memory.domain.kv.scheduler import Scheduler
from agent_memory.ports.language import Grammar
from benchmarks.harness import arguments, bar, report

AT_ONCE = 8
MAX_TOKENS = 4000
LETTERS = 'abcdefgh-_ .é世"\\'


def name(dice: random.Random) -> str:
    return "".join(dice.choice(LETTERS) for _ in range(dice.randint(1, 8)))


def schema(dice: random.Random, depth: int = 3) -> dict[str, Any]:
    """Anything that a value may be: one of the simple kinds, or while there is `depth`, one that holds others."""
    kinds = [_text, _number, _choice, _pattern] + ([_list, _pair, _either, obj] if depth else [])
    return dice.choice(kinds)(dice, depth - 1)


def obj(dice: random.Random, depth: int = 3) -> dict[str, Any]:
    properties = {name(dice): schema(dice, depth) for _ in range(dice.randint(0, 4))}
    required = [each for each in properties if dice.random() < 0.7]
    described = {"type": "object", "properties": properties, "required": required}
    return described if dice.random() < 0.3 else described | {"additionalProperties": False}


def referring(dice: random.Random) -> dict[str, Any]:
    """An object with a definition that is used more than once."""
    described = obj(dice, 2)
    if dice.random() < 0.3:
        described["$defs"] = {"part": schema(dice, 1)}
        described["properties"] |= {"one": {"$ref": "#/$defs/part"}, "more": {"anyOf": [{"$ref": "#/$defs/part"}]}}
    return described


def _text(dice: random.Random, _: int) -> dict[str, Any]:
    least = dice.randint(0, 3)
    return {"type": "string", "minLength": least, "maxLength": least + dice.randint(0, 12)}


def _number(dice: random.Random, _: int) -> dict[str, Any]:
    least = dice.randint(-1000, 1000)
    limits = {"minimum": least, "maximum": least + dice.randint(0, 5000)}
    return {"type": "integer"} | limits if dice.random() < 0.7 else {"type": "number", "multipleOf": 0.25} | limits


def _choice(dice: random.Random, _: int) -> dict[str, Any]:
    values = [None, True, False, 7, -0.5, "a", 'q"uote', "ünï", [1, "b"], {"c": None}]
    if dice.random() < 0.2:
        return {"const": dice.choice(values)}
    return {"enum": dice.sample(values, dice.randint(1, 5))} if dice.random() < 0.6 else {"type": ["boolean", "null"]}


def _pattern(dice: random.Random, _: int) -> dict[str, Any]:
    patterns = ["^[a-z]{1,6}$", r"^\d{4}-\d{2}$", "^(yes|no)$", "^[A-Z][a-z]{0,3}( [A-Z][a-z]{0,3}){0,2}$"]
    formats = ["date", "time", "uuid", "ipv4"]
    if dice.random() < 0.3:
        return {"type": "string", "format": dice.choice(formats)}
    return {"type": "string", "pattern": dice.choice(patterns)}


def _list(dice: random.Random, depth: int) -> dict[str, Any]:
    least = dice.randint(0, 2)
    return {"type": "array", "items": schema(dice, depth), "minItems": least, "maxItems": least + dice.randint(0, 2)}


def _pair(dice: random.Random, depth: int) -> dict[str, Any]:
    first = [schema(dice, depth), schema(dice, depth)]
    return {"type": "array", "prefixItems": first, "items": False, "minItems": 2}


def _either(dice: random.Random, depth: int) -> dict[str, Any]:
    return {"anyOf": [schema(dice, depth) for _ in range(dice.randint(1, 3))]}


def call_prompt(dice: random.Random) -> Prompt:
    tools = tuple(Tool(f"tool_{i}", json.dumps(referring(dice)), strict=True) for i in range(3))
    choice = dice.choice([dice.choice(tools), "required"])
    use = ToolUse(tools, choice, parallel=dice.random() < 0.5)
    return Prompt(QUESTION, sampling(dice), MAX_TOKENS, use=use, stored=False)


def json_prompt(dice: random.Random) -> Prompt:
    grammar = Grammar("json_schema", json.dumps(referring(dice)))
    return Prompt(QUESTION, sampling(dice), MAX_TOKENS, grammar=grammar, stored=False)


QUESTION = (Message("user", "Do what you can."),)


def sampling(dice: random.Random) -> Sampling:
    return Sampling(temperature=1.0, seed=dice.randrange(1 << 32))


def complaint(prompt: Prompt, answer: Answer) -> str | None:
    """What is wrong with it."""
    if prompt.grammar is not None:
        if answer.ended.reason != "stop":
            return f"it ended by {answer.ended.reason}"
        return _against(prompt.grammar.text, answer.text)
    if answer.ended.reason != "tool_calls" or not answer.calls or answer.text:
        return f"it ended by {answer.ended.reason} with {len(answer.calls)} calls and {answer.text!r}"
    use = prompt.use
    allowed = {tool.name: tool for tool in ((use.choice,) if isinstance(use.choice, Tool) else use.tools)}
    if len(answer.calls) > 1 and not use.parallel:
        return f"{len(answer.calls)} calls"
    wrong = (_against(allowed[call.name].parameters, call.arguments) for call in answer.calls)
    return next(filter(None, wrong), None)


def _against(described: str, text: str) -> str | None:
    checker = jsonschema.Draft202012Validator(json.loads(described))
    try:
        checker.validate(json.loads(text))
    except (ValueError, jsonschema.ValidationError) as error:
        return f"{type(error).__name__}: {str(error).splitlines()[0]} of {text}"
    return None


class Desk:
    """A conversation with a model of random weights, everything in memory."""

    def __init__(self, folder: Path) -> None:
        loaded = []

        def open_engine(wake: Any) -> Engine:
            model = load_model(folder, Precision(16), folder)
            loaded.append(model)
            store = InMemoryBlockStore()
            writer = WriteBehind(store, wake)
            writer.start()
            spec = model.runtime.spec
            scheduler = Scheduler(spec, Ledger(spec, 1 << 30), max_turns=AT_ONCE)
            return Engine(model.runtime, TieredBlocks(store, writer), scheduler)

        self._loaded, self._thread = loaded, EngineThread(open_engine)

    async def __aenter__(self) -> Conversation:
        await self._thread.start()
        tokenizer = self._loaded[0].tokenizer
        grammars = GuidanceCompiler(tokenizer.definition, tokenizer.vocabulary, tokenizer.stop_tokens)
        self._conversation = Conversation(
            self._thread, tokenizer, model_id="random", created=0, max_context=16_384, grammars=grammars
        )
        return self._conversation

    async def __aexit__(self, *_: object) -> None:
        await self._thread.close(grace=1)
        self._conversation.close()


async def trials(conversation: Conversation, prompts: list[Prompt]) -> dict[str, Any]:
    turns = asyncio.Semaphore(AT_ONCE)
    started = time.perf_counter()

    async def tried(prompt: Prompt) -> tuple[str | None, int]:
        async with turns:
            answer = await whole(conversation.reply(prompt))
        return complaint(prompt, answer), answer.ended.completion_tokens

    told = await asyncio.gather(*map(tried, prompts))
    complaints = [wrong for wrong, _ in told if wrong]
    figures = {"trials": len(told), "valid": len(told) - len(complaints), "tokens": sum(tokens for _, tokens in told)}
    return figures | {"seconds": round(time.perf_counter() - started, 1), "complaints": complaints[:5]}


async def run(count: int, folder: Path, seed: int = 1) -> dict[str, Any]:
    dice = random.Random(seed)
    async with Desk(folder) as conversation:
        figures = {
            "tool calls": await trials(conversation, [call_prompt(dice) for _ in range(count)]),
            "strict JSON": await trials(conversation, [json_prompt(dice) for _ in range(count)]),
        }
    bars = [bar(f"valid, {kind}", of["valid"], at_least=of["trials"]) for kind, of in figures.items()]
    return figures | {"bars": bars}


def main() -> None:
    parser = arguments(__doc__)
    parser.add_argument("--trials", type=int, default=1000)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        model = make_model(Path(folder) / "random", "llama")
        report("schemas", asyncio.run(run(asked.trials, model)), keep=asked.json)


if __name__ == "__main__":
    main()
