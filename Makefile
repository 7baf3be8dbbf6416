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
# Everything the built site is made from; looked up when figures and pages are already up to date.
SITE_INPUTS = $(shell find mkdocs.yml docs scripts tutorial_pkg .cache/pages -type f -not -name '*.pyc' 2>/dev/null)

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

figures: $(INSTALLED)  ## compute the quick records that are missing, draw every figure and table
	$(PY) scripts/build_figures.py --profile quick

pages: $(INSTALLED)  ## execute the literate pages that changed
	$(PY) scripts/execute_pages.py --jobs $(JOBS)

site: figures pages  ## build site/, checking links, anchors and every cell
	@$(MAKE) --no-print-directory .cache/site.stamp
	@echo
	@echo "The site is in site/. Look at it with 'make serve', or open site/index.html in a browser."

.cache/site.stamp: $(SITE_INPUTS) $(if $(wildcard site/index.html),,FORCE)
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

clean:  ## remove what was built: site/, caches, rendered figures, quick records
	rm -rf site .cache docs/_generated results/quick .mypy_cache .ruff_cache .pytest_cache .hypothesis

distclean: clean  ## the same, and .venv
	rm -rf $(VENV) *.egg-info
