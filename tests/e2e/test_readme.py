"""What the README shows is what happens: its commands are run, and its answers compared."""

import json
import re
import shlex
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

pytestmark = pytest.mark.integration

README = (Path(__file__).parents[2] / "README.md").read_text()
CHANGING = ("id", "created", "created_at")
SHOWN = "http://127.0.0.1:8000"


def examples():
    """Each answer shown, with the command above it; an answer alone is to the same command again."""
    command = None
    for language, block in re.findall(r"^```(sh|json)\n(.*?)^```", README, re.MULTILINE | re.DOTALL):
        if language == "sh":
            command = block.strip()
        else:
            yield command, json.loads(block)


def steady(answer):
    """Without what differs each time."""
    if isinstance(answer, dict):
        return {name: steady(value) for name, value in answer.items() if name not in CHANGING}
    return [steady(each) for each in answer] if isinstance(answer, list) else answer


def test_the_commands_give_the_answers_shown(start, tmp_path):
    server = start(tmp_path, "--model", "agent-memory-small").wait_ready()
    shown = list(examples())
    assert len(shown) == 4
    for command, expected in shown:
        curl, url, flag, body = shlex.split(command)
        assert (curl, flag) == ("curl", "-d")
        assert command.replace(SHOWN, server.url) in "\n".join(server.printed)
        answer = httpx.post(url.replace(SHOWN, server.url), content=body, timeout=60)
        assert steady(answer.json()) == steady(expected)


def program(verb):
    """The one example in Python that has it."""
    [found] = [
        block for block in re.findall(r"^```python\n(.*?)^```", README, re.MULTILINE | re.DOTALL) if verb in block
    ]
    return found


def printed(program, folder):
    done = subprocess.run([sys.executable, "-c", program], cwd=folder, capture_output=True, text=True, check=True)
    return done.stdout


def test_the_library_example_finds_what_it_remembers(tmp_path):
    assert "Ada moved to Lisbon in spring." in printed(program("bootstrap"), tmp_path)


def test_the_library_example_takes_files_in(tmp_path):
    line = {"id": "8f6f1c5e-3b0b-4a53-9a38-0e1cf7a1d0c5", "agent_id": "guide", "user_id": "ada", "content": "Ada runs."}
    (tmp_path / "export.jsonl").write_text(json.dumps(line | {"created_at": "2026-01-01T00:00:00Z"}))
    (tmp_path / "mem0.json").write_text('{"results": [{"memory": "Ada sings."}, {"text": "Ada rows."}]}')
    (tmp_path / "memory.jsonl").write_text('{"type": "entity", "name": "Ada", "observations": ["swims"]}')
    example = program("load_mem0").rstrip() + '\n    print(memory.count(agent_id="guide", user_id="ada"))\n'
    assert printed(example, tmp_path).endswith("1 0\nentry 2: memory: is missing\n3\n")
