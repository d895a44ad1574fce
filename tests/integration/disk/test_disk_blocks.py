"""DiskBlockStore against damage and foreign files: a miss or an error, never a wrong block."""

import json
import subprocess
import sys

import pytest

from agent_memory.adapters.disk.blocks import DiskBlockStore, owned
from agent_memory.domain.errors import Misconfigured
from agent_memory.domain.kv.block import CacheBlock, Namespace, Part, PartKey, pack
from agent_memory.ports.kv import Buffer, BytesPayload

ROOT = Namespace("tenant", "model", "spec").root
BLOCK = CacheBlock.after(ROOT, 0, pack([1, 2, 3]))
KEY = PartKey(BLOCK.hash, Part.LASTING)
PAYLOAD = BytesPayload({"k": Buffer("U8", (300,), bytes(range(100)) * 3), "v": Buffer("F16", (5,), b"0123456789")})


@pytest.fixture
def store(tmp_path):
    return DiskBlockStore(tmp_path, 1 << 20, "model", "spec")


@pytest.fixture
def file(store, tmp_path):
    store.put(BLOCK, Part.LASTING, PAYLOAD, ROOT)
    return next(tmp_path.glob("??/*.safetensors"))


def reopened(tmp_path, model="model", spec="spec"):
    return DiskBlockStore(tmp_path, 1 << 20, model, spec)


def test_every_flipped_bit_is_a_miss(store, file):
    whole = file.read_bytes()
    for at in range(len(whole)):
        damaged = bytearray(whole)
        damaged[at] ^= 1 << (at % 8)
        file.write_bytes(damaged)
        got = store.get(KEY)
        assert got is None or got.buffers() == PAYLOAD.buffers(), f"byte {at} was believed"


def test_every_truncation_is_a_miss(store, file):
    whole = file.read_bytes()
    for length in range(len(whole)):
        file.write_bytes(whole[:length])
        assert store.get(KEY) is None


def test_a_damaged_file_is_put_aside_and_counted(store, file, tmp_path):
    file.write_bytes(file.read_bytes()[:-1])
    assert store.get(KEY) is None
    assert store.corrupt == 1
    assert [path.name for path in (tmp_path / "quarantine").iterdir()] == [file.name]


def test_a_file_under_anothers_name_is_a_miss(store, file, tmp_path):
    other = CacheBlock.after(ROOT, 0, pack([9]))
    path = tmp_path / other.hash[:2] / file.name.replace(BLOCK.hash, other.hash)
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(file.read_bytes())
    assert store.get(PartKey(other.hash, Part.LASTING)) is None


def test_another_models_blocks_are_not_known_but_share_the_budget(store, file, tmp_path):
    assert list(reopened(tmp_path).known()) == [(BLOCK, Part.LASTING)]
    assert list(reopened(tmp_path, model="other").known()) == []
    assert list(reopened(tmp_path, spec="other").known()) == []
    DiskBlockStore(tmp_path, 1_500, "other", "spec").put(BLOCK, Part.LOCAL, PAYLOAD, ROOT)
    assert not file.exists()


def test_a_newer_format_is_left_alone(file, tmp_path):
    data = file.read_bytes()
    size = int.from_bytes(data[:8], "little")
    header = json.loads(data[8 : 8 + size])
    header["__metadata__"]["version"] = "2"
    head = json.dumps(header).encode()
    file.write_bytes(len(head).to_bytes(8, "little") + head + data[8 + size :])
    store = reopened(tmp_path)
    assert list(store.known()) == []
    assert store.get(KEY) is None
    assert file.exists()


@pytest.mark.parametrize("suffix", [".v2.safetensors", ".v2.sealed", ""])
def test_what_bears_another_versions_name_is_not_even_opened(file, tmp_path, suffix, caplog):
    newer = file.parent / f"{BLOCK.hash}.lasting{suffix}"
    newer.write_bytes(b"in a form of its own")
    size = file.stat().st_size
    store = DiskBlockStore(tmp_path, size + 10, "model", "spec")
    assert store.left_alone.nbytes == newer.stat().st_size
    assert "left alone, counted as used" in caplog.text
    assert newer.read_bytes() == b"in a form of its own"
    assert list(store.known()) == []  # what is left of the budget does not hold it


def test_what_was_not_finished_is_swept_away(file, tmp_path):
    file.with_suffix(".tmp").write_bytes(b"half")
    reopened(tmp_path)
    assert not file.with_suffix(".tmp").exists()


def test_a_removed_folder_is_a_miss(store, file):
    file.unlink()
    file.parent.rmdir()
    assert store.get(KEY) is None
    store.put(BLOCK, Part.LASTING, PAYLOAD, ROOT)
    assert store.get(KEY) is not None


def test_a_folder_that_cannot_be_written_fails_the_write_and_keeps_the_rest(store, file, tmp_path):
    blocked = CacheBlock.after(ROOT, 0, pack([77]))
    (tmp_path / blocked.hash[:2]).write_text("a file where a folder should be")
    with pytest.raises(OSError, match=r"Not a directory|File exists"):
        store.put(blocked, Part.LASTING, PAYLOAD, ROOT)
    assert store.get(KEY) is not None


def test_a_second_process_is_told_that_the_folder_is_taken(tmp_path):
    hold = (
        "import sys; from pathlib import Path; from agent_memory.adapters.disk.blocks import owned\n"
        "with owned(Path(sys.argv[1])): print('held', flush=True); input()"
    )
    command = [sys.executable, "-c", hold, str(tmp_path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        process.stdout.readline()
        with pytest.raises(Misconfigured, match="another process uses the cache folder"), owned(tmp_path):
            pass
        process.communicate(b"\n")
    with owned(tmp_path):
        pass
