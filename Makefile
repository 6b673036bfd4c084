# The same as run.py, for those who type make.
PYTHON ?= python3

.PHONY: up check fix fuzz ci

up:
	$(PYTHON) run.py up

check:
	$(PYTHON) run.py test

fix:
	$(PYTHON) run.py test --fix

# A million mutated payloads; SEED=2 for others. Wants what `make check` has installed.
SEED ?= 1
fuzz:
	PYTHONPATH=services:simulators:. .venv/bin/python -m tests.fuzz.payloads --count 1000000 --seed $(SEED) --jobs 2

ci:
	.ci/run
