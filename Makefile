# make demo       a search and its report, from a bare clone
# make docs       the documentation as a site, in build/site
# make check      lint, types, layers, and the tests that neither start processes nor take long: before every commit
# make test       the same with the documentation and every test but the slow ones: before every push
# make test-all   everything, with random examples that no run before had: what CI runs
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
# what is installed depends on setup.cfg, and on where the checkout lies (it is installed in place)
STAMP := $(shell (cat setup.cfg; pwd) | cksum | cut -d' ' -f1)
RUN := results/demo-$(shell date +%Y%m%d-%H%M%S)

# of hypothesis's examples in `make test-all`; it is printed, and the same seed gives the same examples
SEED := $(or $(SEED),$(shell od -An -N3 -tu4 /dev/urandom | tr -d ' '))
PYTEST := $(BIN)/python -m pytest
# mypy keeps one core busy for long: beside the tests, not before them
TOGETHER = @$(MAKE) --no-print-directory -j4

.PHONY: demo docs check test test-all lint types layers quick pytest everything coverage test-slow faults \
	install install-test clean

demo: install
	$(BIN)/asha-run --task digits --variation ohgw-1step --gpus cpu --max-trials 60 --target 0.97 --results-dir $(RUN)
	$(BIN)/asha-report $(RUN)

check: install-test
	$(TOGETHER) lint types layers quick

test: install-test
	$(TOGETHER) lint types layers docs pytest

test-all: install-test
	$(TOGETHER) lint types layers docs coverage everything SEED=$(SEED)

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

quick: install-test
	$(PYTEST) -n auto --dist worksteal -m 'not slow and not long and not processes'

pytest: install-test
	$(PYTEST) -n auto --dist worksteal

everything: install-test
	@echo 'random examples of seed $(SEED); the same again: make everything SEED=$(SEED)'
	$(PYTEST) -n auto --dist worksteal -m '' --timeout 3600 --hypothesis-profile fresh --hypothesis-seed $(SEED)

# every branch of the pure core, by the tests that state its laws
coverage: install-test
	$(BIN)/coverage run -m pytest -n0 $(patsubst %,tests/asha_core/%,schedulers searchers space) tests/asha_core/test_*.py \
		-m "not slow and not processes" --deselect tests/asha_core/schedulers/test_machines.py
	$(BIN)/coverage run --append -m pytest -n0 tests/peers/test_spaces.py
	$(BIN)/coverage report

test-slow: install-test
	$(PYTEST) -m slow --timeout 3600

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
	rm -rf build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache .coverage
