"""The default embedder against a plain reading of the same weights, and the care of its files."""

import math
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import safetensors.numpy
from tokenizers import Tokenizer

from agent_memory.adapters.onnx import embedder, installation
from agent_memory.adapters.onnx.encoder import Encoder
from agent_memory.adapters.onnx.weights import weights_and_tokenizer

pytestmark = pytest.mark.integration
TEXTS = [
    "She lives in Oslo.", "", "naïve café", "東京に住んでいます", "💥 def f(x): return x", "word " * 200,
    "The quick brown fox jumps over the lazy dog.", "ALL CAPS and 12345",
]  # fmt: skip


class Reference:
    """BERT in numpy, one text at a time: slow, and plainly what the paper says."""

    def __init__(self, folder) -> None:
        weights, tokenizer = weights_and_tokenizer(folder)
        self.weights = safetensors.numpy.load(weights)
        self.tokenizer = Tokenizer.from_str(tokenizer.decode())
        self.tokenizer.no_truncation()
        self.tokenizer.no_padding()

    def vector(self, text: str):
        ids = self.tokenizer.encode(text).ids
        hidden = self.weights["embeddings.word_embeddings.weight"][ids].astype(np.float64)
        hidden = hidden + self.weights["embeddings.position_embeddings.weight"][: len(ids)]
        hidden = self.norm(hidden + self.weights["embeddings.token_type_embeddings.weight"][0], "embeddings.")
        for number in range(6):
            hidden = self.layer(hidden, f"encoder.layer.{number}.")
        mean = hidden.mean(axis=0)
        return mean / np.linalg.norm(mean)

    def layer(self, hidden, at):
        q, k, v = (
            self.dense(hidden, f"{at}attention.self.{name}.").reshape(len(hidden), 12, 32).transpose(1, 0, 2)
            for name in ("query", "key", "value")
        )
        scores = q @ k.transpose(0, 2, 1) / math.sqrt(32)
        weights = np.exp(scores - scores.max(axis=-1, keepdims=True))
        attended = (weights / weights.sum(axis=-1, keepdims=True) @ v).transpose(1, 0, 2).reshape(len(hidden), 384)
        hidden = self.norm(hidden + self.dense(attended, f"{at}attention.output.dense."), f"{at}attention.output.")
        wide = self.dense(hidden, f"{at}intermediate.dense.")
        bent = wide * 0.5 * (1 + np.vectorize(math.erf)(wide / math.sqrt(2)))
        return self.norm(hidden + self.dense(bent, f"{at}output.dense."), f"{at}output.")

    def dense(self, value, at):
        return value @ self.weights[f"{at}weight"].T + self.weights[f"{at}bias"]

    def norm(self, value, at):
        centred = value - value.mean(axis=-1, keepdims=True)
        scaled = centred / np.sqrt((centred**2).mean(axis=-1, keepdims=True) + 1e-12)
        return scaled * self.weights[f"{at}LayerNorm.weight"] + self.weights[f"{at}LayerNorm.bias"]


def test_agrees_with_the_weights_it_was_built_from(models_dir):
    reference = Reference(models_dir)
    vectors = Encoder(installation.installed(models_dir)).vectors(TEXTS)
    for text, vector in zip(TEXTS, vectors, strict=True):
        assert float(np.dot(reference.vector(text), vector)) == pytest.approx(1, abs=1e-5), text


def test_a_text_alone_and_in_company_has_the_same_vector(models_dir):
    encoder = Encoder(installation.installed(models_dir))
    together = encoder.vectors(TEXTS)
    for text, vector in zip(TEXTS, together, strict=True):
        assert encoder.vectors([text])[0] == pytest.approx(vector, abs=1e-6), text


@pytest.mark.parametrize("name", ["model.onnx", "weights.bin", "tokenizer.json"])
def test_a_damaged_installation_is_made_again(tmp_path, name):
    folder = installation.installed(tmp_path)
    whole = (folder / name).read_bytes()
    (folder / name).write_bytes(whole[:-1000])
    assert (installation.installed(tmp_path) / name).read_bytes() == whole


def test_what_runs_goes_on_while_it_is_made_again(tmp_path):
    folder = installation.installed(tmp_path)
    encoder = Encoder(folder)
    (folder / "manifest.json").unlink()
    before = encoder.vectors(TEXTS[:1])
    assert installation.installed(tmp_path) == folder
    assert encoder.vectors(TEXTS[:1]) == before
    assert len(encoder.vectors(TEXTS)) == len(TEXTS)  # with words of which nothing was read yet


def test_many_may_install_at_once(tmp_path):
    with ThreadPoolExecutor(3) as threads:
        folders = set(threads.map(lambda _: installation.installed(tmp_path), range(3)))
    assert folders == {tmp_path / installation.NAME}
    assert sorted(path.name for path in tmp_path.iterdir()) == [installation.NAME, "lock"]


async def test_a_failing_model_fails_its_callers_only(models_dir, monkeypatch):
    async with embedder.opened(models_dir) as opened:
        with monkeypatch.context() as broken:
            broken.setattr(Encoder, "vectors", lambda *_: 1 / 0)
            with pytest.raises(Exception, match="embedding model failed"):
                await opened.embed(["a text"])
        assert len((await opened.embed(["a text"]))[0].vector) == 384
