# smoothcert: how to work here. `make demo` and `make test` set up everything they need.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
export MPLBACKEND ?= Agg

.PHONY: help setup demo test lint types imports docs check figures guarantees attack clean

help: ## list the targets
	@grep -E '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*##/\t/'

$(VENV)/.ready: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev]'
	@touch $@

setup: $(VENV)/.ready ## make .venv and install everything into it

demo: setup ## certify, change the model, recertify: end to end on scikit-learn's digits
	$(BIN)/smoothcert demo --out runs/demo

test: setup ## the whole test suite, two tests at a time
	$(BIN)/python -m pytest -q -n 2 --dist worksteal

lint: setup ## ruff
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: setup ## mypy, strict
	$(BIN)/mypy

imports: setup ## the layers of docs/architecture.md
	$(BIN)/lint-imports

docs: setup ## run the examples of README.md and docs/
	$(BIN)/python -m pytest -q --doctest-glob='*.md' README.md docs

check: lint types imports test docs ## everything that CI runs

figures: setup ## remake the papers' figures that need no network
	$(BIN)/python experiments/sample_complexity.py --out runs/figures

guarantees: setup ## count the failures of every certificate on closed-form classifiers
	$(BIN)/python experiments/guarantees.py --out runs/guarantees --docs docs/guarantees.md

attack: setup ## damage every file, kill every command: no answer may be wrong (a quarter of an hour)
	$(BIN)/python experiments/attack_all.py --out benchmarks/results --docs docs/guarantees.md

clean: ## remove the environment and all caches of tools
	rm -rf $(VENV) .pytest_cache .mypy_cache .ruff_cache .hypothesis
