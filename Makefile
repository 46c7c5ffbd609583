# Every target works as the first command typed after a clone: tools/setup.py brings what is missing.
SHELL := /bin/bash
PYTHON ?= python3
VENV := .venv/bin
.DEFAULT_GOAL := help
.PHONY: help setup setup-dev demo test test-fast check golden dev bench lock clean

help: ## This list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## (.*)/\1|\2/' | awk -F'|' '{printf "  make %-10s %s\n", $$1, $$2}'

setup: ## Get what running needs (Envoy, kubectl, libraries, the built console)
	@$(PYTHON) tools/setup.py

setup-dev:
	@$(PYTHON) tools/setup.py --dev --system

demo: setup ## Start a mesh with Bookinfo, its gateway, traffic and the console; Ctrl-C stops all
	@$(VENV)/kaiki demo $(ARGS)

test: setup-dev ## All tests: units, properties, golden cases, real Envoy, kubectl and browser
	@$(VENV)/python tools/run_tests.py $(ARGS)

test-fast: setup-dev ## The tests that start no whole mesh
	@$(VENV)/pytest -n 2 -m "not e2e" $(ARGS)

check: setup-dev ## Format, lint, types and layers, Python and frontend
	$(VENV)/ruff format --check src tests tools bench samples
	$(VENV)/ruff check src tests tools bench samples
	$(VENV)/mypy
	$(VENV)/lint-imports --no-cache
	@$(VENV)/python tools/check_ui.py

golden: setup-dev ## Rewrite the golden files; look at the difference before you commit it
	KAIKI_UPDATE_GOLDEN=1 $(VENV)/pytest -n 2 tests/translate tests/inject tests/manifests tests/graph

dev: setup-dev ## The console's frontend with live reload, against a running mesh
	@cd ui && npm run dev

bench: setup-dev ## Every benchmark, a table each
	@$(VENV)/python -m bench

lock: setup-dev ## Resolve requirements/*.txt anew from pyproject.toml
	@$(VENV)/python tools/lock.py

clean: ## Remove what setup made
	rm -rf .venv .tools ui/node_modules src/kaiki/console/static
