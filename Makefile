# Everything sets itself up: the first target run makes .venv from constraints.txt.
SHELL := /bin/bash
PYTHON ?= python3
BIN := .venv/bin
DEMO ?= demo
# torch on few cores must sleep, not spin, while it waits; bytecode is compiled once, at install
export OMP_WAIT_POLICY := passive
export UV_COMPILE_BYTECODE := 1
JOBS ?= 2

.PHONY: demo test test-exhaustive check format bench docs wheel clean
.DEFAULT_GOAL := help

help:
	@echo "make demo    the whole pipeline on drawn films; prints where to look"
	@echo "make test    all tests"
	@echo "make test-exhaustive   what tests repeat at length: kills, mutations, requests"
	@echo "make check   the quick loop: format, lint, types, import contract, fast tests"
	@echo "make bench   speed, as ratios side by side"
	@echo "make docs    the pages that are made from the code"
	@echo "make wheel   build the wheel and the sdist into dist/, and run the demo from the wheel"

.venv/installed: pyproject.toml constraints.txt
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check "uv>=0.5" || true
	# uv is quick but knows only its own index settings; pip is the way where only pip is set up
	$(BIN)/uv pip install --quiet --python $(BIN)/python -c constraints.txt -e ".[train,dev]" \
		|| $(BIN)/python -m pip install --quiet -c constraints.txt -e ".[train,dev]"
	touch $@

demo: .venv/installed
	$(CURDIR)/$(BIN)/hilum demo -o $(DEMO)

# compiled, or each of the hundreds of commands that tests begin may do it again; in conftest's order
test: .venv/installed
	$(BIN)/python -m compileall -q src
	$(BIN)/python -m pytest -n $(JOBS) --dist loadfile --no-loadscope-reorder --coverage

test-exhaustive: .venv/installed
	$(BIN)/python -m pytest -q --exhaustive -m exhaustive

check: .venv/installed
	$(BIN)/ruff format --check src tests bench docs scripts
	$(BIN)/ruff check src tests bench docs scripts
	$(BIN)/lint-imports
	$(BIN)/basedpyright
	$(BIN)/python -m pytest -n $(JOBS) --dist loadfile --no-loadscope-reorder -q -m "not slow"

format: .venv/installed
	$(BIN)/ruff format src tests bench docs scripts
	$(BIN)/ruff check --fix src tests bench docs scripts

# torch's own waiting policy here: on a quiet machine the passive one would slow the peers
bench: .venv/installed
	env -u OMP_WAIT_POLICY $(BIN)/python -m bench

docs: .venv/installed
	$(BIN)/python -m docs.build

# three minutes on two cores; `make test` tries the wheel without torch
wheel: .venv/installed
	scripts/try_wheel.sh

clean:
	rm -rf .venv .pytest_cache .ruff_cache dist build $(DEMO)
