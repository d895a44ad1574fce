"""Another model, tokenizer, chat template or configuration is another fingerprint, so none of its blocks is found."""

import os

import pytest

from agent_memory.adapters.mlx.fingerprint import fingerprint

FILES = ("model.safetensors", "config.json", "tokenizer.json", "tokenizer_config.json", "chat_template.jinja")


@pytest.fixture
def folder(tmp_path):
    folder = tmp_path / "model"
    folder.mkdir()
    for name in FILES:
        (folder / name).write_text(f"what {name} says")
    return folder


@pytest.mark.parametrize("name", FILES)
def test_every_file_counts_to_the_byte(folder, tmp_path, name):
    memory = tmp_path / "digests"
    before = fingerprint(folder, memory)
    path = folder / name
    stat = path.stat()
    path.write_text(path.read_text().replace("what", "WHAT"))  # of equal length
    os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    assert fingerprint(folder, memory) != before


def test_the_place_does_not_count_and_a_damaged_memory_does_no_harm(folder, tmp_path):
    memory = tmp_path / "digests"
    before = fingerprint(folder, memory)
    moved = folder.rename(tmp_path / "elsewhere")
    memory.write_text("{ half")
    assert fingerprint(moved, memory) == before
