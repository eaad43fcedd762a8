# Two targets a newcomer needs: `make demo` and `make test`. Both set up what they use.

PYTHON ?= python3
BIN := .venv/bin
LOWEST := .venv-lowest/bin
LOWEST_EXTRAS := .venv-lowest-extras/bin
LOWEST_EXPERIMENTS := .venv-lowest-experiments/bin
# What depends on the core's dependencies the most; `make lowest` tries the rest too.
LOWEST_TESTS := tests/load tests/experiments/feeding tests/experiments/choices \
	tests/experiments/features tests/conversion/convert tests/conversion/parts \
	tests/conversion/card/test_card.py \
	$(wildcard tests/conversion/hub/test_push*.py) tests/conversion/package/test_links.py \
	tests/test_commands.py tests/test_hub_server.py
# What needs TensorFlow, PyTorch or a decoder; and what needs all of .venv.
EXTRAS_TESTS := tests/extraction tests/test_reference.py \
	$(wildcard tests/conversion/*/test_*tensorflow*.py) \
	$(wildcard tests/experiments/*/*/test_*tensorflow*.py tests/experiments/*/*/test_*keras*.py)
# What needs the extras of experiments, whose PyAV is newer than the lowest of the encoders.
EXPERIMENTS_TESTS := $(addprefix tests/experiments/,features recognise report show stimuli trials) \
	$(wildcard tests/extraction/*/test_ray*.py tests/conversion/*/test_ray*.py) \
	tests/extraction/compare
NEWEST_TESTS := tests/test_wheel.py tests/test_house.py
PIP := --disable-pip-version-check --quiet
LOWEST_OF := --quiet --resolution lowest-direct --only-binary :all: --no-binary avmit -c constraints-dev.txt

.PHONY: demo test lowest lint format bench clean

demo: .venv/core
	$(BIN)/avmit demo --out demo/avmit
	$(BIN)/avmit info demo/avmit

test: lint .venv-lowest/done
	$(BIN)/python -m pytest -n auto --dist worksteal
	$(LOWEST)/python -m pytest -n auto --dist worksteal $(addprefix --ignore=,$(EXTRAS_TESTS)) $(LOWEST_TESTS)

# All of the tests with the lowest version of each dependency that pyproject.toml allows.
lowest: .venv-lowest/done .venv-lowest-extras/done .venv-lowest-experiments/done
	$(LOWEST)/python -m pytest -n auto --dist worksteal $(addprefix --ignore=,$(EXTRAS_TESTS) $(NEWEST_TESTS)) tests
	$(LOWEST_EXTRAS)/python -m pytest -n auto --dist worksteal $(EXTRAS_TESTS)
	$(LOWEST_EXPERIMENTS)/python -m pytest -n auto --dist worksteal $(EXPERIMENTS_TESTS)

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
	$(BIN)/python benchmarks/start_extract.py
	$(BIN)/python benchmarks/stream.py
	$(BIN)/python benchmarks/feed.py
	$(BIN)/python benchmarks/features.py
	$(BIN)/python benchmarks/train.py
	$(BIN)/python benchmarks/scale.py

clean:
	rm -rf .venv .venv-lowest .venv-lowest-extras .venv-lowest-experiments demo build dist *.egg-info

# The newest release of everything, core dependencies only.
.venv/core: pyproject.toml
	$(PYTHON) -m venv .venv
	$(BIN)/pip install $(PIP) -e .
	touch $@

# What development needs on top.
.venv/dev: pyproject.toml constraints-dev.txt .venv/core
	$(BIN)/pip install $(PIP) -c constraints-dev.txt -e '.[dev]'
	touch $@

# The lowest version of each direct dependency, PyTorch excepted: an old one is gigabytes of CUDA.
.venv-lowest/done: pyproject.toml constraints-dev.txt
	$(PYTHON) -m venv --clear .venv-lowest
	$(LOWEST)/pip install $(PIP) -c constraints-dev.txt --no-deps uv torch
	$(LOWEST)/uv pip install --python $(LOWEST)/python $(LOWEST_OF) -e '.[test]' torch
	touch $@

.venv-lowest-extras/done: pyproject.toml constraints-dev.txt
	$(PYTHON) -m venv --clear .venv-lowest-extras
	$(LOWEST_EXTRAS)/pip install $(PIP) -c constraints-dev.txt --no-deps uv torch
	$(LOWEST_EXTRAS)/uv pip install --python $(LOWEST_EXTRAS)/python $(LOWEST_OF) \
		-e '.[extraction,onnx,transformers,test]' 'resampy>=0.4.3' 'onnx>=1.16'
	touch $@

.venv-lowest-experiments/done: pyproject.toml constraints-dev.txt
	$(PYTHON) -m venv --clear .venv-lowest-experiments
	$(LOWEST_EXPERIMENTS)/pip install $(PIP) -c constraints-dev.txt --no-deps uv torch
	$(LOWEST_EXPERIMENTS)/uv pip install --python $(LOWEST_EXPERIMENTS)/python $(LOWEST_OF) \
		-e '.[features,stimuli,recognise,report,ray,test]' torch \
		'playwright>=1.50' 'bids-validator-deno>=3' 'tf_keras>=2.16'
	touch $@
