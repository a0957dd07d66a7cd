# The README's commands. Each installs what it needs first; none does anything clever.
.DEFAULT_GOAL := help
.PHONY: help try plan drift test test-all unit lint bench rehearse lab-up lab-down

RUN := .venv/bin

help:
	@echo "make try       boot the lab, deploy to it, show what runs where"
	@echo "make plan      what a run would change; LIMIT=app-1 for a host or group, JSON=FILE for programs"
	@echo "make drift     exits 2 where a host is not as declared"
	@echo "make test      lint, type check, and every test, on the lab's real hosts too"
	@echo "make test-all  the same with every row of every table of cases: more than an hour"
	@echo "make unit      the quick tests: no host, no program but Python"
	@echo "make bench     measure: deploys, empty runs, load"
	@echo "make rehearse  boot INVENTORY=path in the lab, deploy it, break one host of each group"
	@echo "make lab-up    boot the lab's hosts; make lab-down stops and removes them"

try:
	@scripts/try

# SEEING: further options of `python -m deploys.seeing`, such as --data redis.maxmemory=2GB.
plan drift: .venv/ready
	@$(RUN)/python -m deploys.seeing $@ $(if $(LIMIT),--limit $(LIMIT)) $(if $(JSON),--json $(JSON)) \
		$(SEEING) $(or $(INVENTORY),inventory)

test: lint
	$(RUN)/pytest --numprocesses 2 --dist loadgroup --no-loadscope-reorder

# With the rows that repeat a claim at further points: every edit, every bad push, every interruption.
# Property tests get five times as many examples.
test-all: lint
	$(RUN)/pytest -m "" --hypothesis-profile thorough

unit: .venv/ready
	$(RUN)/pytest tests/unit -m "not programs and not thorough" --numprocesses 2 --dist worksteal

lint: .venv/ready
	$(RUN)/ruff format --check .
	$(RUN)/ruff check .
	$(RUN)/mypy

bench: .venv/ready
	$(RUN)/python -m tests.bench

rehearse: .venv/ready
	$(RUN)/python -m tests.rehearsal $(INVENTORY)

lab-up: .venv/ready
	$(RUN)/python -m tests.lab up

lab-down: .venv/ready
	$(RUN)/python -m tests.lab down

.venv/ready: uv.lock pyproject.toml runtime/pyproject.toml scripts/install
	@scripts/install
	@touch $@
