# `make test` and `make lint` need git, make and Python 3.11 or newer (with venv); they set up .venv by themselves.
PYTHON ?= python3
VENV := .venv
PY := $(VENV)/bin/python

.PHONY: test lint clean

$(VENV)/ready: requirements.txt requirements-dev.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Uptoken needs Python 3.11 or newer, this is " + sys.version.split()[0])'
	@echo "Setting up $(VENV)"
	@$(PYTHON) -m venv $(VENV)
	@$(PY) -m pip install --quiet --progress-bar on -r requirements.txt -r requirements-dev.txt
	@touch $@

test: $(VENV)/ready  ## the whole test suite
	@$(PY) -m pytest

lint: $(VENV)/ready  ## ruff, mypy (strict) and the one-way imports
	@$(PY) -m ruff check .
	@$(PY) -m ruff format --check .
	@$(PY) -m mypy
	@$(VENV)/bin/lint-imports --no-cache

clean:  ## remove the virtual environment and the caches, never the data
	@rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis
