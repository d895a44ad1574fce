import asyncio
import base64
import errno
import io
import json
import math
from array import array
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest
from spools import entries_of

from agent_memory.adapters.in_memory.archive import InMemoryMemoryArchive
from agent_memory.adapters.in_memory.embedder import HashingEmbedder
from agent_memory.adapters.in_memory.memories import InMemoryMemoryStore
from agent_memory.application.memory_keeping import MemoryKeeping
from agent_memory.application.sources import lines_in
from agent_memory.application.transfer import Transfer
from agent_memory.domain.errors import Forbidden, InvalidInput, Unavailable
from agent_memory.domain.semantic.jsonl import LONGEST_LINE
from agent_memory.domain.semantic.memory import Condensing, Embedding, Memory, MemoryId, MemoryType, Scope
from agent_memory.domain.tenants import Reach

SCOPE = Scope("agent", "user")
START = datetime(2026, 1, 1, tzinfo=UTC)


def place(embedder=None):
    archive = InMemoryMemoryArchive(InMemoryMemoryStore())
    return archive, Transfer(archive, embedder or HashingEmbedder())


def vector(value):
    return base64.b64encode(array("f", [value] * 384).tobytes()).decode()


async def stream(lines):
    for line in lines:
        yield line


async def exported(transfer):
    return [line async for line in transfer.export(agent_id="agent", user_id="user")]


async def filled(number=3):
    archive, transfer = place()
    memories = [
        Memory(
            MemoryId(uuid4()), SCOPE, f"nümber {n}\n", START + n * timedelta(microseconds=1), MemoryType.SEMANTIC,
            importance=0.5, tags=frozenset({"b", "a"}), metadata={"n": [n, None]}, expires_at=START,
        )
        for n in range(number)
    ]  # fmt: skip
    memories[0] = replace(memories[0], superseded_by=memories[1].id, superseded_at=START, version=4)
    memories[0] = replace(memories[0], revised_at=START + timedelta(days=1))
    memories[1] = replace(memories[1], condensing=Condensing.SUMMARY)
    embeddings = await HashingEmbedder().embed([memory.content for memory in memories])
    await archive.add_many(list(zip(memories, embeddings, strict=True)))
    return archive, transfer


async def test_what_goes_out_comes_in_unchanged():
    source, out = await filled(450)  # more than one commit of each
    target, into = place()
    arrival = await into.load(stream(await exported(out)))
    assert (arrival.kept, arrival.known, arrival.conflicting, arrival.refused) == (450, 0, 0, [])
    assert await entries_of(target, SCOPE) == await entries_of(source, SCOPE)


async def test_a_line_is_one_for_whoever_splits_lines():
    ends = "".join(map(chr, [*range(1, 32), 0x7F, 0x85, 0x2028, 0x2029]))
    memory = Memory(MemoryId(uuid4()), SCOPE, f"a{ends}b", START, tags=frozenset({ends}), metadata={ends: [ends]})
    archive, out = place()
    await archive.add_many([(memory, (await HashingEmbedder().embed([memory.content]))[0])])
    [line] = await exported(out)
    assert line.splitlines() == [line]
    for told in (line, json.dumps(json.loads(line), ensure_ascii=False)):  # escaped, or as others write it
        target, into = place()
        assert (await into.load(stream([told]))).kept == 1
        assert [kept for kept, _ in await entries_of(target, SCOPE)] == [memory]


def changed(line, **fields):
    return json.dumps(json.loads(line) | fields)


async def test_an_id_that_is_known_with_another_content_is_told_by_its_line(monkeypatch):
    source, out = await filled(3)
    first, second, third = await exported(out)
    before = await entries_of(source, SCOPE)
    lines = [changed(first, content="other"), second, "", "nonsense", changed(third, user_id="bob")]
    arrival = await out.load(stream(lines))
    assert (arrival.kept, arrival.known, arrival.conflicting) == (0, 1, 2)
    assert [number for number, _ in arrival.conflicts] == [1, 5]
    assert json.loads(first)["id"] in arrival.conflicts[0][1]
    assert [number for number, _ in arrival.refused] == [4]
    assert await entries_of(source, SCOPE) == before
    monkeypatch.setattr("agent_memory.application.transfer._MOST_NAMED", 1)
    arrival = await out.load(stream(lines))
    assert (arrival.conflicting, [number for number, _ in arrival.conflicts]) == (2, [1])


