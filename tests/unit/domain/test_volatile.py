"""What changes in every system prompt does not change what comes before it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent_memory.domain.chat import Message, ToolCall
from agent_memory.domain.volatile import steadied

ASK = Message("user", "What now?")
RULES = "You are an agent.\nBe brief."
BILLING = "x-anthropic-billing-header: cc_version=2.1.100.7b4; cc_entrypoint=cli; cch=eb6c6;"


def system(*parts):
    return Message("system", "\n\n".join(parts))


@pytest.mark.parametrize("header", [BILLING, BILLING + " cc_workload=x;", "X-Anthropic-Attribution: abc"])
def test_a_pseudo_header_says_nothing_to_a_model(header):
    assert steadied([system(header, RULES), ASK]) == (system(RULES), ASK)
    assert steadied([system(f"{header}\n{RULES}"), ASK]) == (system(RULES), ASK)


def test_a_system_prompt_of_nothing_else_is_gone():
    assert steadied([Message("system", BILLING), system(RULES), ASK]) == (system(RULES), ASK)


MOMENTS = [
    "Current date and time: Monday, March 9, 2026 at 06:00:31 PM PDT",
    "The current date and time is 2026-11-21 03:12.",
    "Current time: 2026-11-21T03:12:58Z",
    "## Current Time\n2026-11-21 03:12 (Saturday)",
    "- **Current Date/Time:** 21 November 2026, 03:12",
    "Current local time: 03:12",
    "Current time (UTC): 03:12",
]

SESSIONS = [
    "<env>\nWorking directory: /home/ada/work\nIs directory a git repo: Yes\nToday's date: 2026-11-21\n</env>",
    "Today's date: Sat Nov 21 2026",
    "Today\N{RIGHT SINGLE QUOTATION MARK}s date is 2026-11-21.",
    "Today is 2026-11-21, and the current working directory is '/tmp/a'.",
    "Current date: 2026-11-21",
    " - Primary working directory: /home/ada/work",
    "Current working directory: /tmp/a",
    "Session ID: 20261121_031258_ab12",
    "- CONVERSATION_ID: 1f0c",
    "Conversation started: Saturday, November 21, 2026",
]


@pytest.mark.parametrize("moment", MOMENTS)
def test_what_holds_for_a_moment_comes_last(moment):
    told = steadied([system(RULES, moment, "Use tools."), ASK])
    assert told[0] == Message("system", RULES + "\n\n\nUse tools.")
    assert told[1:] == (Message("user", f"What now?\n\n{moment}"),)


@pytest.mark.parametrize("session", SESSIONS)
def test_what_holds_for_a_session_ends_the_system_prompt(session):
    told = steadied([system(RULES, session, "Use tools."), ASK])
    assert told[0].content.startswith(RULES)
    assert told[0].content.endswith(f"Use tools.\n\n{session}")
    assert told[1:] == (ASK,)


def test_of_several_system_messages_the_last_takes_it():
    told = steadied([Message("system", SESSIONS[0]), system(RULES), ASK])
    assert told == (system(RULES, SESSIONS[0]), ASK)


def test_among_calls_a_moment_follows_the_newest_result():
    call = Message("assistant", "", calls=(ToolCall("c", "f", "{}"),))
    told = steadied([system(RULES, MOMENTS[0]), ASK, call, Message("tool", "42", call_id="c")])
    assert told[-1] == Message("tool", f"42\n\n{MOMENTS[0]}", call_id="c")


def test_a_system_prompt_alone_keeps_its_moment():
    assert steadied([system(RULES, MOMENTS[0])]) == (system(RULES, MOMENTS[0]),)


@pytest.mark.parametrize(
    "content",
    [
        "Say what the current time is when asked.",
        "We meet today at noon. The working directory matters.",
        "Use x-anthropic-billing-header: never.",
        "The session identifies the user.",
        "  indented\n\n\ttabbed\n\n",
        "Today's dates are ripe.",
        "Current times are hard:\nbe kind.",
    ],
)
def test_prose_is_left_as_it_is(content):
    given = (Message("system", content), ASK)
    assert steadied(given) == given


@pytest.mark.parametrize("content", [BILLING, *MOMENTS, *SESSIONS])
def test_what_people_say_is_never_touched(content):
    given = (system(RULES), Message("user", content), Message("system", content), ASK)
    assert steadied(given) == given


@pytest.mark.parametrize(
    ("one", "other"), [(BILLING, BILLING.replace("eb6c6", "aaaaa")), (SESSIONS[0], ""), (MOMENTS[0], "")]
)
def test_two_requests_that_differ_in_it_begin_alike(one, other):
    first, second = (steadied([system(*filter(None, (each, RULES))), ASK])[0].content for each in (one, other))
    assert first.startswith(RULES)
    assert second.startswith(RULES)


_PARTS = st.lists(st.sampled_from([RULES, BILLING, *MOMENTS, *SESSIONS, "", "text\n", "\n- item"]), max_size=6)


@given(_PARTS, st.sampled_from(["\n", "\n\n"]))
def test_done_twice_nothing_changes_and_nothing_but_headers_is_lost(parts, glue):
    messages = [Message("system", glue.join(parts)), ASK]
    once = steadied(messages)
    system_again = steadied(once)
    assert system_again == once
    words = sorted(word for part in parts if part != BILLING for word in part.split())
    told = "\n".join(message.content for message in once)
    assert sorted(told.replace(ASK.content, "").split()) == words


def test_a_long_prompt_takes_no_time():
    content = "current date and time\n" * 20_000 + "<env>\n" * 2_000
    assert steadied([Message("system", content), ASK])
