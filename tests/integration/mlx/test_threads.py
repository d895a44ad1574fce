"""With as many threads as a server computes with, whatever the other tests are given."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent


@pytest.mark.parametrize("kind", ["llama-4", "gemma3_text-4", "gemma3_text, packed-16"])
def test_a_conversation_goes_on_with_two_threads_too(kind):
    case = f"test_a_conversation_goes_on_as_if_it_were_read_anew[{kind}]"
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", f"{HERE / 'test_parity.py'}::{case}"]
    ours = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}
    ran = subprocess.run(command, env=ours | {"OPENBLAS_NUM_THREADS": "2"}, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stdout
    assert "1 passed" in ran.stdout
