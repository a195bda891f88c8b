# The connection lab. `make lab` or `make test` on a fresh machine does everything; nothing needs root or Docker.
#
#   PYTHON=python3.13   the interpreter of .venv (default: the newest of 3.11 to 3.14 on PATH)
#   WORKERS=2           how many processes the suite runs in (default: 3 for each processor)
#   ARGS="…"            more arguments for the program that a target runs
#   UPGRADE=1           with `make lock`: newest versions instead of the locked ones

PYTHON ?=
ARGS ?=
# Three workers for a processor: a third of the suite's time is waiting for servers and deadlines.
WORKERS ?= $(shell echo $$(($$(nproc 2>/dev/null || echo 2) * 3)))
BIN := .venv/bin
COMPILE = $(BIN)/uv pip compile --quiet --no-cache --universal --python-version 3.11 --generate-hashes \
	--no-emit-index-url --no-emit-find-links --custom-compile-command 'make lock' $(if $(UPGRADE),--upgrade)

.DEFAULT_GOAL := help
.PHONY: help setup lab test quick lint docs format bench lock clean

help:  ## show this list
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "make %-8s %s\n", $$1, $$2 }' Makefile

setup:  ## .venv from the committed lock, Toxiproxy and the PostgreSQL template ready; at once when they are
	@PYTHON='$(PYTHON)' sh tools/setup.sh

lab: setup  ## judge every bundled variant and print the table promise x variant
	@$(BIN)/lab matrix $(ARGS) || [ $$? -le 2 ]  # 1 and 2 are verdicts: the published variants break what they claim

test: setup  ## the whole test suite, chaos tests included
	@$(BIN)/python -m pytest -n $(WORKERS) --dist loadfile --no-loadscope-reorder $(ARGS)

quick: setup  ## the tests that need no servers and less than a second each
	@$(BIN)/python -m pytest tests/unit -m 'not slow' $(ARGS)

lint: setup  ## ruff, mypy and the floors of the house
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports

docs: setup  ## the documentation as a site in build/docs; a warning or a dead link ends it
	$(BIN)/python -m sphinx -E -W --keep-going -q -b html docs build/docs
	@echo "docs: build/docs/index.html"

format: setup  ## let ruff repair and format what it can
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

bench: setup  ## run every benchmarks/bench_*.py
	@sh tools/setup.sh requirements-bench.txt
	@set -e; for program in benchmarks/bench_*.py; do $(BIN)/python "$$program" $(ARGS); done

lock: setup  ## compile the requirements*.txt again (UPGRADE=1: newest versions)
	$(COMPILE) requirements-uv.in -o requirements-uv.txt
	$(COMPILE) pyproject.toml --extra dev --extra psycopg requirements.in -o requirements.txt
	$(COMPILE) pyproject.toml --extra benchmarks --extra psycopg -c requirements.txt -o requirements-bench.txt
	$(COMPILE) requirements-go.in -o requirements-go.txt

clean:  ## remove what set-up and tools made in the checkout; store/ stays
	rm -rf .venv build dist ./*.egg-info .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
