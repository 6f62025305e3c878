# Every target sets up what it needs. Start with: make run
PYTHON ?= python3
VENV   ?= .venv
BIN    := $(VENV)/bin
PIP    := $(BIN)/python -m pip --disable-pip-version-check

.DEFAULT_GOAL := help
.PHONY: help setup run test check bench lock prices clean test-long test-agents

help: ## show this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

setup: $(VENV)/.run ## create .venv with pinned dependencies and the package

run: setup ## start the gateway, the ledger and the dashboard on port 4000
	@$(BIN)/tollkeeper serve $(ARGS)

test: setup $(VENV)/.test ## install what the tests need and run the whole suite
	@$(BIN)/python tools/system_packages.py
	@$(BIN)/python tools/run_tests.py $(ARGS)

test-long: setup $(VENV)/.test ## the slow suites: 1,000 kills, soak, long property runs
	@$(BIN)/python -m pytest -m long -n 2 $(ARGS)

check: setup $(VENV)/.check ## lint, types, import rule and tidy rules, as CI runs them
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python -m pytest -q tests/test_tidy.py

lock: setup $(VENV)/.lock ## pin every dependency again, with hashes and without addresses
	$(BIN)/python tools/lock.py

clean: ## remove everything that can be made again (not your data)
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .import_linter_cache build dist

$(VENV)/bin/python:
	@$(PYTHON) tools/make_venv.py $(VENV)

$(VENV)/.run: requirements/run.txt requirements/build.txt pyproject.toml | $(VENV)/bin/python
	$(PIP) install --quiet --require-hashes --only-binary :all: -r requirements/run.txt -r requirements/build.txt
	$(PIP) install --quiet --no-build-isolation --no-deps --no-index --editable .
	@touch $@

$(VENV)/.check: requirements/check.txt $(VENV)/.run
	$(PIP) install --quiet --require-hashes --only-binary :all: -r requirements/check.txt
	@touch $@

$(VENV)/.test: requirements/test.txt $(VENV)/.run
	$(PIP) install --quiet --require-hashes --only-binary :all: -r requirements/test.txt
	@touch $@

$(VENV)/.lock: | $(VENV)/bin/python
	$(PIP) install --quiet --only-binary :all: uv
	@touch $@
