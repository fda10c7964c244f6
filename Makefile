# Two commands on a fresh machine: `make demo` and `make test`. Both set up what they need, once.
PYTHON ?= python3
# What the tests need; with EXTRAS=test, those of training data, local weights, PostgreSQL and Ray are skipped.
EXTRAS ?= test,docs,data,train,quant,bench,postgres,ray,peers
VENV ?= .venv
BIN := $(VENV)/bin
SOURCES := src tests benchmarks $(wildcard docs/*.py docs/*/*.py)

export PIP_DISABLE_PIP_VERSION_CHECK = 1
# More threads than cores make small arrays slower, not faster.
export OMP_NUM_THREADS ?= 1
export OPENBLAS_NUM_THREADS ?= 1

.PHONY: demo test test-slow soak mutants fault-table check format bench docs reference dist lock clean

demo: $(VENV)/.core  ## compare the two shipped contestants, offline
	$(BIN)/sciexam compare base sft
	@echo && echo "In each new terminal, before you type sciexam:" && echo "    . $(BIN)/activate"

test: $(VENV)/.test  ## all tests but the slow ones, on all cores
	$(BIN)/python -m pytest -n auto

test-slow: $(VENV)/.test  ## the slow tests
	$(BIN)/python -m pytest -m slow --timeout=1200

soak: $(VENV)/.test  ## the long loops: a thousand kills, a million replies; takes hours
	$(BIN)/python -m pytest -m soak --timeout=0 --rows results/rows-soak.jsonl tests/faults tests/attacks tests/train

mutants: $(VENV)/.test  ## break the product once a row of the fault suite: each time its test must fail
	$(BIN)/python tests/mutants

fault-table: $(VENV)/.test  ## run the fault suite, fast and slow, and write docs/fault-table.md
	$(BIN)/python -m pytest -n auto --rows results/rows-fast.jsonl tests/faults tests/attacks
	$(BIN)/python -m pytest -m slow --timeout=1200 --rows results/rows-slow.jsonl tests/faults tests/attacks
	$(BIN)/python tests/fault_table.py results/rows-*.jsonl

check: $(VENV)/.test  ## style, types
	$(BIN)/ruff check $(SOURCES)
	$(BIN)/ruff format --check $(SOURCES)
	$(BIN)/mypy

format: $(VENV)/.test
	$(BIN)/ruff check --fix $(SOURCES)
	$(BIN)/ruff format $(SOURCES)

bench: $(VENV)/.test  ## the measurements behind the tables in benchmarks/
	$(BIN)/python benchmarks/coverage.py
	$(BIN)/python benchmarks/stats.py
	$(BIN)/python benchmarks/judging.py --short
	$(BIN)/python benchmarks/training.py --short
	$(BIN)/python benchmarks/measures_agreement.py $${SCIEXAM_SHARED_DATA:-../shared/data}

docs: $(VENV)/.test  ## the documentation as a site, in site/
	$(BIN)/python -m mkdocs build --strict --quiet
	@echo "open site/index.html"

reference: $(VENV)/.test  ## the pages of docs/ that the code itself writes, and the outputs of the notebook
	$(BIN)/python docs/reference/write_commands.py
	$(BIN)/python docs/reference/write_yaml.py
	$(BIN)/python docs/reference/write_api.py
	$(BIN)/python docs/notebook/execute.py

dist: $(VENV)/.venv  ## wheel and sdist, built to the same bytes twice, and tried on every Python from 3.11 on
	$(BIN)/python tests/dist.py

lock:  ## requirements.lock, once constraints.txt has changed; needs uv
	echo 'hatchling>=1.27' | uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-annotate \
		--custom-compile-command 'make lock' -c constraints.txt pyproject.toml - -o requirements.lock

clean:
	rm -rf $(VENV) build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis

$(VENV)/.venv:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "sciexam needs Python 3.11 or newer; name one with: make PYTHON=python3.12 $(MAKECMDGOALS)"; exit 2; }
	$(PYTHON) -m venv $(VENV)
	@touch $@

$(VENV)/.core: pyproject.toml constraints.txt | $(VENV)/.venv
	@echo "Installing about 60 packages into $(VENV) takes some minutes."
	$(BIN)/python -m pip install --quiet -c constraints.txt -e .
	@touch $@

$(VENV)/.test: pyproject.toml constraints.txt | $(VENV)/.venv
	@echo "Installing about 170 packages into $(VENV) takes some minutes."
	$(BIN)/python -m pip install --quiet -c constraints.txt -e '.[$(EXTRAS)]'
	@touch $@ $(VENV)/.core
