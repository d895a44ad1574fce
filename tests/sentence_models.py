"""A sentence-transformers model of a few kilobytes, with random weights, made on the spot."""

from pathlib import Path


def make_sentence_model(folder: Path, seed: int = 0, **saved) -> Path:
    """`saved` is what is saved with it beside its modules, as its prompts."""
    import torch
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.sentence_transformer.modules import Pooling, Transformer
    from tokenizers import Tokenizer
    from tokenizers.models import WordPiece
    from tokenizers.pre_tokenizers import BertPreTokenizer
    from tokenizers.processors import TemplateProcessing
    from transformers import BertConfig, BertModel, PreTrainedTokenizerFast

    torch.manual_seed(seed)
    inner = folder / "inner"
    inner.mkdir(parents=True)
    pieces = [chr(c) for c in range(33, 127)]
    words = ["the", "cat", "sofa", "sleeps", "tax", "law", "on", "is", "again"]
    vocabulary = dict.fromkeys(
        ["[PAD]", "[UNK]", "[CLS]", "[SEP]", *words, *pieces, *(f"##{piece}" for piece in pieces)]
    )
    ids = {piece: number for number, piece in enumerate(vocabulary)}
    core = Tokenizer(WordPiece(ids, unk_token="[UNK]"))
    core.pre_tokenizer = BertPreTokenizer()
    core.post_processor = TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", ids["[CLS]"]), ("[SEP]", ids["[SEP]"])]
    )
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=core, unk_token="[UNK]", pad_token="[PAD]", cls_token="[CLS]", sep_token="[SEP]"
    )
    config = BertConfig(
        vocab_size=len(ids), hidden_size=48, num_hidden_layers=0, num_attention_heads=4, intermediate_size=64,
        max_position_embeddings=64,
    )  # fmt: skip
    bert = BertModel(config)
    # Without layers, and with words that outweigh their places, texts that share words are near.
    bert.embeddings.word_embeddings.weight.data.mul_(50)
    bert.save_pretrained(inner)
    tokenizer.save_pretrained(inner)
    reading = Transformer(str(inner), max_seq_length=32)
    pooling = Pooling(reading.get_embedding_dimension(), "mean")
    SentenceTransformer(modules=[reading, pooling], device="cpu", **saved).save(str(folder / "model"))
    return folder / "model"


def make_static_model(folder: Path) -> Path:
    """One that looks words up in a table, and whose tokenizer is told to cut texts."""
    import torch
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.sentence_transformer.modules import StaticEmbedding
    from tokenizers import Tokenizer

    torch.manual_seed(0)
    tokenizer = Tokenizer.from_file(str(next(make_sentence_model(folder / "words").rglob("tokenizer.json"))))
    tokenizer.enable_truncation(32)
    table = StaticEmbedding(tokenizer, embedding_dim=48)
    SentenceTransformer(modules=[table], device="cpu").save(str(folder / "model"))
    return folder / "model"
