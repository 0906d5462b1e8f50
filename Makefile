# Everything lives in .venv (the environment) and .loyalty (database, Airflow, downloads); `make clean` removes both.

PYTHON ?= python3
WORKERS ?= 2
BIN := .venv/bin
INSTALLED := .venv/.installed
TESTABLE := .venv/.testable

.DEFAULT_GOAL := help
.PHONY: help setup demo up down test check bench clean

help: ## this list
	@grep -hE '^[a-z]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z]+):.*## (.*)/\1\t\2/' | awk -F'\t' '{printf "  make %-6s %s\n", $$1, $$2}'

setup: $(TESTABLE) ## install everything into .venv

demo: $(INSTALLED) ## real purchases, points and expiries, through PostgreSQL and Airflow, in a few minutes
	$(BIN)/loyalty demo

up: $(INSTALLED) ## start PostgreSQL and Airflow, and say where the UI is
	$(BIN)/loyalty up

down: $(INSTALLED) ## stop what `make up` started
	$(BIN)/loyalty down

check: $(TESTABLE) ## style, types, import rules and definitions
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/loyalty check

test: check ## `make check`, then the tests (WORKERS=2 side by side; ALL=1 adds the cases that take minutes each)
	$(BIN)/pytest -n $(WORKERS) --durations=15 $(if $(ALL),--all)

bench: $(INSTALLED) ## measure the journeys beside their floors (some hours; `loyalty bench --help`: less, or more)
	$(BIN)/loyalty bench --journey batch --via both --spend
	$(BIN)/loyalty bench --journey batch --members 100000 --repeat 10
	$(BIN)/loyalty bench --journey rolling --via both
	$(BIN)/loyalty bench --journey award import
	$(BIN)/loyalty bench --journey mail --members 10000 100000

clean: ## stop everything, and remove .loyalty and .venv
	@if [ -x $(BIN)/loyalty ]; then $(BIN)/loyalty clean; fi
	rm -rf .loyalty .venv .mypy_cache .pytest_cache .ruff_cache .import_linter_cache .hypothesis build include/*.egg-info

# uv installs in 8 s what takes pip 100 s. Where only pip knows the way (its own index or mirror), pip does it.
define install
$(BIN)/uv pip install --python $(BIN)/python -c constraints.txt -e "$(1)" \
	|| $(BIN)/python -m pip install --disable-pip-version-check -c constraints.txt -e "$(1)"
@touch $@
endef

$(INSTALLED): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 14))' \
		|| { echo "Python 3.11 to 3.13 is needed: make $(MAKECMDGOALS) PYTHON=python3.11" >&2; exit 1; }
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check "uv>=0.9,<1"
	$(call install,.)

$(TESTABLE): $(INSTALLED)
	$(call install,.[test])
