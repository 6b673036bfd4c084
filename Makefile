# The same as run.py, for those who type make.
PYTHON ?= python3

.PHONY: up check fix ci

up:
	$(PYTHON) run.py up

check:
	$(PYTHON) run.py test

fix:
	$(PYTHON) run.py test --fix

ci:
	.ci/run
