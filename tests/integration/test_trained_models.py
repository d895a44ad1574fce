"""Models of ours of other architectures, which quality is measured on: they are what training left, and they recall."""

import json
from pathlib import Path

import numpy as np
import pytest

from agent_memory.adapters.mlx.loading import load, mx

pytestmark = pytest.mark.integration

MODELS = sorted((Path(__file__).parents[2] / "models").glob("*/"))
FACTS = {
    "My dog is called Morvat.": ("What is my dog called?", "Morvat"),
    "My locker code is 7294.": ("What is my locker code?", "7294"),
    "My sister lives in Belkan.": ("Where does my sister live?", "Belkan"),
}


@pytest.fixture(params=MODELS, ids=lambda folder: folder.name)
def folder(request):
    return request.param


def test_there_are_models_to_test():
    assert "agent-memory-llama" in {folder.name for folder in MODELS}


def test_a_folder_is_small_enough_for_the_repository(folder):
    assert sum(path.stat().st_size for path in folder.iterdir()) <= 15_000_000


def test_mlx_computes_what_torch_trained(folder):
    model, _ = load(str(folder))
    model.set_dtype(mx.float32)
    reference = json.loads((folder / "reference.json").read_text())
    tokens = mx.array(reference["tokens"])
    logits = model(tokens[None, :-1])[0]
    log_probs = logits - mx.logsumexp(logits, axis=-1, keepdims=True)
    found = np.asarray(mx.take_along_axis(log_probs, tokens[1:, None], axis=-1))[:, 0]
    assert found == pytest.approx(reference["log_probs"], abs=1e-3)
    assert max(found) > -0.01


def test_a_fact_is_recalled(folder):
    model, tokenizer = load(str(folder))
    model.set_dtype(mx.float32)
    told = [text for fact in FACTS for text in (fact, "Okay, noted.")]
    for question, value in FACTS.values():
        messages = [
            {"role": ("user", "assistant")[number % 2], "content": text}
            for number, text in enumerate([*told, question])
        ]
        tokens = tokenizer.apply_chat_template(messages, add_generation_prompt=True, return_dict=False)
        said = []
        while len(said) < 40 and said[-1:] != [tokenizer.eos_token_id]:
            said.append(int(mx.argmax(model(mx.array([[*tokens, *said]]))[0, -1])))
        assert value in tokenizer.decode(said), question
