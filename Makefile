# The project's commands, the same for people and for CI. `make` alone lists them.

SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet

.PHONY: help demo test check bench build

help: ## List these commands
	@awk 'BEGIN {FS = ":.*## "} /^[a-z]+:.*## / {printf "  make %-7s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

demo: $(VENV)/.demo ## Watch a real iris classifier ring back, eleven times
	@$(BIN)/python examples/iris/demo.py

test: $(VENV)/.test $(VENV)/.demo ## Run the whole suite, with branch coverage of core and store
	@$(BIN)/coverage run -m pytest --coverage-floor=95

check: $(VENV)/.test $(VENV)/.bench ## Format, lint, types, imports, docs: everything short of running
	@$(BIN)/ruff format --check --quiet .
	@$(BIN)/ruff check --quiet .
	@$(BIN)/mypy
	@$(BIN)/mypy benchmarks
	@$(BIN)/lint-imports --no-cache
	@$(BIN)/pytest --quiet tests/architecture tests/docs

bench: $(VENV)/.bench ## Measure, beside the seed's own design and taskiq
	@$(BIN)/python -m benchmarks
	@$(BIN)/python -m benchmarks.delivery

build: $(VENV)/.pip ## Build the wheel into dist/
	@$(PIP) wheel --no-deps --wheel-dir dist .
	@ls -1 dist/*.whl

# Set-up. Each stamp stands for what it names; `pip install --group` came with pip 25.1.

$(VENV)/.pip:
	@command -v "$(PYTHON)" >/dev/null || { echo >&2 "$(PYTHON) is not installed. Ringback needs Python 3.11 or later; name one: make PYTHON=/path/to/python3"; exit 1; }
	@"$(PYTHON)" -c 'import sys; v = sys.version_info; v >= (3, 11) or sys.exit(f"$(PYTHON) is Python {v[0]}.{v[1]}; Ringback needs 3.11 or later. Name one: make PYTHON=python3.12")'
	@"$(PYTHON)" -m venv $(VENV) || { echo >&2 "$(PYTHON) could not make $(VENV). On Debian and Ubuntu: apt-get install python3-venv"; exit 1; }
	@$(PIP) install --upgrade 'pip>=25.1' || { echo >&2 "pip 25.1 or later could not be had from the package index: see pip's own words above"; exit 1; }
	@touch $@

$(VENV)/.test $(VENV)/.demo $(VENV)/.bench: $(VENV)/.%: pyproject.toml $(VENV)/.pip
	@echo "Installing ringback and its $* packages into $(VENV) ..."
	@$(PIP) install --editable . --group $* || { echo >&2 "The $* packages could not be installed: see pip's own words above"; exit 1; }
	@touch $@
