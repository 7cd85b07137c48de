# make install        installs into .venv
# make demo           trains IDM from pixels on this machine
# make test           the fast tests
# make test-all       the slow ones as well: whole runs, killed runs, Ray
# make test-learning  trains until the returns must have risen (ten minutes)
# make lint           ruff and mypy
# make docs           the documentation as a site, in site/
# make clean          removes .venv and site/
#
# All but the last create .venv with the pinned dependencies first, once. If
# nothing can render, root on Debian gets what is missing by apt-get;
# `make SYSTEM_PACKAGES=no ...` leaves the system as it is.

PYTHON ?= python3
SYSTEM_PACKAGES ?= yes
PY := .venv/bin/python
DEMO := logdir/demo
START := $(shell date +%s)
# The longest files begin first, see tests/conftest.py.
PYTEST := $(PY) -m pytest -n auto --maxprocesses 4 --dist loadfile \
	--no-loadscope-reorder --durations 15

.PHONY: help install demo test test-all test-learning lint docs clean

help:
	@sed -n 's/^# \{0,1\}//p; /^$$/q' Makefile

install: .venv/ready

demo: .venv/ready
	$(PY) run.py --configs cpu idm --steps 1500 --eval_every 500 --logdir $(DEMO)
	@echo "It took $$(($$(date +%s) - $(START))) s, set-up included."

test: .venv/ready
	$(PYTEST) -m 'not slow and not learning'

test-all: .venv/ready
	$(PYTEST) -m 'not learning'

test-learning: .venv/ready
	$(PY) -m pytest -n auto --maxprocesses 4 -m learning --durations 15

lint: .venv/ready
	$(PY) -m ruff check .
	$(PY) -m mypy

docs: .venv/ready
	$(PY) docs/generate.py
	NO_MKDOCS_2_WARNING=1 $(PY) -m mkdocs build --strict --quiet
	@echo 'The site begins at site/index.html.'

.venv/ready: requirements.txt pyproject.toml
	@$(PYTHON) -c 'import sys; v = sys.version_info[:2]; (3, 10) <= v <= (3, 12) or sys.exit("error: Python 3.10 to 3.12 is needed, %s is %d.%d: try make PYTHON=python3.11" % (sys.executable, *v))'
	@$(PYTHON) -m venv .venv || (echo 'error: no virtual environment; on Debian: apt-get install python3-venv' && exit 2)
	@echo 'Installing the dependencies into .venv (3 GB, one to five minutes).'
	@# Else pip complains of what an earlier dreamerv2 asks for and never gets.
	@$(PY) -m pip uninstall --quiet --yes dreamerv2 2>/dev/null || true
	@$(PY) -m pip install --quiet --disable-pip-version-check -r requirements.txt
	@$(PY) -m pip install --quiet --disable-pip-version-check --no-deps dreamerv2==2.2.0
	@$(PY) -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@$(PY) -m dreamer_idm.envs.install_rendering $(SYSTEM_PACKAGES)
	@touch .venv/ready

clean:
	rm -rf .venv site
