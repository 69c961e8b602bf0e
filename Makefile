# What people, hooks and CI call; `make` alone shows it. Each target sets everything up itself.
SHELL := /bin/bash
PYTHON ?= python3
BIN := .venv/bin
export PATH := $(CURDIR)/$(BIN):$(PATH)

.PHONY: help setup repro serve storage check test lint bench lock

help:   ## show this
	@sed -n 's/^\([a-z]*\):[^#]*## \(.*\)/\1\t\2/p' $(firstword $(MAKEFILE_LIST)) | \
	  while IFS=$$'\t' read -r target what; do printf 'make %-8s  %s\n' "$$target" "$$what"; done

setup: .venv/.installed .git/hooks/post-checkout   ## environment, package, Git hooks

.venv/.installed: requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; v = sys.version_info[:2]; sys.exit(None if (3, 11) <= v <= (3, 13) else \
	  f"error: Python 3.11 to 3.13 is needed, {sys.executable} is {v[0]}.{v[1]}; try make PYTHON=python3.11 $(MAKECMDGOALS)")'
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	test -x $(BIN)/uv || $(BIN)/python -m pip install --quiet --disable-pip-version-check uv
	$(BIN)/uv pip install --quiet --python $(BIN)/python --compile-bytecode --require-hashes -r requirements.lock
	$(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps --no-build-isolation -e .
	touch $@

# DVC's hooks and its merge driver; then ours in their place, which find dvc where no environment is activated, too. (In a
# Git worktree .git is a file, and the hooks are the main checkout's.) Ours and DVC's hold `dvc git-hook`; another's stays.
.git/hooks/post-checkout: $(wildcard .githooks/*) | .venv/.installed
	test ! -d .git || { mkdir -p .git/hooks && grep -ls 'dvc git-hook' .git/hooks/* | xargs rm -f; dvc install; }
	@test ! -d .git || for hook in $(notdir $(wildcard .githooks/*)); do \
	  if test ! -e .git/hooks/$$hook || grep -q 'dvc git-hook' .git/hooks/$$hook; then cp .githooks/$$hook .git/hooks/; \
	  else echo "warning: .git/hooks/$$hook is your own, and stays; let it call .githooks/$$hook" >&2; fi; done

# A fresh clone that knows a storage takes from there what was built; what that lacks is built anew.
repro: setup   ## data -> models -> reports, re-running what changed; then the results
	@python -m gaia.data.hashed
	@python -m gaia.storage.dvc
	@test -d .dvc/cache/files || ! grep -qs endpointurl .dvc/config.local || gaia pull || true
	dvc repro
	@gaia results

serve: setup   ## answer with what is live, on http://127.0.0.1:8000
	gaia serve

storage: setup   ## an S3 server for data and models (MinIO in Docker, else embedded), its keys, its buckets
	gaia storage up

check: lint   ## what a change needs before it is committed: style, types, the fast tests; about a minute
	pytest -n 2 --dist worksteal -m "not slow"

test: setup   ## all tests
	pytest -n 2 --dist worksteal

lint: setup   ## style, types, and no key in a tracked file
	ruff check . && ruff format --check . && mypy && python -m gaia.storage.leaks

bench: setup   ## measure speed and quality against plain peers; writes benchmarks/*.json
	python benchmarks/run.py
	python benchmarks/storage.py
	python benchmarks/tags.py
	python benchmarks/lines.py
	python benchmarks/fleet.py
	python benchmarks/rollback.py
	python benchmarks/serving.py --swaps 60

# What serves is installed with --no-deps: CatBoost names what it draws plots with, too, and predicts without.
COMPILE := uv pip compile --quiet --upgrade --universal --generate-hashes --no-emit-index-url \
  --python-version 3.11 --custom-compile-command "make lock" pyproject.toml

lock: setup   ## resolve the dependencies anew, for all platforms
	$(COMPILE) --extra dev -o requirements.lock
	$(COMPILE) --extra serve -c requirements.lock -o requirements-serve.lock \
	  $(foreach name,plotly narwhals graphviz matplotlib contourpy cycler fonttools kiwisolver,--no-emit-package $(name))
