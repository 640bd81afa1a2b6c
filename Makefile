# The project's commands, the same for people and for CI. `make` alone lists them.

SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet

.PHONY: help demo demo-video test test-postgresql test-ray crash check bench images build

help: ## List these commands
	@awk 'BEGIN {FS = ":.*## "} /^[a-z-]+:.*## / {printf "  make %-15s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

demo: $(VENV)/.demo ## Watch a real iris classifier ring back, eleven times
	@$(BIN)/python examples/iris/demo.py

demo-video: $(VENV)/.video ## Watch a film being transcoded, frame by frame, and ring back
	@$(BIN)/python examples/video/demo.py

test: $(VENV)/.test $(VENV)/.demo $(VENV)/.video $(VENV)/.browser ## Run the whole suite in two processes, with branch coverage of core and store
	@$(BIN)/coverage run -m pytest -n 2 --coverage-floor=95

test-postgresql: $(VENV)/.test $(VENV)/.browser ## Run the acceptance and browser tests again, on a real PostgreSQL
	@$(BIN)/pytest -n 2 --store=postgresql tests/acceptance tests/browser

test-ray: $(VENV)/.test ## Run what the acceptance tests say of replicas again, on a real Ray
	@$(BIN)/pytest --engine=ray tests/acceptance

check: $(VENV)/.test $(VENV)/.bench $(VENV)/.browser ## Format, lint, types, imports, docs: everything short of running
	@$(BIN)/ruff format --check --quiet .
	@$(BIN)/ruff check --quiet .
	@$(BIN)/mypy
	@$(BIN)/mypy benchmarks
	@$(BIN)/lint-imports --no-cache
	@$(BIN)/pytest --quiet tests/architecture tests/docs

crash: $(VENV)/.test ## Kill it thirty times with a thousand workloads in flight, three ways
	@$(BIN)/pytest --quiet --capture=no tests/acceptance/test_crash.py

bench: $(VENV)/.bench ## Measure, beside the seed's own design, taskiq and Procrastinate
	@$(BIN)/python -m benchmarks
	@$(BIN)/python -m benchmarks --store postgresql
	@$(BIN)/python -m benchmarks.scale
	@$(BIN)/python -m benchmarks.footprint
	@$(BIN)/python -m benchmarks.delivery
	@$(BIN)/python -m benchmarks.queue
	@$(BIN)/python -m benchmarks.inspector
	@$(BIN)/python -m benchmarks.dashboard
	@$(BIN)/python -m benchmarks.large
	@$(BIN)/python -m benchmarks.batch

images: $(VENV)/.test $(VENV)/.browser ## Make the screenshots of the docs anew
	@RINGBACK_IMAGES=docs/images $(BIN)/pytest --quiet tests/browser/test_images.py

build: $(VENV)/.pip ## Build the wheel and the source distribution into dist/
	@$(PIP) install 'hatchling>=1.27' || { echo >&2 "hatchling could not be installed: see pip's own words above"; exit 1; }
	@rm -rf dist
	@$(BIN)/python -m hatchling build

# Set-up. Each stamp stands for what it names; `pip install --group` came with pip 25.1.

$(VENV)/.pip:
	@command -v "$(PYTHON)" >/dev/null || { echo >&2 "$(PYTHON) is not installed. Ringback needs Python 3.11 or later; name one: make PYTHON=/path/to/python3"; exit 1; }
	@"$(PYTHON)" -c 'import sys; v = sys.version_info; v >= (3, 11) or sys.exit(f"$(PYTHON) is Python {v[0]}.{v[1]}; Ringback needs 3.11 or later. Name one: make PYTHON=python3.12")'
	@"$(PYTHON)" -m venv $(VENV) || { echo >&2 "$(PYTHON) could not make $(VENV). On Debian and Ubuntu: apt-get install python3-venv"; exit 1; }
	@$(PIP) install --upgrade 'pip>=25.1' || { echo >&2 "pip 25.1 or later could not be had from the package index: see pip's own words above"; exit 1; }
	@touch $@

$(VENV)/.test $(VENV)/.demo $(VENV)/.video $(VENV)/.bench: $(VENV)/.%: pyproject.toml $(VENV)/.pip
	@echo "Installing ringback and its $* packages into $(VENV) ..."
	@$(PIP) install --editable . --group $* || { echo >&2 "The $* packages could not be installed: see pip's own words above"; exit 1; }
	@touch $@

# The browser tests' packages, and Chromium from the system's packages where there is none yet.

$(VENV)/.browser: pyproject.toml $(VENV)/.test
	@echo "Installing the browser tests' packages into $(VENV) ..."
	@$(PIP) install --group browser || { echo >&2 "The browser packages could not be installed: see pip's own words above"; exit 1; }
	@command -v chromium chromium-browser google-chrome >/dev/null || { \
		echo "Installing Chromium with apt-get ..."; \
		{ apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends chromium; } >/dev/null \
		|| echo >&2 "Chromium could not be installed (see above). The browser tests are skipped until it is: apt-get install chromium, or CHROMIUM=/path/to/it"; }
	@touch $@
