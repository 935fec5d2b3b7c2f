# Targets a newcomer needs: install, demo, test, check. The rest is for maintainers.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

.PHONY: install
install: $(VENV)/.installed  ## Makes .venv with the `sagitta` command.

$(VENV)/.installed: pyproject.toml
	@if command -v uv >/dev/null 2>&1; then \
	  test -d $(VENV) || uv venv --quiet --python $(PYTHON) $(VENV); \
	  uv pip install --quiet --python $(BIN)/python -e '.[demo]' --group test --group lint; \
	else \
	  test -d $(VENV) || $(PYTHON) -m venv $(VENV); \
	  $(BIN)/pip install --quiet --upgrade pip; \
	  $(BIN)/pip install --quiet -e '.[demo]' --group test --group lint; \
	fi
	@touch $@

.PHONY: test
test: install  ## Runs the whole suite.
	$(BIN)/pytest -n auto -q
