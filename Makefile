# Every target sets up what it needs. Start with: make run
PYTHON ?= python3
VENV   ?= .venv
BIN    := $(VENV)/bin
PIP    := $(BIN)/python -m pip --disable-pip-version-check
WHEELS := --quiet --require-hashes --only-binary :all:

.DEFAULT_GOAL := help
.PHONY: help setup run demo test test-long check bench bench-ledger cap accuracy test-agents screenshots lock prices vocabulary clean

help: ## show this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

setup: $(VENV)/.run ## create .venv with pinned dependencies and the package

run: setup ## start the gateway, the ledger and the dashboard on port 4000
	@$(BIN)/tollkeeper serve $(ARGS)

demo: setup ## start on a made-up company with 90 days of history; no credentials
	@$(BIN)/tollkeeper demo $(ARGS)

test: setup $(VENV)/.test ## install what the tests need and run the whole suite
	@$(BIN)/python tools/system_packages.py test
	@$(BIN)/python tools/node_packages.py
	@$(BIN)/python tools/run_tests.py $(ARGS)

test-long: setup $(VENV)/.test ## the slow suites: 1,000 kills, soak, long property runs
	@$(BIN)/python tools/system_packages.py test
	@$(BIN)/python tools/node_packages.py
	@$(BIN)/python tools/run_tests.py --long $(ARGS)

check: setup $(VENV)/.check ## lint, types, import rule and tidy rules, as CI runs them
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python -m pytest -q tests/test_tidy.py tests/test_forbidden_calls.py

bench: setup $(VENV)/.test ## the benchmarks; writes docs/benchmarks.md
	@$(BIN)/python tools/system_packages.py bench
	@$(BIN)/python -m benchmarks $(ARGS)

bench-ledger: setup $(VENV)/.test ## pages of ledgers of 1, 3 and 10 million; writes docs/ledger-speed*.md
	@$(BIN)/python -m benchmarks.pages $(ARGS)
	@$(BIN)/python -m benchmarks.pages_sqlite

cap: setup $(VENV)/.test ## a thousand calls at once against a cap; writes docs/cap.md
	@$(BIN)/python tools/system_packages.py cap
	@PYTHONPATH=tests:. $(BIN)/python -m benchmarks.cap $(ARGS)
	@PYTHONPATH=tests:. $(BIN)/python -m benchmarks.far_store

accuracy: setup $(VENV)/.test ## all recorded replies, beside LiteLLM; writes docs/accuracy.md
	@PYTHONPATH=tests:. $(BIN)/python tests/accuracy_round.py ../shared docs/accuracy.md $(ARGS)

test-agents: setup $(VENV)/.test ## real coding agents through the gateway, on loopback only
	@$(BIN)/python tools/system_packages.py agents
	@$(BIN)/python tools/run_agents.py $(ARGS)

screenshots: setup $(VENV)/.test ## pictures of the pages, for the documentation
	@$(BIN)/python tools/system_packages.py test
	@$(BIN)/python tools/screenshots.py $(ARGS)

lock: setup $(VENV)/.lock ## pin every dependency again, with hashes and without addresses
	$(BIN)/python tools/lock.py

prices: setup $(VENV)/.test ## compile the shipped price book from every release of its source
	$(BIN)/python tools/compile_price_history.py --download --wheels $${TMPDIR:-/tmp}/price-wheels
	$(BIN)/python tools/compile_price_gaps.py --wheels $${TMPDIR:-/tmp}/price-wheels

vocabulary: setup ## compile the shipped vocabulary from FILE, OpenAI's o200k_base.tiktoken
	$(BIN)/python tools/compile_vocabulary.py $(FILE)

clean: ## remove everything that can be made again (not your data)
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .import_linter_cache build dist

$(VENV)/bin/python:
	@$(PYTHON) tools/make_venv.py $(VENV)

# The only thing built from source is this package itself, which has nothing to compile.
$(VENV)/.run: requirements/run.txt requirements/build.txt pyproject.toml | $(VENV)/bin/python
	@echo "installing the pinned dependencies into $(VENV)"
	@$(PIP) install $(WHEELS) -r requirements/run.txt -r requirements/build.txt
	@$(PIP) install --quiet --no-build-isolation --no-deps --no-index --editable .
	@touch $@

$(VENV)/.check: requirements/check.txt $(VENV)/.run
	@$(PIP) install $(WHEELS) -r requirements/check.txt
	@touch $@

$(VENV)/.test: requirements/test.txt $(VENV)/.run
	@$(PIP) install $(WHEELS) -r requirements/test.txt
	@touch $@

$(VENV)/.lock: | $(VENV)/bin/python
	@$(PIP) install --quiet --only-binary :all: uv
	@touch $@
