"""Every error has its row, and both shapes say the same thing."""

import re
from pathlib import Path

import pytest
from litestar.exceptions import HTTPException, ValidationException

from agent_memory.application.prompt import ContextExceeded
from agent_memory.domain import errors
from agent_memory.entrypoints.http.problems import (
    HTTP_KINDS,
    INTERNAL,
    KINDS,
    MODEL_NOT_FOUND,
    fault_of,
    openai_error,
    openai_status,
    problem,
)
from agent_memory.entrypoints.http.wire.openai import ErrorBody
from agent_memory.entrypoints.http.wire.problems import FieldProblem


def leaves(root=errors.AgentMemoryError):
    below = [child for child in root.__subclasses__() if child.__module__ == errors.__name__]
    return [leaf for child in below for leaf in leaves(child)] if below else [root]


def test_every_leaf_of_the_error_tree_is_in_the_table():
    assert {*leaves(), errors.Conflict} == set(KINDS)  # which is raised itself, too


def test_the_types_of_problems_are_told_apart():
    slugs = [kind.slug for kind in KINDS.values() if kind.slug != "internal"]
    assert len(set(slugs)) == len(slugs)


def test_a_field_in_the_body_is_told_by_pointer():
    fault = fault_of(errors.InvalidInput("messages[0].role", "unheard of"))
    told = problem(fault, path="/v1/memories", request_id="r1", in_body=True)
    assert (told.status, told.request_id) == (422, "r1")
    assert told.errors == [FieldProblem(detail="messages[0].role: unheard of", pointer="#/messages/0/role")]


def test_a_parameter_is_told_by_name():
    fault = fault_of(errors.InvalidInput("agent_id", "too long"))
    told = problem(fault, path="/v1/memories/count", request_id="r1", in_body=False)
    assert told.errors == [FieldProblem(detail="agent_id: too long", parameter="agent_id")]


@pytest.mark.parametrize(
    ("field", "pointer"),
    [
        ("a/b", "#/a~1b"),
        ("~", "#/~0"),
        ("tags[12]", "#/tags/12"),
        ("x y", "#/x%20y"),
        ("é", "#/%C3%A9"),
        ("a[0][1].b", "#/a/0/1/b"),
    ],
)
def test_a_pointer_keeps_to_its_rfc(field, pointer):
    told = problem(fault_of(errors.InvalidInput(field, "wrong")), path="/", request_id="r1", in_body=True)
    assert told.errors[0].pointer == pointer


def test_the_page_of_errors_has_every_row_and_no_other():
    page = (Path(__file__).parents[4] / "docs" / "errors.md").read_text()
    told = re.findall(r"^\| `urn:agent-memory:problem:([a-z-]+)` \| (\d+) \| ([^|]+) \|", page, re.MULTILINE)
    kinds = {*KINDS.values(), *HTTP_KINDS.values(), INTERNAL, MODEL_NOT_FOUND}
    assert sorted(told) == sorted({(kind.slug, str(kind.status), kind.title) for kind in kinds})


@pytest.mark.parametrize("status", HTTP_KINDS)
def test_every_status_of_the_framework_is_told_as_it_is(status):
    assert fault_of(HTTPException("why", status_code=status)).kind == HTTP_KINDS[status]


def test_openai_hears_of_invalid_input_as_400():
    fault = fault_of(errors.InvalidInput("n", "only 1"))
    assert openai_status(fault) == 400
    assert openai_error(fault).error == ErrorBody("n: only 1", "invalid_request_error", "n", None)


def test_a_prompt_that_is_too_long_has_openais_code():
    fault = fault_of(ContextExceeded("messages", "9 prompt tokens"))
    assert (fault.kind.status, fault.kind.slug, openai_status(fault)) == (422, "invalid-input", 400)
    assert openai_error(fault).error.code == "context_length_exceeded"


def test_an_unknown_model_has_openais_code():
    assert openai_error(fault_of(errors.NotFound("model", "gpt-9"))).error.code == "model_not_found"


@pytest.mark.parametrize(
    "error", [errors.Overloaded("busy", 1.2), errors.RateLimited("slow down", 1.2), errors.Unavailable("swapping", 1.2)]
)
def test_too_much_says_how_long_to_wait(error):
    assert fault_of(error).headers == (("Retry-After", "2"),)


def test_what_is_away_for_who_knows_how_long_says_nothing_of_it():
    assert fault_of(errors.Unavailable("no model")).headers == ()


@pytest.mark.parametrize(
    "error", [RuntimeError("secret"), errors.Misconfigured("secret"), HTTPException("secret", status_code=500)]
)
def test_an_unexpected_error_keeps_its_text(error):
    fault = fault_of(error)
    assert fault.kind.status == 500
    assert "secret" not in fault.detail


@pytest.mark.parametrize("status", HTTP_KINDS)
def test_every_status_of_http_tells_its_reason(status):
    assert fault_of(HTTPException("a reason", status_code=status)).detail == "a reason"


def test_a_new_kind_of_an_error_is_answered_as_its_parent():
    class Vanished(errors.NotFound):
        pass

    assert fault_of(Vanished("memory", "m1")).kind.status == 404


def test_a_missing_parameter_is_named():
    error = ValidationException("Missing required query parameter 'agent_id' for path /v1/memories/count")
    assert fault_of(error).field == "agent_id"
