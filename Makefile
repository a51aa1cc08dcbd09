# Two commands: `make run` (a campaign with default settings) and `make test`. Both install what they need first.
.PHONY: run test test-all lint install clean help

run: install  ## a campaign in ./.move37: no key, GPU or server needed, at most ten minutes on two cores
	.venv/bin/move37 run

install:  ## fill .venv
	@sh install.sh

# Compiled files are kept, whatever the shell says: the tests start some hundred interpreters. Each process begins with
# half of the files in order (worksteal), so that what a file shares is made once.
test:  ## the fast tests, under five minutes
	@sh install.sh test
	PYTHONDONTWRITEBYTECODE= OMP_NUM_THREADS=1 .venv/bin/python -m pytest tests -q -n auto --dist worksteal -m "not slow and not docker and not llm and not attack and not page"

test-all:  ## every test that this machine can run
	@sh install.sh test
	.venv/bin/python -m pytest tests -q

lint:  ## style, types and layers
	@sh install.sh test
	.venv/bin/ruff check .
	.venv/bin/ruff format --check .
	.venv/bin/python -m mypy
	.venv/bin/lint-imports

clean:  ## remove the virtual environment and caches (never a home)
	rm -rf .venv build *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache

help:  ## this list
	@grep -E '^[a-z-]+:.*##' Makefile | sed 's/:.*##/\t/'
