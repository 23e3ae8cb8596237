# Two commands are enough on a fresh machine: `make demo` and `make test`. Both set everything up themselves.
.DEFAULT_GOAL := help
.PHONY: help setup demo check features backtest train promote score nightly report test test-all bench lint lock clean

PYTHON ?= $(shell command -v python3.11 || command -v python3)
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
AFFINITY := $(BIN)/affinity
ON = $(if $(AS_OF),--as-of $(AS_OF))
DEMO_AS_OF := 2026-06-30

export MLFLOW_DISABLE_TELEMETRY := true
export OMP_WAIT_POLICY := passive

help: ## show this help
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: $(READY) ## make .venv with hash-pinned dependencies and this package

$(READY): requirements.lock pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --require-hashes --requirement requirements.lock
	$(BIN)/python -m pip install --quiet --no-deps --no-build-isolation --editable .
	@touch $@

demo: $(READY) ## make the demo company and run the main job on it, from sources to ranked lists
	$(AFFINITY) demo var/demo --accounts 2000
	$(AFFINITY) backtest --as-of $(DEMO_AS_OF)
	$(AFFINITY) train --as-of $(DEMO_AS_OF)
	$(AFFINITY) promote --as-of $(DEMO_AS_OF)
	$(AFFINITY) nightly --as-of $(DEMO_AS_OF)

check: $(READY) ## check the source tables, quarantine what breaks its contract
	$(AFFINITY) check $(ON)

features: $(READY) ## build the features at one as-of date and show their coverage
	$(AFFINITY) features $(ON)

backtest: $(READY) ## compare models and baselines on rolling, purged folds
	$(AFFINITY) backtest $(ON)

train: $(READY) ## train on all closed horizons and write a bundle
	$(AFFINITY) train $(ON)

promote: $(READY) ## make the newest bundle the champion
	$(AFFINITY) promote $(ON)

score: $(READY) ## score every account × product with the champion, without publishing
	$(AFFINITY) score $(ON)

nightly: $(READY) ## check, score, rank and publish the lists
	$(AFFINITY) nightly $(ON)

report: $(READY) ## measure the rules, affinities and the effect of the lists
	$(AFFINITY) report $(ON)

test: $(READY) ## run the tests
	$(BIN)/python -m pytest -q

test-all: $(READY) ## run the tests, the slow ones too
	$(BIN)/python -m pytest -q -m ''

bench: $(READY) ## measure speed and quality against named rivals
	$(BIN)/python -m benchmarks

lint: $(READY) ## style, types, layers
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache

lock: $(READY) ## resolve the dependencies anew
	$(BIN)/python -m pip install --quiet uv
	$(BIN)/uv pip compile pyproject.toml --quiet --all-extras --group dev --universal --python-version 3.11 \
	  --generate-hashes --no-emit-index-url --no-header --no-annotate --upgrade --output-file requirements.lock

clean: ## remove everything generated
	rm -rf var $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
