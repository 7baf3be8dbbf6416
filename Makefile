# make site   from a fresh clone to site/index.html      make test   everything that has to hold
# Needs Python >= 3.11, git and make. Choose an interpreter with PYTHON=python3.12 make site.

SHELL := /bin/bash
PYTHON ?= $(shell for p in python3 python3.13 python3.12 python3.11; do \
	$$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$p && break; done)
VENV ?= .venv
PY := $(VENV)/bin/python
JOBS ?= 2

# The environment is made again only when the text of these two files changes.
INSTALLED := $(VENV)/.installed-$(shell cat pyproject.toml constraints.txt | cksum | cut -d' ' -f1)
# What each step reads. A step runs again when one of these files is newer than its stamp; the steps themselves
# then recompute only what really changed.
find = $(shell find $(1) -type f -not -name '*.pyc' 2>/dev/null)
FIGURES_READ := $(call find,scripts/build_figures.py tutorial_pkg results)
PAGES_READ := $(call find,scripts/execute_pages.py tutorial_pkg results docs/sections docs/howto docs/_generated)
SITE_READ := $(call find,mkdocs.yml scripts tutorial_pkg docs .cache/pages)
missing = $(if $(wildcard $(1)),,FORCE)

# Tests and pages run side by side: one thread each.
export OMP_NUM_THREADS ?= 1
export MPLBACKEND ?= Agg
export NO_MKDOCS_2_WARNING := 1

.DEFAULT_GOAL := help
.PHONY: help install figures pages site serve lint types test clean distclean

help:  ## show this list
	@sed -n 's/^\([a-z]*\):.*## /  make \1\t/p' $(MAKEFILE_LIST) | expand -t 18

install: $(INSTALLED)  ## make .venv and install the pinned dependencies

$(INSTALLED): pyproject.toml constraints.txt
	@test -n "$(PYTHON)" || { echo "No Python >= 3.11 found; try PYTHON=/path/to/python3.12 make $(MAKECMDGOALS)"; exit 1; }
	@test -x $(PY) || $(PYTHON) -m venv $(VENV)
	$(PY) -m pip install --disable-pip-version-check -c constraints.txt -e '.[docs,test]'
	@rm -f $(VENV)/.installed-*
	@touch $@

figures:  ## compute the quick records that are missing, draw every figure and table
	@$(MAKE) --no-print-directory .cache/figures.stamp

pages: figures  ## execute the literate pages that changed
	@$(MAKE) --no-print-directory .cache/pages.stamp

site: pages  ## build site/, checking links, anchors and every cell
	@$(MAKE) --no-print-directory .cache/site.stamp
	@echo
	@echo "The site is in site/. Look at it with 'make serve', or open site/index.html in a browser."

.cache/figures.stamp: $(INSTALLED) $(FIGURES_READ) $(call missing,docs/_generated/values.json)
	@for i in $$(seq $(JOBS)); do \
		$(PY) scripts/build_figures.py --profile quick --shard $$i/$(JOBS) --compute-only --quiet & done; wait
	$(PY) scripts/build_figures.py --profile quick
	@mkdir -p .cache && touch $@

.cache/pages.stamp: $(INSTALLED) $(PAGES_READ) $(call missing,.cache/pages)
	$(PY) scripts/execute_pages.py --jobs $(JOBS)
	@touch $@

.cache/site.stamp: $(INSTALLED) $(SITE_READ) $(call missing,site/index.html)
	$(PY) -m mkdocs build --strict
	@touch $@

FORCE:

serve: site  ## build the site and show it at http://127.0.0.1:8000, rebuilding as files change
	$(PY) -m mkdocs serve

lint: $(INSTALLED)
	$(PY) -m ruff check .
	$(PY) -m ruff format --check .

types: $(INSTALLED)
	$(PY) -m mypy
	$(PY) -m mypy scripts

test: lint types site  ## lint, types, doctests and tests, of the built site too
	$(PY) -m pytest -n $(JOBS)

clean:  ## remove what was built, not the trained models: site/, caches, rendered figures, quick records
	rm -rf $(filter-out .cache/checkpoints,$(wildcard .cache/*))
	rm -rf site docs/_generated results/quick .mypy_cache .ruff_cache .pytest_cache .hypothesis

distclean: clean  ## the same, the trained models in .cache/checkpoints (hours of training) and .venv
	rm -rf .cache $(VENV) *.egg-info
