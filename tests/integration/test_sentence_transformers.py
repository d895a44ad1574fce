"""Any embedding model, by a setting."""

from importlib.util import find_spec

import pytest
from sentence_models import make_sentence_model, make_static_model

from agent_memory.bootstrap import bootstrap
from agent_memory.domain.errors import Misconfigured
from agent_memory.settings import MemorySettings, Settings

pytestmark = pytest.mark.integration
WHO = {"agent_id": "agent", "user_id": "user"}
INSTALLED = find_spec("sentence_transformers") is not None


def settings(folder, model) -> Settings:
    return Settings(data_dir=str(folder), memory=MemorySettings(embedding_model=str(model)))


@pytest.mark.skipif(INSTALLED, reason="it is installed")
async def test_without_the_extra_it_says_what_to_install(tmp_path):
    with pytest.raises(Misconfigured, match=r"pip install 'agent_memory\[sentence-transformers\]'"):
        async with bootstrap(settings(tmp_path, "any"), conversation=None):
            pass


@pytest.mark.skipif(not INSTALLED, reason="an optional extra")
async def test_a_model_that_is_not_there_is_named(tmp_path):
    with pytest.raises(Misconfigured, match="EMBEDDING_MODEL=/no/such/model"):
        async with bootstrap(settings(tmp_path, "/no/such/model"), conversation=None):
            pass


@pytest.mark.skipif(not INSTALLED, reason="an optional extra")
async def test_a_model_of_ones_own_and_then_another(tmp_path):
    one = make_sentence_model(tmp_path / "one")
    two = make_sentence_model(tmp_path / "two", seed=1)
    names = set()
    for model in (one, two):
        async with bootstrap(settings(tmp_path / "data", model), conversation=None) as application:
            await application.memory.remember(**WHO, content=f"the cat sleeps on the sofa, says {model.parent.name}")
            found = await application.memory.recall(**WHO, query="cat on the sofa")
            assert len(found) == len(names) + 1
            names.add(application.runs_on["embedder"])
    assert len(names) == 2


@pytest.mark.skipif(not INSTALLED, reason="an optional extra")
async def test_a_model_that_looks_words_up_in_a_table(tmp_path):
    model = make_static_model(tmp_path / "static")
    async with bootstrap(settings(tmp_path / "data", model), conversation=None) as application:
        for content in ("the cat sleeps on the sofa", "tax law is law", "\n"):
            await application.memory.remember(**WHO, content=content)
        [found] = await application.memory.recall(**WHO, query="cat on the sofa", top_k=1)
        assert found.memory.content == "the cat sleeps on the sofa"


@pytest.mark.skipif(not INSTALLED, reason="an optional extra")
async def test_a_model_that_cannot_be_read_in_windows_is_refused(tmp_path, monkeypatch):
    from sentence_transformers import SentenceTransformer

    model = make_sentence_model(tmp_path / "one", prompts={"told": "law " * 30}, default_prompt_name="told")
    with pytest.raises(Misconfigured, match=r"EMBEDDING_MODEL=.*its prompt takes 30 of the 30 tokens"):
        async with bootstrap(settings(tmp_path / "data", model), conversation=None):
            pass
    monkeypatch.setattr(SentenceTransformer, "tokenizer", object())
    with pytest.raises(Misconfigured, match=r"EMBEDDING_MODEL=.*its tokenizer \(object\) does not tell"):
        async with bootstrap(settings(tmp_path / "data", model), conversation=None):
            pass


@pytest.mark.skipif(not INSTALLED, reason="an optional extra")
async def test_questions_and_memories_begin_as_the_model_asks_for(tmp_path):
    from sentence_transformers import SentenceTransformer

    from agent_memory.adapters.sentence_transformer.encoder import SentenceEncoder

    prompts = {"query": "is the law: ", "document": "the cat: "}
    model = str(make_sentence_model(tmp_path / "both", prompts=prompts))
    memories = SentenceEncoder(model)
    questions, reference = memories.for_questions(), SentenceTransformer(model)
    text = "the cat sleeps"
    for encoder, encode in ((memories, reference.encode_document), (questions, reference.encode_query)):
        [vector] = encoder.vectors([text])
        assert vector.tolist() == pytest.approx(encode(text, normalize_embeddings=True).tolist(), abs=1e-6)
    assert questions.count([text]) - memories.count([text]) == 1

    asking = SentenceEncoder(str(make_sentence_model(tmp_path / "asking", prompts={"query": "is the law: "})))
    plain = SentenceEncoder(str(make_sentence_model(tmp_path / "plain")))
    assert (plain.for_questions(), asking.for_questions() is None) == (None, False)
    assert asking.vectors([text]) == plain.vectors([text])
    assert asking.vectors([text]) != asking.for_questions().vectors([text])
