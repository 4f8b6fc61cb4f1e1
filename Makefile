# Every command sets up .venv by itself. To use another Python than python3: make clean, then make PYTHON=python3.13 test
PYTHON ?= python3
RUN := .venv/bin/python
READY := .venv/ready

.DEFAULT_GOAL := help
.PHONY: help demo test coverage lint bench campaign clean

help: ## show this list
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "make %-9s %s\n", $$1, $$2 }' Makefile

demo: $(READY) ## three replicas diverge, exchange bytes and converge
	$(RUN) examples/three_replicas.py

test: $(READY) ## run the tests; ARGS="tests/test_values.py -x" narrows them
	$(RUN) -m pytest $(ARGS)

coverage: $(READY) ## branch coverage of each pure module and field from its own tests alone; ARGS="values set" narrows it
	$(RUN) -m tests.coverage_by_module $(ARGS)

lint: $(READY) ## ruff check, ruff format --check, mypy --strict
	$(RUN) -m ruff check
	$(RUN) -m ruff format --check
	$(RUN) -m mypy

bench: .venv/bench ## measure everything in small, beside what people use instead: report/index.html
	$(RUN) -m benchmarks.install
	mkdir -p report
	$(RUN) -m benchmarks all --quick --no-check --json report/quick.json
	$(RUN) -m benchmarks report report/quick.json

campaign: $(READY) ## the long searches for failures; ARGS="--help" lists them
	$(RUN) -m tests.campaign $(ARGS)

clean: ## remove everything that make and the tools created
	rm -rf .venv build dist *.egg-info .hypothesis .mypy_cache .pytest_cache .ruff_cache .coverage .coverage.* htmlcov
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(READY): pyproject.toml | $(RUN)
	$(RUN) -m pip install --quiet --disable-pip-version-check --editable '.[dev]'
	@touch $@

.venv/bench: pyproject.toml | $(READY)
	$(RUN) -m pip install --quiet --disable-pip-version-check --editable '.[bench]'
	@touch $@

$(RUN):
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
		echo "crdtmem needs Python 3.11 or newer; $(PYTHON) is: $$($(PYTHON) --version 2>&1)." \
			"Name a newer one: make PYTHON=python3.13 $(MAKECMDGOALS)" >&2; exit 1; }
	$(PYTHON) -m venv --clear .venv || { rm -rf .venv; exit 1; }
