# Everything that can be done here. The work itself is in tools/, which needs nothing but Python.
.DEFAULT_GOAL := help
PYTHON ?= python3
BIN := .venv/bin/
TEST_BIN := .venvs/main/bin/
export RESET CHECK ONLINE
# make bench PARTS="drain pickup" DATABASE=sqlite RUNS=1 N=5000
BENCH := $(if $(PARTS),--parts $(PARTS),--page) $(if $(DATABASE),--database $(DATABASE)) \
	$(if $(RUNS),--runs $(RUNS)) $(if $(N),--jobs $(N)) $(if $(LONG),--long)

help: ## Say what can be done here
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-10s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

demo: ## A real TOM with a worker, on this machine (RESET=1 starts over, CHECK=1 checks itself, ONLINE=1 allows sky viewers)
	@$(PYTHON) -m tools.venv demo
	@$(BIN)python demo/up.py

test: ## Everything: style, types, floors, both databases, real processes, a whole TOM, a browser
	@$(PYTHON) -m tools.test

chaos: ## Real faults for about twenty minutes, on both databases; writes docs/explain/faults.md (KILLS=1000, SEED=7)
	@$(PYTHON) -m tools.venv main
	@$(if $(KILLS),NIGHTSHIFT_CHAOS_KILLS=$(KILLS)) $(if $(SEED),NIGHTSHIFT_CHAOS_SEED=$(SEED)) $(PYTHON) -m tools.chaos $(ARGS)

bench: ## What it costs, beside others; writes docs/explain/benchmarks.md (PARTS="drain pickup" RUNS=1 N=5000 LONG=1)
	@$(PYTHON) -m tools.venv main
	@$(TEST_BIN)python -m benchmarks $(BENCH) $(ARGS)

test-fast: ## The quick tests: no server, no TOM Toolkit, no science (ARGS="-k word" is passed on to pytest)
	@$(PYTHON) -m tools.venv main
	@$(TEST_BIN)pytest -m "not postgres and not e2e and not tom and not browser" \
		--ignore=tests/astro --ignore=tests/integration --ignore=tests/model $(ARGS)

lint: ## Style, types, floors; changes nothing
	@$(PYTHON) -m tools.test lint

fix: ## Repair what can be repaired; write the reference pages anew from the code
	@$(PYTHON) -m tools.venv main
	@$(TEST_BIN)ruff check --fix .
	@$(TEST_BIN)ruff format .
	@$(PYTHON) -m tools.reference

.PHONY: help demo test chaos bench test-fast lint fix