async def test_what_else_differs_of_a_known_memory_is_no_conflict():
    _, out = await filled(2)
    line, _ = await exported(out)
    other = {"importance": 2, "tags": [], "metadata": {}, "version": 9, "superseded_at": None, "superseded_by": None}
    arrival = await out.load(stream([changed(line, **other)]))
    assert (arrival.known, arrival.conflicting) == (1, 0)


async def test_of_two_lines_of_one_id_the_first_is_kept():
    _, out = await filled(2)
    line, _ = await exported(out)
    target, into = place()
    arrival = await into.load(stream([line, changed(line, content="other"), line]))
    assert (arrival.kept, arrival.known, [number for number, _ in arrival.conflicts]) == (1, 1, [2])
    assert len(await entries_of(target, SCOPE)) == 1


COUNTED = {"memories": 2, "from": "2026-01-01T00:00:00+00:00", "until": "2026-01-02T00:00:00+00:00"}
SEMANTIC = {"memory_type": "semantic"}


async def told_by(change):
    """What becomes of a line of before there was the field, with this change."""
    _, out = await filled(2)
    line, _ = await exported(out)
    fields = json.loads(line) | {"tags": ["condensed"]} | change
    target, into = place()
    if "condensing" not in change:
        del fields["condensing"]
    await into.load(stream([json.dumps(fields)]))
    [(memory, _)] = await entries_of(target, SCOPE)
    return memory


@pytest.mark.parametrize(
    ("change", "condensing", "left"),
    [
        (SEMANTIC | {"metadata": {"condensed": COUNTED}}, Condensing.SUMMARY, {"condensed": COUNTED}),
        ({"memory_type": "episodic", "metadata": {"condensed": "restored", "n": 1}}, Condensing.RESTORED, {"n": 1}),
        (SEMANTIC | {"metadata": {"condensed": "restored"}}, None, {"condensed": "restored"}),
        (SEMANTIC | {"metadata": {"condensed": {"memories": 3}}}, None, {"condensed": {"memories": 3}}),
        (SEMANTIC | {"metadata": {"condensed": COUNTED}, "tags": []}, None, {"condensed": COUNTED}),
        ({"memory_type": "episodic", "metadata": {"condensed": COUNTED}}, None, {"condensed": COUNTED}),
    ],
)
async def test_exports_of_before_tell_by_the_metadata_what_condensing_knows(change, condensing, left):
    memory = await told_by(change)
    assert (memory.condensing, memory.metadata) == (condensing, left)


@pytest.mark.parametrize("own", ["restored", COUNTED])
@pytest.mark.parametrize("kind", ["episodic", "semantic"])
async def test_exports_of_now_do_not(own, kind):
    memory = await told_by({"memory_type": kind, "metadata": {"condensed": own}, "condensing": None})
    assert (memory.condensing, memory.metadata) == (None, {"condensed": own})


async def test_coming_in_twice_changes_nothing():
    _, out = await filled()
    lines = await exported(out)
    _, into = place()
    await into.load(stream(lines))
    arrival = await into.load(stream(lines))
    assert (arrival.kept, arrival.known) == (0, 3)


async def test_what_has_expired_here_makes_room_for_what_comes_in():
    source, out = await filled(2)
    line, over = await exported(out)
    lines = [changed(line, content="renewed", expires_at="9999-01-01T00:00:00Z"), changed(over, content="over again")]
    arrival = await out.load(stream(lines))
    assert (arrival.kept, arrival.known, [number for number, _ in arrival.conflicts]) == (1, 0, [2])
    assert [memory.content for memory, _ in await entries_of(source, SCOPE)] == ["renewed", json.loads(over)["content"]]


async def test_vectors_of_another_model_are_made_anew():
    _, out = await filled()
    target, into = place(HashingEmbedder(16))
    await into.load(stream(await exported(out)))
    entries = await entries_of(target, SCOPE)
    assert {(embedding.model, len(embedding.vector)) for _, embedding in entries} == {("hashing-16", 16)}


