# Two commands: `make run` opens the page, `make test` runs every check.
# Both make the virtual environment first and install what they need.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
DEV_STAMP := $(VENV)/.installed-dev
PIP := $(BIN)/python -m pip --disable-pip-version-check

.PHONY: run test check unit browser screens bench chaos clients soak image docs clean help

help:  ## Show the commands
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

run: $(STAMP)  ## Open the page at http://localhost:7860
	$(BIN)/python app.py

test: $(DEV_STAMP)  ## Lint, types and every test, the browser's too
	@sh tests/install_system.sh
	$(MAKE) --no-print-directory check
	$(BIN)/python -m pytest -q -n 2 -m "not browser and not embedded"
	$(BIN)/python -m pytest -q -n 2 --dist loadfile -m "browser or embedded"

check: $(DEV_STAMP)  ## Lint and types alone
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

unit: $(DEV_STAMP)  ## The fast tests alone
	$(BIN)/python -m pytest -q -n 2 -m "not browser and not embedded"

screens: $(DEV_STAMP)  ## Screenshots into build/screens/, compared with the golden ones
	@sh tests/install_system.sh
	$(BIN)/python -m tests.browser.screens

bench: $(STAMP)  ## Measure it beside other gateways, into bench/results.md (17 minutes)
	$(BIN)/python -m bench.run

chaos: $(DEV_STAMP)  ## Stream through endpoints that die and recover, for SECONDS=60
	$(BIN)/python -m tests.chaos.chaos --seconds $(or $(SECONDS),60) --seed $(or $(SEED),1)

clients: $(DEV_STAMP)  ## Ask /v1 with LangChain, LiteLLM and llm, as the documents show it
	test -x build/clients/bin/llm || $(PYTHON) -m venv build/clients
	build/clients/bin/python -m pip install -q langchain-openai litellm llm
	$(BIN)/python -m tests.api.third_party_clients build/clients/bin

soak: $(DEV_STAMP)  ## 200 visitors for MINUTES=5: memory, files and threads return to where they were
	$(BIN)/python -m tests.soak.soak --minutes $(or $(MINUTES),5) --visitors $(or $(VISITORS),200)

image:  ## Build the image: by docker or podman, else without an engine (as root on Debian)
	@if docker info >/dev/null 2>&1; then docker build -t akash-gradio .; \
	elif podman info >/dev/null 2>&1; then podman build -t akash-gradio .; \
	else deploy/build_without_engine.sh; fi

docs: $(STAMP)  ## Write .env.example and the README's table from the settings
	$(BIN)/python -m akash_gradio.config.docs

clean:  ## Remove the environment and what was built
	rm -rf $(VENV) build .mypy_cache .ruff_cache .pytest_cache *.egg-info

$(VENV)/bin/python:
	@echo "Making the virtual environment in $(VENV)"
	$(PYTHON) -m venv $(VENV)

$(STAMP): $(VENV)/bin/python requirements.txt
	@echo "Installing what the page needs"
	$(PIP) install --progress-bar on -r requirements.txt
	@touch $@

$(DEV_STAMP): $(STAMP) requirements.txt requirements-dev.txt
	@echo "Installing what the tests need"
	$(PIP) install --progress-bar on -r requirements-dev.txt
	@touch $@
