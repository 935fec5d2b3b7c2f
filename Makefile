# `make demo` and `make test` are all a newcomer needs; both begin with `make install`. `make help` lists the rest.
SHELL := /bin/bash
PYTHON ?=
SF ?= 1
VENV := .venv
BIN := $(VENV)/bin
SUPPORTED := >=3.11,<3.14
PYTEST := $(BIN)/pytest -q -n $(or $(WORKERS),auto) --dist loadgroup

.DEFAULT_GOAL := help

.PHONY: help
help:  ## Lists the targets.
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "  make %-14s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.PHONY: install
install: $(VENV)/.installed  ## Makes .venv with the `sagitta` command (uv where present, else pip).

$(VENV)/.installed: pyproject.toml constraints.txt
	@echo "Installing into $(VENV) ..."
	@if command -v uv >/dev/null 2>&1; then \
	  test -x $(BIN)/python || uv venv --quiet --python '$(or $(PYTHON),$(SUPPORTED))' $(VENV) && \
	  uv pip install --quiet --compile-bytecode --python $(BIN)/python --constraint constraints.txt -e '.[demo,tracing]' --group test --group lint; \
	else \
	  { test -x $(BIN)/python || .ci/venv $(VENV) $(PYTHON); } && \
	  $(BIN)/python -m pip install --quiet --upgrade 'pip>=25.1' && \
	  $(BIN)/python -m pip install --quiet --constraint constraints.txt -e '.[demo,tracing]' --group test --group lint; \
	fi
	@touch $@

.PHONY: demo
demo: install  ## Serves TPC-H with its model, and prints how to connect (SF=0.1 for the impatient).
	@$(BIN)/sagitta demo --scale-factor $(SF)

.PHONY: test
test: install  ## Runs the whole suite, in parallel.
	$(PYTEST)

.PHONY: check
check: install  ## Runs every static check: format, lint, types, imports, contract, stubs, docs.
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python protos/generate.py --check
	$(BIN)/python docs/generate.py --check
	cd protos && ../$(BIN)/buf lint
	PATH="$(CURDIR)/$(BIN):$$PATH" .ci/breaking
	$(PYTEST) tests/architecture

.PHONY: format
format: install  ## Formats the code, and mends what ruff can mend.
	$(BIN)/ruff check --fix-only --quiet .
	$(BIN)/ruff format .

.PHONY: stubs
stubs: install  ## Makes the stubs of the contract anew.
	$(BIN)/python protos/generate.py

.PHONY: docs
docs: install  ## Renews the parts of the docs that the code knows better.
	$(BIN)/python docs/generate.py

.PHONY: oracle
oracle: install  ## Compares the compiler with the naive evaluator on 20,000 drawn cases (CASES=, SEED=, JOBS=) and the whole matrix.
	PYTHONPATH=tests $(BIN)/python -m oracle.run --cases $(or $(CASES),20000) --seed $(or $(SEED),1) --jobs $(or $(JOBS),2)
	PYTHONPATH=tests $(BIN)/python -m oracle.matrix
	PROPERTIES=thorough $(PYTEST) tests/properties

.PHONY: dialects
dialects: install  ## Compares the rows of SQLite, ClickHouse and Spark (which needs a Java) with the evaluator's (PAIRS=).
	@if command -v uv >/dev/null 2>&1; then uv pip install --quiet --python $(BIN)/python --group dialects; \
	else $(BIN)/python -m pip install --quiet --group dialects; fi
	$(PYTEST) tests/oracle/test_engines.py -rs
	PYTHONPATH=tests $(BIN)/python -m oracle.dialects --pairs $(or $(PAIRS),1000)

.PHONY: fuzz
fuzz: install  ## Loads 50,000 random and wounded texts as models and queries.
	$(PYTEST) tests/compiler/model/test_fuzz.py --hypothesis-profile fuzz --timeout 3600 -o faulthandler_timeout=0

.PHONY: clients
clients: install  ## Runs the tests with clients in other languages (those whose tools are present).
	PYTHONPATH=tests $(BIN)/python -m clients.drivers
	$(PYTEST) tests/clients -rs

.PHONY: superset
superset: install  ## Installs a real Apache Superset beside (SS_VERSION=, default 5.0.0) and tests against it.
	PYTHONPATH=tests $(BIN)/python -m superset.install
	$(BIN)/pytest -q -rs tests/superset

.PHONY: superset-serve
superset-serve: install  ## Serves a throw-away Superset with a small shop on port 8088 (PORT=).
	PYTHONPATH=tests $(BIN)/python -m superset.server $(PORT)

.PHONY: bench
bench: install  ## Measures speed and memory, and prints them as ratios (BENCH=flight for one part; all by default).
	PYTHONPATH=tests $(BIN)/python -m benchmarks $(BENCH)

.PHONY: lock
lock:  ## Renews constraints.txt: the versions that are tested together (needs uv).
	uv pip compile --quiet --universal --upgrade --no-emit-index-url --no-annotate --no-header \
	  --python-version 3.11 --extra demo --extra tracing --group test --group lint pyproject.toml --output-file constraints.txt
	@sed -i '1i # Made by `make lock`: the versions that are tested together. Used by `make install`, not by the package.' constraints.txt
