# Two commands do everything on a fresh machine: `make demo` and `make test`.
# VENV names the environment to use or make; PYTHON the interpreter it is made from.
PYTHON ?= python3
VENV   ?= .venv
BIN    := $(VENV)/bin
PYTEST := $(BIN)/python -m pytest
WORKERS ?= auto

.DEFAULT_GOAL := help
.PHONY: help env dev demo test test-long lint format types contracts bench conformance tools interop e2e crds lock clean

help: ## List the targets
	@grep -E '^[a-z0-9-]+:.*## ' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 14

env: $(VENV)/.runtime ## Make the environment that runs the product
dev: $(VENV)/.dev ## Make the environment that tests it

$(BIN)/python:
	$(PYTHON) -m venv $(VENV)

$(VENV)/.runtime: requirements.lock pyproject.toml | $(BIN)/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-build-isolation --no-deps -e .
	@touch $@

$(VENV)/.dev: requirements-dev.lock $(VENV)/.runtime
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements-dev.lock
	@touch $@

demo: env ## Signed and unsigned images through the real webhook, verdicts explained
	@$(BIN)/sigward demo

test: dev ## Everything that needs no other program: unit, property, attacks, conformance, integration
	$(PYTEST) -n $(WORKERS) tests/unit tests/property tests/attacks tests/conformance tests/integration

test-long: dev ## The same with the long searches switched on
	SIGWARD_LONG=1 $(PYTEST) -n $(WORKERS) tests/unit tests/property tests/attacks tests/conformance tests/integration

conformance: dev ## Data that other projects wrote
	$(PYTEST) tests/conformance

lint: dev format types contracts ## Style, types and import contracts

format: dev
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .

types: dev
	$(BIN)/mypy

contracts: dev
	$(BIN)/lint-imports

bench: dev ## Measure the budgets
	$(BIN)/python -m bench

tools: ## Build the real signers and registries for the interop suite (needs Go and Node)
	$(MAKE) -C tests/tools

interop: dev ## Real cosign and real registries against the webhook
	$(PYTEST) tests/interop

e2e: dev ## A real API server
	$(PYTEST) tests/e2e

crds: dev ## Write the resource definitions from the models
	$(BIN)/python -m controller crds --write charts/sigward/crds

lock: ## Pin every dependency by hash (needs uv)
	uv pip compile --quiet --universal --generate-hashes --no-header --no-annotate --no-emit-index-url \
	  --all-extras --group build -o requirements.lock pyproject.toml
	uv pip compile --quiet --universal --generate-hashes --no-header --no-annotate --no-emit-index-url \
	  --all-extras --group build --group dev -c requirements.lock -o requirements-dev.lock pyproject.toml

clean: ## Remove what these targets made
	rm -rf $(VENV) .build .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis dist
