"""Two minutes of requests that schemathesis makes up from the OpenAPI document: no answer is one that the document
does not know, and none is a 5xx.

Not collected by `make test`; `make fuzz` runs it. The same seed makes up the same requests, as far as the time leads.
"""

import subprocess
import sys

import pytest

SECONDS = 120
SEED = 20_261_121
HANGS = "120"  # Seconds after which an answer is said to hang. A busy machine takes longer than schemathesis's ten.

# What schemathesis could check besides, and why it does not.
NOT_CHECKED = {
    # Rules that a schema does not tell: ids and cursors must be ours, a tool's message needs its call's id, fields of
    # the dialects that we do not serve are refused by name (decision 6).
    "positive_data_acceptance",
    # A block or tool that can be of one `type` only need not name it: more is taken here than the document says.
    "negative_data_rejection",
    # Litestar's own answer to OPTIONS names the methods of a path's first handler only; that to a 405 names all.
    "allow_header_conformance",
    # A turn of a removed agent makes it again, and schemathesis may send one in between.
    "use_after_free",
    # Of an agent or a memory whose `ttl_seconds` are over at once there is nothing left for the next request.
    "ensure_resource_availability",
}


@pytest.fixture(scope="module")
def open_server(start, tmp_path_factory):
    """Without limits, which would hide all else behind 429; without an admin key, so that /admin only answers 403; with
    a short context, since an answer of the 65,536 tokens that one may ask for takes minutes.
    """
    unlimited = {"RATE_LIMIT_WRITES_PER_MINUTE": "0", "RATE_LIMIT_SEARCHES_PER_MINUTE": "0"}
    short = {"SEMANTIC_MLX_MAX_CONTEXT_LENGTH": "512"}
    return start(tmp_path_factory.mktemp("fuzzed"), **unlimited, **short).wait_ready()


@pytest.mark.timeout(2 * SECONDS + 240)
def test_every_answer_is_one_that_the_document_knows(open_server, tmp_path):
    command = [sys.executable, "-m", "schemathesis.cli", "--no-color", "run", f"{open_server.url}/openapi.json"]
    bounds = ["--max-time", str(SECONDS), "--seed", str(SEED), "--request-timeout", HANGS]
    bounds += ["--max-response-time", HANGS]
    checks = ["--checks", "all", "--exclude-checks", ",".join(sorted(NOT_CHECKED)), "--continue-on-failure"]
    quiet = ["--generation-database", "none", "--warnings", "off"]
    found = subprocess.run(
        [*command, *bounds, *checks, *quiet], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert found.returncode == 0, found.stdout[-20_000:] + found.stderr[-2000:]
    assert open_server.process.poll() is None