@pytest.mark.parametrize(("value", "kept"), [(0, 0), (7, 384**-0.5), (3e38, 384**-0.5)])
async def test_vectors_of_any_length_are_kept_in_their_direction(value, kept):
    """As earlier versions wrote them, of an embedder that does not scale them."""
    _, out = await filled(2)
    _, line = await exported(out)
    target, into = place()
    assert (await into.load(stream([json.dumps(json.loads(line) | {"embedding": vector(value)})]))).kept == 1
    [(_, embedding)] = await entries_of(target, SCOPE)
    assert embedding.vector.tolist() == pytest.approx([kept] * 384)
    assert [json.loads(again)["embedding"] for again in await exported(into)] == [vector(embedding.vector[0])]


async def test_a_line_needs_no_more_than_id_scope_content_and_time():
    bare = {
        "id": str(uuid4()),
        "agent_id": "agent",
        "user_id": "user",
        "content": "x",
        "created_at": "2026-01-01T00:00Z",
    }
    target, into = place()
    assert (await into.load(stream([json.dumps(bare), "", "\n"]))).kept == 1
    [(memory, _)] = await entries_of(target, SCOPE)
    assert (memory.content, memory.memory_type, memory.version) == ("x", MemoryType.EPISODIC, 1)
    assert memory.updated_at == START


@pytest.mark.parametrize("unnamed", [{}, {"agent_id": None, "user_id": None}])
async def test_a_line_that_names_nobody_is_of_whom_the_import_is_about(unnamed):
    _, out = await filled(2)
    line = json.loads((await exported(out))[0])
    bare = {name: value for name, value in line.items() if name not in {"agent_id", "user_id"}} | unnamed
    lines = [json.dumps(bare | {"id": str(uuid4())} | named) for named in ({}, {"agent_id": "own"}, {"user_id": "own"})]
    target, into = place()
    arrival = await into.load(stream([*lines, json.dumps(line)]), agent_id="guide", user_id="ada")
    assert (arrival.kept, arrival.refusals) == (4, 0)
    for scope in (Scope("guide", "ada"), Scope("own", "ada"), Scope("guide", "own"), SCOPE):
        assert len(await entries_of(target, scope)) == 1
    arrival = await into.load(stream(lines), agent_id="guide")
    assert [number for number, _ in arrival.refused] == [1, 2]
    assert (await into.load(stream(lines))).refusals == 3


async def test_whom_an_import_is_about_is_checked_before_it_is_read():
    _, into = place()
    for wrong in ({"agent_id": ""}, {"user_id": "x" * 129}):
        with pytest.raises(InvalidInput, match=next(iter(wrong))):
            await into.load("no such file", **wrong)
    bound = into.within(Reach("acme", agent_id="guide"))
    with pytest.raises(Forbidden):
        await bound.load("no such file", agent_id="another")


@pytest.mark.parametrize(("told", "known"), [(timedelta(hours=1),) * 2, (timedelta(0), None), (-timedelta(1), None)])
async def test_nothing_was_updated_before_it_was_kept(told, known):
    _, out = await filled(2)
    line = json.loads((await exported(out))[0]) | {"updated_at": (START + told).isoformat()}
    target, into = place()
    await into.load(stream([json.dumps(line)]))
    [(memory, _)] = await entries_of(target, SCOPE)
    assert (memory.revised_at, memory.updated_at) == (known and START + known, START + (known or timedelta(0)))


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"id": "x"}, "id: must be a UUID"), ({"superseded_by": str(uuid4())}, "superseded_at"),
        ({"content": ""}, "content"), ({"content": 5}, "must be a text"),
        ({"created_at": "yesterday"}, "created_at: must be a time in ISO 8601, is 'yesterday'"),
        ({"created_at": "2026-01-01"}, "time zone"), ({"created_at": None}, "created_at: is missing"),
        ({"updated_at": "2026-01-02"}, "updated_at: needs a time zone"),
        ({"updated_at": 5}, "updated_at: must be a time"), ({"expires_at": {}}, "expires_at: must be a time"),
        ({"importance": 9}, "importance"), ({"memory_type": "odd"}, "memory_type"), ({"tags": [5]}, "must be a text"),
        ({"condensing": "odd"}, "condensing"), ({"condensing": ["summary"]}, "condensing"),
        ({"metadata": []}, "metadata"), ({"embedding": "!"}, "embedding: must be 32-bit floats in base64"),
        ({"embedding": "AAA="}, "embedding: must be"), ({"embedding": [1.0]}, "embedding: must be"),
        ({"importance": "1"}, "must be a number"), ({"importance": True}, "must be a number"),
        ({"tags": "ab"}, "is one text"), ({"version": 1.5}, "version: must be a whole number"),
        ({"version": 0}, "version: must be 1 to"), ({"version": 2**31}, "version: must be 1 to"),
        ({"version": 2**31 - 1}, "version: must be 1 to 1073741824, is 2147483647"),
        ({"embedding": vector(math.nan)}, "not finite"), ({"embedding": vector(math.inf)}, "not finite"),
    ],
)  # fmt: skip
async def test_a_line_that_is_no_memory_is_refused_by_its_number(change, says):
    _, out = await filled(2)
    good, other = await exported(out)
    _, into = place()
    arrival = await into.load(stream([good, json.dumps(json.loads(other) | change), "nonsense", "[]"]))
    assert arrival.kept == 1
    assert [number for number, _ in arrival.refused] == [2, 3, 4]
    assert says in arrival.refused[0][1]


