"""One agent as one file: whole, or refused."""

import hashlib
import io
import random
import tarfile
from datetime import UTC, datetime

import pytest

from agent_memory.adapters.disk.bundle import TarBundleFormat
from agent_memory.domain.errors import InvalidInput
from agent_memory.domain.kv.agents import Agent, AgentName
from agent_memory.domain.kv.block import CacheBlock, Namespace, Part, pack
from agent_memory.ports.agents import Origin
from agent_memory.ports.kv import Buffer, BytesPayload

pytestmark = pytest.mark.integration
ORIGIN = Origin("model", "spec")
ROOT = Namespace("tenant", *ORIGIN).root
NOW = datetime(2026, 11, 20, tzinfo=UTC)
ADA = Agent(AgentName("tenant", "ada@example.org/東京"), NOW, NOW, tokens=5)


def blocks():
    first = CacheBlock.after(ROOT, 0, pack([1, 2, 3, 4]))
    return [first, CacheBlock.after(first.hash, 4, pack([5]))]


def payload(fill):
    return BytesPayload(
        {"keys": Buffer("U8", (300,), bytes([fill]) * 300), "x": Buffer("F16", (2, 3), b"abcdefghijkl")}
    )


@pytest.fixture(scope="module")
def whole():
    writer = TarBundleFormat().write(ORIGIN)
    one, two = blocks()
    parts = [
        writer.part(one, Part.LASTING, payload(1)),
        writer.part(two, Part.LASTING, payload(2)),
        writer.part(two, Part.LOCAL, payload(3)),
    ]
    return b"".join(parts) + writer.finish(ADA, ROOT)


def read(data):
    return TarBundleFormat().read(io.BytesIO(data))


def test_what_was_written_is_read(whole):
    bundle = read(whole)
    assert (bundle.manifest.agent_id, bundle.manifest.tokens, bundle.manifest.root) == (ADA.name.id, 5, ROOT)
    assert (bundle.manifest.origin, bundle.manifest.nbytes) == (ORIGIN, 3 * 312)
    found = [(block, part, held.buffers()["keys"].data[0]) for block, part, held in bundle.parts()]
    one, two = blocks()
    assert found == [(one, Part.LASTING, 1), (two, Part.LASTING, 2), (two, Part.LOCAL, 3)]


def test_every_flipped_byte_is_refused(whole):
    dice = random.Random(0)
    for at in range(len(whole)):
        damaged = bytearray(whole)
        damaged[at] ^= 1 << dice.randrange(8)
        with pytest.raises(InvalidInput, match="digest does not match"):
            read(bytes(damaged))


def test_every_cut_is_refused(whole):
    for length in range(0, len(whole), 37):
        with pytest.raises(InvalidInput, match="digest does not match"):
            read(whole[:length])
    with pytest.raises(InvalidInput):
        read(whole + b"\0")


@pytest.mark.parametrize("data", [b"", b"hello", b"\0" * 10_000, b"x" * 4096])
def test_what_is_no_bundle_is_refused(data):
    with pytest.raises(InvalidInput, match="no bundle of an agent"):
        read(data)


def test_any_tar_lists_it(whole):
    with tarfile.open(fileobj=io.BytesIO(whole)) as tar:
        assert [name.split(".")[-1] for name in tar.getnames()] == ["safetensors"] * 3 + ["json", "sha256"]


def sealed(*members):
    from agent_memory.adapters.disk import bundle

    writer = TarBundleFormat().write(ORIGIN)
    body = b"".join(writer._next(name, data) for name, data in members)
    return body + bundle._seal(writer._digest.hexdigest())


@pytest.mark.parametrize(
    ("manifest", "told"),
    [
        (b"{}", "no bundle of an agent"),
        (b'{"format": "other", "version": 1}', "its format is 'other'"),
        (b'{"format": "agent-memory-agent", "version": 2}', "it has version 2"),
        (b"[1]", "no bundle of an agent"),
        (b"no json", "no bundle of an agent"),
    ],
)
def test_a_sealed_file_of_something_else_is_refused_too(manifest, told):
    with pytest.raises(InvalidInput, match=told):
        read(sealed(("manifest.json", manifest)))


def test_a_part_that_is_missing_is_noticed(whole):
    writer = TarBundleFormat().write(ORIGIN)
    writer.part(blocks()[0], Part.LASTING, payload(1))
    writer._digest = hashlib.sha256()  # as if the part had never been written
    with pytest.raises(InvalidInput, match="holds 0 parts of 1"):
        read(writer.finish(ADA, ROOT))
