# `make test`, `make demo` and the others set up all they need in .venv; a second call starts at once.
PYTHON ?= $(shell for p in python3.11 python3.12 python3; do \
	$$p -c 'import sys; sys.exit(sys.version_info[:2] not in {(3, 11), (3, 12)})' 2>/dev/null \
	&& echo $$p && break; done)
PY := .venv/bin/python
READY := .venv/.ready

.PHONY: help setup test test-slow test-matrix test-install demo train-demo docs lint format clean

help:
	@echo 'make demo       restore a real shot with bundled weights, compare'
	@echo 'make train-demo train S2SVR and BasicVSR on real clips first'
	@echo 'make test       the tests, without those marked slow'
	@echo 'make test-slow  the slow ones'
	@echo 'make test-matrix   lowest, tested and newest versions of the stack on each Python'
	@echo 'make test-install  the wheel in an empty environment'
	@echo 'make docs       the documentation, docs/_build/html/index.html'
	@echo 'make setup      .venv with the tested stack (the others call it)'
	@echo 'make lint, make format, make clean'

setup: $(READY)

# A .venv whose installation was stopped looks whole and is not: it is made anew.
$(READY): pyproject.toml dev/install.sh
	@test -n '$(PYTHON)' || { echo 'No Python 3.11 or 3.12 found: make PYTHON=/path/to/python3.11'; exit 1; }
	@test ! -e .venv -o ! -L .venv -a -e .venv/.begun || \
		{ echo '.venv is not one that make setup made: remove it first.'; exit 1; }
	test -e $@ || $(PYTHON) -m venv --clear .venv
	touch .venv/.begun
	rm -f $@
	dev/install.sh $(PY) -e '.[tested,dev]'
	$(PY) -m s2svr_launcher doctor
	touch $@

test: setup
	$(PY) -m pytest -n 2 --dist worksteal -m 'not slow'

test-slow: setup
	$(PY) -m pytest -n 2 --dist worksteal -m slow

# Needs several GB for each environment; PYTHONS may hold paths.
PYTHONS ?= 3.11 3.12
test-matrix: setup
	$(PY) dev/test_matrix.py --pythons $(PYTHONS)

# The sdist and the wheel, installed into an empty environment.
test-install: setup
	$(PY) dev/check_install.py

demo: setup
	$(PY) demo/demo.py

train-demo: setup
	$(PY) demo/demo.py --train

docs: setup
	@$(PY) -c 'import furo, myst_parser, sphinx_copybutton' 2>/dev/null || \
		$(PY) -m pip install --quiet --editable '.[docs]'
	$(PY) -m sphinx -W --keep-going docs docs/_build/html

lint: setup
	$(PY) -m ruff check .
	$(PY) -m ruff format --check .
	$(PY) -m mypy

format: setup
	$(PY) -m ruff check --fix .
	$(PY) -m ruff format .

clean:
	rm -rf build dist *.egg-info .pytest_cache .ruff_cache
	find . -name __pycache__ -not -path './.venv/*' -prune -exec rm -rf {} +
