# Every command of this repository. `make` alone lists them.

SHELL := /bin/sh
VENV := .venv$(if $(PYTHON),-$(notdir $(PYTHON)))
PATH := $(CURDIR)/$(VENV)/bin:$(PATH)
export PATH VENV PYTHON
export PYTHONWARNINGS ?= default

.DEFAULT_GOAL := help
.PHONY: help setup demo up test check fmt unit integration bench bench-envoy bench-judging bench-many bench-finance wheel alone isolated sim sim-finance lock clean

help: ## list the commands
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | sort | awk -F'\t' '{printf "  make %-14s %s\n", $$1, $$2}'

setup: ## install what is locked into .venv (the others call this); PYTHON=3.13 for another, here and everywhere
	@./scripts/bootstrap

demo: setup ## a finished phased rollout on real components; BAD=errors|slow|crash, JSON=FILE
	@laptop demo $(if $(BAD),--bad $(BAD)) $(if $(JSON),--json $(JSON))

up: setup ## the production topology, kept running until Ctrl-C
	@laptop up

test: check ## every test, real components included; end to end by itself, as it needs a quiet machine
	@./scripts/prometheus >/dev/null
	@pytest -n auto --maxprocesses 4 --dist loadfile --ignore tests/end_to_end $(PYTEST)
	@pytest tests/end_to_end $(PYTEST)

check: setup ## formatting, lint, types and import contracts
	@ruff format --check --quiet . || { echo "run: make fmt"; exit 1; }
	@ruff check --quiet .
	@mypy
	@lint-imports --no-logo 2>/dev/null || lint-imports

fmt: setup ## format, and mend what the linter can
	@ruff format --quiet .
	@ruff check --quiet --fix .

unit: setup ## the tests that start nothing
	@pytest -m "not integration" $(PYTEST)

integration: setup ## the tests that start real components
	@./scripts/prometheus >/dev/null
	@pytest -m integration $(PYTEST)

bench: setup ## what a tick and a change of weight cost, as ratios; TIMES=N, JSON=FILE
	@python benches/switch.py $(if $(TIMES),--times $(TIMES)) $(if $(JSON),--json $(JSON))

bench-envoy: setup ## changes, replacements, deaths and rollbacks under load; RATE=N, LARGE=1 for the size it must hold, JSON=FILE
	@python benches/data_plane.py $(if $(RATE),--rate $(RATE)) $(if $(LARGE),--large) $(if $(JSON),--json $(JSON))

bench-many: setup ## what many rollouts cost one process, as a part of one core; ROLLOUTS=N, JSON=FILE
	@python benches/many.py $(if $(ROLLOUTS),--rollouts $(ROLLOUTS)) $(if $(JSON),--json $(JSON))

bench-judging: setup ## our judge and the rules of others on the same modelled worlds; RUNS=N, ONLY=WORDS, JSON=FILE
	@PYTHONPATH=benchmarks python -m judging $(if $(RUNS),--runs $(RUNS)) $(if $(ONLY),--only "$(ONLY)") \
		$(if $(JSON),--json $(JSON))

bench-finance: setup ## a company-year closes, reports, re-opens, and every statement ties; time and memory; DOCUMENTS=N, JSON=FILE
	@python benches/company_year.py $(if $(DOCUMENTS),--documents $(DOCUMENTS)) $(if $(JSON),--json $(JSON))

wheel: setup ## build the engine's wheel into dist/
	@cd packages/tranche && python -m hatchling build --target wheel --directory ../../dist

alone: setup ## the engine's wheel, in an empty environment made by pip, takes examples/any-service through its README
	@WITH_PIP=1 pytest tests/test_any_service.py $(PYTEST)

isolated: setup ## build each member's wheel and import it with nothing but its own needs
	@./scripts/isolated

sim: setup ## the engine on virtual time under injected faults; SEEDS=N, or SEED=N with its trace
	@python -m tranche.ordeal $(if $(SEED),--seed $(SEED),--seeds $(or $(SEEDS),200))

sim-finance: setup ## the books under random histories, held to two models; SEEDS=N, or SEED=N with its trace; STEPS=N, STORE=postgres
	@python $(if $(filter postgres,$(STORE)),benches/finance_histories.py,-m finance.ordeal) \
		$(if $(STEPS),--steps $(STEPS)) $(if $(SEED),--seed $(SEED),--seeds $(or $(SEEDS),500))

lock: setup ## resolve lock/requirements.txt anew
	@./scripts/lock

clean: ## remove what was installed and what runs left behind
	@rm -rf .venv .venv-* .tools .state
