# Daily chores. `make` alone lists them. Needs Python 3.11 or newer, git and make; everything else goes into .venv.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
ARGS ?=

.DEFAULT_GOAL := help
.PHONY: help install demo test test-fast lint docs picture bench clean

help:  ## list these targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):[^#]*## ?(.*)/  make \1|\2/' | column -t -s '|' 2>/dev/null \
	 || grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST)

install: $(STAMP)  ## make .venv with headway and all that demo, tests and benchmarks need

# Anew only when the pins or the project's metadata change: an editable install follows the sources by itself.
$(STAMP): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Headway needs Python 3.11 or newer, this is " + sys.version.split()[0] + ". Try: make install PYTHON=python3.12")'
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV) || { echo "python3 -m venv failed. On Debian and Ubuntu: apt-get install python3-venv"; rm -rf $(VENV); exit 1; }
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[agents,demo,solvers,test]'
	@touch $@

demo: install  ## train a model through the real service, kill it in mid-run, see it resume
	$(BIN)/headway demo $(ARGS)

test: install  ## the tests (some 8 minutes on 2 cores); ARGS='-k engine' picks some
	$(BIN)/python -m pytest -n 2 $(ARGS)

test-fast: install  ## the same without the slow ones and the killers
	$(BIN)/python -m pytest -m 'not slow and not fault' $(ARGS)

lint: install  ## ruff, mypy --strict, import layers
	$(BIN)/ruff check .
	$(BIN)/mypy src
	$(BIN)/lint-imports

docs: install  ## run every Python block of the documents and look up every command they name
	$(BIN)/python -m pytest tests/docs $(ARGS)

picture: install  ## draw the demo's terminal for the README
	PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/python docs/picture.py docs/images/demo.svg headway demo

bench: install  ## the benchmarks, beside Ray and Celery where those can be installed (a quiet machine, half an hour)
	@status=0; for file in benchmarks/bench_*.py; do $(BIN)/python -m benchmarks.$$(basename $$file .py) $(ARGS) || status=1; done; exit $$status

clean:  ## remove .venv, caches and build products
	rm -rf $(VENV) benchmarks/peers/.venvs build dist .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis
