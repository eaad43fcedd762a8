# Two targets a newcomer needs: `make demo` and `make test`. Both set up what they use.

PYTHON ?= python3
BIN := .venv/bin
LOWEST := .venv-lowest/bin
# What depends on datasets; the rest needs what is in .venv alone.
LOWEST_TESTS := tests/load tests/conversion/convert tests/conversion/card tests/conversion/hub \
	tests/conversion/package tests/test_hub_server.py
PIP := --disable-pip-version-check --quiet

.PHONY: demo test lint format bench clean

demo: .venv/core
	$(BIN)/avmit demo --out demo/avmit
	$(BIN)/avmit info demo/avmit

test: lint .venv-lowest/done
	$(BIN)/python -m pytest -n auto
	$(LOWEST)/python -m pytest -n auto $(LOWEST_TESTS)

lint: .venv/dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache

format: .venv/dev
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: .venv/dev
	$(BIN)/python benchmarks/startup.py
	$(BIN)/python benchmarks/convert.py
	$(BIN)/python benchmarks/load.py
	$(BIN)/python benchmarks/extract.py
	$(BIN)/python benchmarks/stream.py

clean:
	rm -rf .venv .venv-lowest demo build dist *.egg-info

# The newest release of everything, core dependencies only.
.venv/core: pyproject.toml
	$(PYTHON) -m venv .venv
	$(BIN)/pip install $(PIP) -e .
	touch $@

# What development needs on top.
.venv/dev: pyproject.toml constraints-dev.txt .venv/core
	$(BIN)/pip install $(PIP) -c constraints-dev.txt -e '.[dev]'
	touch $@

# The oldest datasets that is supported, in an environment of its own.
.venv-lowest/done: pyproject.toml constraints-dev.txt
	$(PYTHON) -m venv .venv-lowest
	$(LOWEST)/pip install $(PIP) -c constraints-dev.txt -e . 'datasets==3.6.0' pytest pytest-xdist \
		hypothesis torch
	touch $@