async def test_what_comes_in_at_the_latest_version_can_be_revised():
    _, out = await filled(2)
    _, line = await exported(out)
    target, into = place()
    assert (await into.load(stream([changed(line, version=2**30, expires_at=None)]))).kept == 1
    keeping = MemoryKeeping(target, HashingEmbedder())
    revised = await keeping.revise(json.loads(line)["id"], agent_id="agent", content="anew")
    assert (revised.content, revised.version) == ("anew", 2**30 + 1)


async def test_pieces_of_another_file_are_refused_by_their_number_and_keep_no_other_out():
    _, out = await filled(4)
    lines = await exported(out)

    def broken():
        yield lines[2]
        raise InvalidInput("entry", "is odd")

    target, into = place()
    arrival = await into.load_pieces(stream([lines[:2], [], ["nonsense", lines[3]], broken()]))
    assert (arrival.kept, arrival.refused) == (4, [(3, "line: is not JSON"), (4, "entry: is odd")])
    assert len(await entries_of(target, SCOPE)) == 4


async def test_whatever_is_no_memory_keeps_nothing_else_out():
    _, out = await filled(450)
    _, into = place()
    nonsense = ["nonsense"] * 1001
    arrival = await into.load(stream([*nonsense, *await exported(out), *nonsense]))
    assert (arrival.kept, arrival.refusals, len(arrival.refused)) == (450, 2002, 1000)
    assert [arrival.refused[0], arrival.refused[-1]] == [(n, "line: is not JSON") for n in (1, 1000)]


@pytest.mark.parametrize("size", [1, 2, 3, 1000])
async def test_lines_are_the_same_however_they_are_cut_into_chunks(size):
    body = "one\n\ntwö\r\nthree\n".encode()
    chunks = [body[start : start + size] for start in range(0, len(body), size)]
    assert [line async for line in lines_in(stream(chunks))] == ["one", "", "twö\r", "three", ""]
    assert [line async for line in lines_in(stream([]))] == [""]


@pytest.mark.parametrize("letter", ["x", "\U0001f98a"])
async def test_a_line_without_end_is_refused_by_its_number_and_never_held(letter):
    _, out = await filled(2)
    good, _ = await exported(out)
    long = json.dumps(json.loads(good) | {"id": str(uuid4()), "more": letter * (6 * LONGEST_LINE)}, ensure_ascii=False)
    chunks = [f"{good}\n".encode(), *(long[at : at + 100_000].encode() for at in range(0, len(long), 100_000))]
    lines = [line async for line in lines_in(stream([*chunks, f"\n{good}".encode()]))]
    assert LONGEST_LINE < len(lines[1]) <= 4 * LONGEST_LINE + 1
    _, into = place()
    arrival = await into.load(stream(lines))
    assert (arrival.kept, arrival.known) == (1, 1)
    assert arrival.refused == [(2, "line: must have at most 1000000 characters")]


async def test_a_line_that_is_no_utf8_is_refused_and_no_text_is_changed():
    _, out = await filled(2)
    good, other = await exported(out)
    broken = json.dumps(json.loads(other) | {"content": "caf?"}).encode().replace(b"caf?", b"caf\xe9")
    target, into = place()
    arrival = await into.load(lines_in(stream([broken + b"\n", good.encode()])))
    assert (arrival.kept, [number for number, _ in arrival.refused]) == (1, [1])
    assert "line: is not valid UTF-8 at character" in arrival.refused[0][1]
    [(memory, _)] = await entries_of(target, SCOPE)
    assert memory.content == json.loads(good)["content"]


async def test_the_mark_that_begins_some_files_costs_no_line():
    _, out = await filled(2)
    line, _ = await exported(out)
    for sent in (line, ""):
        _, into = place()
        arrival = await into.load(lines_in(stream([b"\xef\xbb\xbf", sent.encode(), b"\n"])))
        assert (arrival.kept, arrival.refused) == (1 if sent else 0, [])


class Scripted:
    """An archive that hands over by a script, a step in each turn of the loop."""

    def __init__(self, *steps):
        self.steps = steps

    async def spool(self, scope, spool):
        for step in self.steps:
            await asyncio.sleep(0)
            step(spool)


async def lines_from(*steps):
    transfer = Transfer(Scripted(*steps), HashingEmbedder())
    return [json.loads(line)["content"] async for line in transfer.export(agent_id="agent", user_id="user")]


def adding(*contents):
    embedding = Embedding("m", array("f", [1.0]))
    entries = [(Memory(MemoryId(uuid4()), SCOPE, content, START), embedding) for content in contents]
    return lambda spool: spool.add(entries)


def clear(spool):
    spool.clear()


def pause(spool):
    del spool


async def test_what_comes_is_read_while_more_is_to_come():
    assert await lines_from(clear, adding("a", "b\n"), pause, pause, adding("ü"), adding()) == ["a", "b\n", "ü"]
    assert await lines_from(clear) == []


async def test_what_nobody_has_read_may_begin_anew():
    def add_and_clear(spool):
        adding("a")(spool)
        spool.clear()

    assert await lines_from(clear, add_and_clear, adding("b")) == ["b"]


async def test_what_was_read_does_not_begin_anew():
    with pytest.raises(Unavailable, match="the database was away"):
        await lines_from(clear, adding("a"), pause, pause, clear)


class Full(io.BytesIO):
    def flush(self):
        raise OSError(errno.ENOSPC, "No space left on device")


def nowhere():
    raise FileNotFoundError(errno.ENOENT, "No usable temporary directory found")


@pytest.mark.parametrize(("file", "says"), [(Full, "No space left on device"), (nowhere, "No usable temporary")])
async def test_an_export_that_has_no_room_says_so(monkeypatch, file, says):
    monkeypatch.setattr("agent_memory.application.transfer.TemporaryFile", file)
    with pytest.raises(Unavailable, match=f"an export has no room for its temporary file: {says}"):
        await lines_from(clear, adding("a"))


async def test_an_export_that_is_given_up_ends():
    ended = []

    class Endless:
        async def spool(self, scope, spool):
            adding("0")(spool)
            try:
                await asyncio.Event().wait()
            finally:
                ended.append(True)

    lines = Transfer(Endless(), HashingEmbedder()).export(agent_id="agent", user_id="user")
    assert json.loads(await anext(lines))["content"] == "0"
    await lines.aclose()
    await asyncio.sleep(0)
    assert ended


async def test_two_exports_are_read_out_at_a_time():
    reading, most = 0, []

    class Slow:
        async def spool(self, scope, spool):
            nonlocal reading
            reading += 1
            most.append(reading)
            await asyncio.sleep(0.01)
            reading -= 1

    transfer = Transfer(Slow(), HashingEmbedder())

    async def read():
        return [line async for line in transfer.export(agent_id="agent", user_id="user")]

    assert await asyncio.gather(*(read() for _ in range(7))) == [[]] * 7
    assert (max(most), len(most)) == (2, 7)


ENTRIES = [
    {"id": "1", "memory": "Ada likes tea", "user_id": "ada"},
    {"memory": ""},
    {"id": "3", "memory": "Bj\u00f6rk sings"},
]
MEM0 = json.dumps({"results": ENTRIES}, ensure_ascii=False, indent=1)
MCP = """{"type": "entity", "name": "Ada", "entityType": "person", "observations": ["sings", "r\u00fcns"]}
nonsense
{"type": "relation", "from": "Ada", "to": "Bob", "relationType": "knows"}
"""


