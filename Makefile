# make demo   a search and its report, from a bare clone
# make docs   the documentation as a site, in build/site
# make test   lint, types, layering, tests, docs
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
# what is installed depends on setup.cfg, and on where the checkout lies (it is installed in place)
STAMP := $(shell (cat setup.cfg; pwd) | cksum | cut -d' ' -f1)
RUN := results/demo-$(shell date +%Y%m%d-%H%M%S)

.PHONY: demo docs test lint types layers pytest test-slow faults install install-test clean

demo: install
	$(BIN)/asha-run --task digits --variation ohgw-1step --gpus cpu --max-trials 60 --target 0.97 --results-dir $(RUN)
	$(BIN)/asha-report $(RUN)

test: lint types layers docs pytest

lint: install-test
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: install-test
	$(BIN)/mypy

layers: install-test
	$(BIN)/lint-imports

# warnings are errors: a broken link or anchor, a page that no menu has, a docstring that cannot be read
docs: install-test
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --quiet

pytest: install-test
	$(BIN)/python -m pytest -n auto --dist worksteal

test-slow: install-test
	$(BIN)/python -m pytest -m slow --timeout 3600

faults: install-test
	$(BIN)/python -m tests.faults --kills 200 --seed 0

install: $(VENV)/.installed-$(STAMP)

install-test: $(VENV)/.installed-test-$(STAMP)

$(BIN)/python:
	$(PYTHON) -c 'import sys; assert sys.version_info >= (3, 11), "Python 3.11 or later is needed: make PYTHON=python3.12"'
	$(PYTHON) -m venv $(VENV)

$(VENV)/.installed-$(STAMP): | $(BIN)/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e .
	@$(BIN)/python -c 'import torchvision.ops' || { echo 'torch and torchvision do not match: remove $(VENV) and run make again'; exit 1; }
	rm -f $(VENV)/.installed-*
	touch $@

$(VENV)/.installed-test-$(STAMP): $(VENV)/.installed-$(STAMP)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[test]'
	touch $@

clean:
	rm -rf build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache
