# make demo   trains IDM from pixels on this machine and shows the result
# make test   runs the tests
# Both create .venv with the pinned dependencies first, once.

PYTHON ?= python3
PY := .venv/bin/python
DEMO := logdir/demo

.PHONY: demo test lint clean

demo: .venv/ready
	$(PY) run.py --configs cpu idm --steps 6250 --logdir $(DEMO)

test: .venv/ready
	$(PY) -m pytest -n auto --maxprocesses 4 --dist loadfile

lint: .venv/ready
	$(PY) -m ruff check .
	$(PY) -m mypy

.venv/ready: requirements.txt
	@$(PYTHON) -c 'import sys; v = sys.version_info[:2]; (3, 10) <= v <= (3, 12) or sys.exit("error: Python 3.10 to 3.12 is needed, %s is %d.%d: try make PYTHON=python3.11" % (sys.executable, *v))'
	@$(PYTHON) -m venv .venv || (echo 'error: no virtual environment; on Debian: apt-get install python3-venv' && exit 2)
	@echo 'Installing the dependencies into .venv (3 GB, a minute or two).'
	@$(PY) -m pip install --quiet --disable-pip-version-check -r requirements.txt
	@$(PY) -m pip install --quiet --disable-pip-version-check --no-deps dreamerv2==2.2.0
	@$(PY) -m dreamer_idm.envs.install_rendering
	@touch .venv/ready

clean:
	rm -rf .venv
