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

.DEFAULT_GOAL := help
.PHONY: help demo test test-quick coverage test-ci ui lint format bench screenshots lock clean
# Three for two cores: many tests wait. Which of them share a worker is in tests/support/scheduling.py.
PYTEST := $(BIN)/python -m pytest -n $(or $(WORKERS),3)
# Percent of the package's lines. Counting the whole suite's lines would take half again of its time.
COVERAGE_FLOOR := 80

help: ## Show this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | awk -F'\t' '{printf "make %-12s %s\n", $$1, $$2}'

demo: $(VENV)/.runtime ## Run the main job on the bundled simulator: no credentials, no cost
	$(BIN)/backlinks demo

test: $(VENV)/.dev ## Run the tests (WORKERS=… at once; three unless told)
	$(PYTEST) -m "not ci"

test-quick: $(VENV)/.dev ## Run the tests that start no process and no run
	$(PYTEST) -m "not ci and not slow"

coverage: $(VENV)/.dev ## Run the quick tests, and fail where they run too few of the package's lines
	$(PYTEST) -m "not ci and not slow" --cov --cov-report=term --cov-fail-under=$(COVERAGE_FLOOR)

test-ci: $(VENV)/.dev ## Run all tests there are, as CI does
	$(PYTEST)

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

lock: $(VENV)/.dev ## Lock the newest releases again
	$(PIP) install uv
	for group in build dev; do \
	  out=requirements.lock; args=; \
	  if [ $$group = dev ]; then args="-c requirements.lock"; out=requirements-dev.lock; fi; \
	  $(BIN)/uv pip compile pyproject.toml --group $$group $$args --universal --python-version 3.11 --upgrade \
	    --generate-hashes --no-annotate --no-header -q -o $$out.new || exit 1; \
	  { echo '# Made by `make lock`; install with --no-deps --require-hashes.'; cat $$out.new; } > $$out && rm $$out.new; \
	done

clean: ## Remove the virtual environment and caches; data stays
	rm -rf $(VENV) .pytest_cache .ruff_cache .mypy_cache .hypothesis .coverage

$(VENV)/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "Python 3.11 or later is needed: make PYTHON=/path/to/python3.11 …" >&2; exit 2; }
	@$(PYTHON) -m venv $(VENV) || \
	  { echo "The venv module is missing: install it (on Debian: apt install python3-venv) and run again." >&2; exit 2; }

# --no-deps: the locked file is complete, and pip's hash mode does not accept extras of packages it did not lock.
$(VENV)/.runtime: requirements.lock pyproject.toml | $(VENV)/bin/python
	@echo "Installing the locked packages into $(VENV) (once)…"
	$(PIP) install --no-deps --require-hashes -r requirements.lock
	$(PIP) install --no-deps --no-build-isolation -e .
	@touch $@

$(VENV)/.dev: requirements-dev.lock $(VENV)/.runtime
	$(PIP) install --no-deps --require-hashes -r requirements-dev.lock
	@touch $@
