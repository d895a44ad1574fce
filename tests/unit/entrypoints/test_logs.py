"""Log lines are one line each, whoever writes them, and carry the request's id."""

import logging

import pytest
import structlog

from agent_memory.entrypoints.logs import configure_logs


@pytest.fixture(autouse=True)
def _as_before():
    root = logging.getLogger()
    handlers, level = root.handlers, root.level
    yield
    root.handlers, root.level = handlers, level
    structlog.reset_defaults()


def test_both_ways_of_logging_look_the_same(capsys):
    configure_logs("INFO")
    with structlog.contextvars.bound_contextvars(request_id="r1"):
        logging.getLogger("library").info("one %s", "thing")
        structlog.get_logger("ours").info("another", detail=2)
    first, second = capsys.readouterr().err.splitlines()
    for line, event in ((first, 'event="one thing"'), (second, "event=another")):
        assert "level=info" in line
        assert event in line
        assert "request_id=r1" in line


def test_an_error_tells_its_traceback(capsys):
    configure_logs("INFO")
    try:
        int("broken")
    except ValueError:
        logging.getLogger("library").exception("failed")
    [line] = capsys.readouterr().err.splitlines()
    assert "ValueError: invalid literal" in line


def test_what_is_below_the_level_is_not_told(capsys):
    configure_logs("WARNING")
    logging.getLogger("library").info("quiet")
    assert capsys.readouterr().err == ""