def given_as(kind, text, folder):
    """The same text, as somebody may have it."""
    path = folder / "file"
    path.write_text(text, encoding="utf-8")
    lines = text.splitlines(keepends=True)
    return {
        "path": path,
        "name of a path": str(path),
        "text file": io.StringIO(text),
        "file of bytes": io.BytesIO(text.encode()),
        "lines": lines,
        "lines without ends": text.splitlines(),
        "lines of bytes": [line.encode() for line in lines],
        "lines that are made": (line for line in lines),
        "lines that come": stream(lines),
    }[kind]


KINDS = [
    "path", "name of a path", "text file", "file of bytes", "lines", "lines without ends",
    "lines of bytes", "lines that are made", "lines that come",
]  # fmt: skip


@pytest.mark.parametrize("kind", KINDS)
async def test_files_are_the_same_however_they_are_given(kind, tmp_path):
    _, out = await filled()
    ours = "".join(f"{line}\n" for line in await exported(out))
    target, into = place()
    assert (await into.load(given_as(kind, ours, tmp_path))).kept == 3
    assert {memory.content for memory, _ in await entries_of(target, SCOPE)} == {f"n\u00fcmber {n}\n" for n in range(3)}
    arrival = await into.load_mcp(given_as(kind, MCP, tmp_path), agent_id="guide", user_id="ada")
    assert (arrival.kept, arrival.refused) == (3, [(2, "line: is not JSON")])
    told = await entries_of(target, Scope("guide", "ada"))
    assert {memory.content for memory, _ in told} == {"Ada: sings", "Ada: r\u00fcns", "Ada knows Bob"}
    arrival = await into.load_mem0(given_as(kind, MEM0, tmp_path), agent_id="guide", user_id="bob")
    assert (arrival.kept, arrival.refused) == (2, [(2, "memory: must have 1 to 8000 characters, has 0")])
    assert [memory.content for memory, _ in await entries_of(target, Scope("guide", "bob"))] == ["Bj\u00f6rk sings"]
    arrival = await into.load_mem0(given_as(kind, MEM0, tmp_path), agent_id="guide", user_id="bob")
    assert (arrival.kept, arrival.known) == (0, 2)


async def test_a_path_is_closed_and_a_file_stays_open(tmp_path):
    _, into = place()
    with given_as("path", MEM0, tmp_path).open("rb") as file:
        assert (await into.load_mem0(file)).kept == 2
        assert not file.closed
    with pytest.raises(FileNotFoundError):
        await into.load_mem0(tmp_path / "none")


async def test_the_entries_of_many_pages_are_counted_through():
    _, into = place()
    pages = [{"results": ENTRIES[:1]}, {"results": [5, *ENTRIES[2:]]}]
    arrival = await into.load_mem0([json.dumps(pages)])
    assert (arrival.kept, arrival.refused) == (2, [(2, "entry: is not a JSON object")])


async def test_what_comes_before_the_place_where_an_export_of_mem0_breaks_is_kept():
    _, into = place()
    arrival = await into.load_mem0([MEM0[:-20]])
    assert (arrival.kept, [number for number, _ in arrival.refused]) == (1, [2, 3])
    assert arrival.refused[-1][1].startswith("document: is not JSON from character")
    with pytest.raises(InvalidInput, match="document: has no list"):
        await into.load_mem0(["{}"])


async def test_an_entry_of_mem0_that_is_no_utf8_keeps_no_other_out():
    _, into = place()
    body = b'[{"memory": "caf\xe9"}, {"memory": "caf\xc3\xa9"}]'
    arrival = await into.load_mem0(io.BytesIO(body))
    assert (arrival.kept, arrival.refused) == (1, [(1, "entry: is not valid UTF-8")])


async def test_lines_may_be_made_by_who_waits_for_the_loop():
    _, into = place()
    loop = asyncio.get_running_loop()

    def lines():
        yield asyncio.run_coroutine_threadsafe(asyncio.sleep(0, MEM0), loop).result(5)

    assert (await into.load_mem0(lines())).kept == 2
