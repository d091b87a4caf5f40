# `make run` serves the page, `make test` runs every check and test.
# Both create the virtual environment and install what they need.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
DEV_STAMP := $(VENV)/.installed-dev
PIP := $(BIN)/python -m pip --disable-pip-version-check
UV_VERSION := 0.13.9
# LOCKED=1 installs exactly the locked versions and checks their hashes, as CI does.
RUNTIME := $(if $(LOCKED),--require-hashes -r requirements-lock.txt,-r requirements.txt)
DEV := $(if $(LOCKED),--require-hashes -r requirements-dev-lock.txt,-r requirements-dev.txt)

# One file for every platform and Python that pyproject.toml supports.
LOCK := $(VENV)/uv/bin/uv pip compile -q --universal --python-version 3.11 --generate-hashes \
  --no-annotate --custom-compile-command "make lock"

.PHONY: help run test check unit browser screens bench chaos clients soak wheel image docs lock clean

help:  ## List the commands
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

run: $(STAMP)  ## Serve the page at http://localhost:7860
	$(BIN)/python app.py

test: $(DEV_STAMP)  ## Run the checks and every test, including the browser tests
	@sh tests/install_system.sh
	$(MAKE) --no-print-directory check
	$(BIN)/python -m pytest -q -n 2 -m "not browser and not embedded"
	$(BIN)/python -m pytest -q -n 2 --dist loadfile -m "browser or embedded"

check: $(DEV_STAMP)  ## Check style, types, imports, wording and documents
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python -m pytest -q tests/test_language.py tests/test_docs.py tests/config/test_docs.py

unit: $(DEV_STAMP)  ## Run the fast tests
	$(BIN)/python -m pytest -q -n 2 -m "not browser and not embedded"

browser: $(DEV_STAMP)  ## Run the browser tests
	@sh tests/install_system.sh
	$(BIN)/python -m pytest -q -n 2 --dist loadfile -m browser

screens: $(DEV_STAMP)  ## Take screenshots into build/screens/ and compare them with the golden ones
	@sh tests/install_system.sh
	$(BIN)/python -m tests.browser.screens

bench: $(STAMP)  ## Measure the gateway and its peers, into bench/results.md (17 minutes)
	$(BIN)/python -m bench.run

chaos: $(DEV_STAMP)  ## Stream through endpoints that fail and recover, for SECONDS=60 and 1 minute
	$(BIN)/python -m tests.chaos.chaos --seconds $(or $(SECONDS),60) --seed $(or $(SEED),1)

clients: $(DEV_STAMP)  ## Call /v1 with LangChain, LiteLLM and llm, as the documents show
	test -x build/clients/bin/llm || $(PYTHON) -m venv build/clients
	build/clients/bin/python -m pip install -q langchain-openai litellm llm
	$(BIN)/python -m tests.api.third_party_clients build/clients/bin

soak: $(DEV_STAMP)  ## Run 200 honest and some hostile visitors for MINUTES=5: delays, leaks, budgets
	$(BIN)/python -m tests.soak.soak --minutes $(or $(MINUTES),5) --visitors $(or $(VISITORS),200)
	$(BIN)/python -m tests.soak.budgets --minutes $(or $(MINUTES),5) --visitors $(or $(VISITORS),200)

wheel: $(DEV_STAMP)  ## Build the package into build/dist/
	$(BIN)/python -m hatchling build -t wheel -d build/dist

image:  ## Build the image with docker or podman, or without either (as root on Debian)
	@if docker info >/dev/null 2>&1; then docker build -t akash-gradio .; \
	elif podman info >/dev/null 2>&1; then podman build -t akash-gradio .; \
	else deploy/build_without_engine.sh; fi

docs: $(STAMP)  ## Write .env.example and the tables of docs/configuration.md from the settings
	$(BIN)/python -m akash_gradio.config.docs

lock: $(VENV)/bin/python  ## Lock every dependency for the image and CI, with hashes
	$(VENV)/uv/bin/uv --version >/dev/null 2>&1 || \
	  { $(PYTHON) -m venv $(VENV)/uv && $(VENV)/uv/bin/pip install -q uv==$(UV_VERSION); }
	$(LOCK) requirements.txt -o requirements-lock.txt
	$(LOCK) -c requirements-lock.txt requirements.txt requirements-dev.txt -o requirements-dev-lock.txt

clean:  ## Remove the virtual environment and what was built
	rm -rf $(VENV) build .mypy_cache .ruff_cache .pytest_cache *.egg-info

$(VENV)/bin/python:
	@echo "Creating the virtual environment in $(VENV)"
	$(PYTHON) -m venv $(VENV)

$(STAMP): $(VENV)/bin/python requirements.txt
	@echo "Installing the dependencies"
	$(PIP) install --progress-bar on $(RUNTIME)
	@touch $@

$(DEV_STAMP): $(STAMP) requirements.txt requirements-dev.txt
	@echo "Installing the dependencies of the tests"
	$(PIP) install --progress-bar on $(DEV)
	@touch $@
