# Two commands on a fresh clone: `make demo` answers the question on real digits, `make test` checks
# everything quick. Both install what the lock names into .venv first.

PYTHON ?= python3
BIN := .venv/bin
INSTALLED := .venv/installed

.PHONY: demo test test-slow test-long lint bench lock clean

demo: $(INSTALLED)
	$(BIN)/ensembudget quickstart --out quickstart

test: lint
	$(BIN)/python -m pytest -n 2 --dist loadfile --durations=10

test-slow: $(INSTALLED)
	$(BIN)/python -m pytest -m "slow and not long" -n 2 --dist loadfile --durations=10

test-long: $(INSTALLED)
	$(BIN)/python -m pytest -m long --durations=10

lint: $(INSTALLED)
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

bench: $(INSTALLED)
	$(BIN)/python -m pytest benchmarks

$(INSTALLED): pyproject.toml requirements.lock
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "ensembudget needs Python 3.11 or later; name one: make PYTHON=python3.12")'
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --requirement requirements.lock
	$(BIN)/python -m pip install --quiet --no-deps --editable .
	touch $@

# Needs uv. One torch and torchvision generation, no addresses: a lock for every platform.
lock:
	uv pip compile pyproject.toml --group dev --extra ray --universal --python-version 3.11 \
		--no-header --no-annotate --output-file requirements.lock

clean:
	rm -rf .venv quickstart .pytest_cache .mypy_cache .ruff_cache
