"""Writes the folder that ``mlx_lm.load`` and ``transformers`` read."""

import json
from pathlib import Path

import torch
from safetensors.torch import save_file
from tokenizers import Tokenizer
from torch import Tensor

from .architectures import Shape
from .tokenizer import BOS, END, EOS, PAD, TEMPLATE


def write_json(path: Path, content: dict[str, object]) -> None:
    path.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")


def export(folder: Path, shape: Shape, weights: dict[str, Tensor], tokenizer: Tokenizer) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    tensors = {name: weight.to(torch.bfloat16).contiguous() for name, weight in shape.published(weights).items()}
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
    tokenizer.save(str(folder / "tokenizer.json"))
    ids = {mark: tokenizer.token_to_id(mark) for mark in (PAD, BOS, EOS, END)}
    stops = {"bos_token_id": ids[BOS], "eos_token_id": [ids[END], ids[EOS]], "pad_token_id": ids[PAD]}
    common = {"dtype": "bfloat16"}
    write_json(folder / "config.json", shape.config() | common | stops)
    write_json(folder / "generation_config.json", stops | {"do_sample": False})
    write_json(
        folder / "tokenizer_config.json",
        {
            "tokenizer_class": "PreTrainedTokenizerFast",
            "bos_token": BOS,
            "eos_token": END,
            "pad_token": PAD,
            "model_max_length": shape.max_position_embeddings,
            "clean_up_tokenization_spaces": False,
        },
    )
    (folder / "chat_template.jinja").write_text(TEMPLATE, encoding="utf-8")
