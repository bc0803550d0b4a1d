# Each target first makes .venv if it is missing or if a dependency changed. `make help` lists the targets.
VENV   ?= .venv
PYTHON ?= python3.11 python3
ARGS   ?=
DOCKER ?= docker

BIN   := $(VENV)/bin
STAMP := $(VENV)/.installed
# one worker per core, up to four, with one thread each; more threads would only compete for the cores
# files in their order, since those with the fewest tests are not the quickest, and would leave a worker idle at the end
WORKERS ?= 4
PYTEST   = OMP_NUM_THREADS=$${OMP_NUM_THREADS:-1} $(BIN)/python -m pytest -n auto --maxprocesses $(WORKERS) --dist loadscope --no-loadscope-reorder
# the variable silences an advertisement
MKDOCS   = NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs

.DEFAULT_GOAL := help
.PHONY: help setup demo pictures test test-slow test-browser test-gpu test-mutations test-ros lint format docs docs-serve image train clean

help:  ## show this list
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | expand -t 16

setup: $(STAMP)  ## make the virtual environment; quick when nothing changed

demo: setup  ## make a running half-cheetah heavier, then reverse a motor, and watch the controller adapt; writes runs/demo/
	$(BIN)/adaptive-mbrl demo $(ARGS)

pictures: setup  ## run the demo and the live view, and make docs/images/ from them; needs a renderer and Chromium
	$(BIN)/adaptive-mbrl demo --out runs/pictures
	$(BIN)/python benchmarks/make_pictures.py runs/pictures
	$(BIN)/python benchmarks/view_picture.py docs/images/view.png
	$(BIN)/python -m benchmarks.view_bridge_picture

test: setup  ## run all tests but the slow ones; ARGS go to pytest
	$(PYTEST) -m "not slow and not hardware and not browser" $(ARGS)

test-slow: setup  ## run the slow tests
	$(PYTEST) -m "slow and not hardware" $(ARGS)

test-browser: setup  ## run the tests that open pages in a headless Chromium; skipped where there is none
	OMP_NUM_THREADS=$${OMP_NUM_THREADS:-1} $(BIN)/python -m pytest -m browser tests $(ARGS)

test-gpu: setup  ## run the tests that need a GPU
	@$(BIN)/python -c 'import sys, torch; sys.exit(not torch.cuda.is_available())' || { \
	    echo "error: torch finds no CUDA GPU; these tests need one, and a torch that was built with CUDA" >&2; exit 2; }
	OMP_NUM_THREADS=$${OMP_NUM_THREADS:-1} $(BIN)/python -m pytest -m gpu tests/quality $(ARGS)

test-mutations: setup  ## make the code wrong in many ways, and see whether tests notice; ARGS may name a mutant
	$(BIN)/python -m tests.mutations $(ARGS)

test-ros: setup  ## run the tests that need ROS 2, in a shell where it is sourced; some of them also need colcon
	@$(BIN)/python -c 'import rclpy' 2>/dev/null || { \
	    echo "error: $(BIN)/python cannot import rclpy; source a ROS 2 install for the same Python version first" >&2; exit 2; }
	OMP_NUM_THREADS=$${OMP_NUM_THREADS:-1} $(BIN)/python -m pytest -m ros tests/ros $(ARGS)

lint: setup  ## check style, formatting and types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

format: setup  ## format the code, and fix what ruff can fix
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

docs: setup  ## build the documentation as a site into site/; open site/index.html, it needs no network
	$(MKDOCS) build --strict $(ARGS)

docs-serve: setup  ## show the documentation at http://127.0.0.1:8000 and build it again whenever a page is saved
	$(MKDOCS) serve --livereload $(ARGS)

image:  ## build the container image, for which a daemon of Docker or Podman is needed; ARGS go to `docker build`
	@$(DOCKER) info >/dev/null 2>&1 || { \
	    echo "error: '$(DOCKER) info' fails, so no daemon answers; start Docker, or try make image DOCKER=podman" >&2; exit 2; }
	$(DOCKER) build --tag adaptive-mbrl $(ARGS) .

train: setup  ## reproduce the shipped half-cheetah checkpoints (about two hours on 2 cores); continues when run again
	$(BIN)/adaptive-mbrl train --config half_cheetah $(ARGS)
	$(BIN)/adaptive-mbrl train --config half_cheetah_multitask $(ARGS)

clean:  ## remove the virtual environment, caches and build products, but not runs/
	rm -rf .venv build dist site .pytest_cache .ruff_cache .mypy_cache .hypothesis
	find adaptive_mbrl sim robot_bridge tests -name __pycache__ -type d -prune -exec rm -rf {} +

# The stamp is written last, so that an interrupted installation is repeated. Modules are compiled when they are imported: of the
# 20 000 of them few ever are, and compiling all would take a minute.
$(STAMP): pyproject.toml constraints.txt
	@$(BIN)/python -m pip --version >/dev/null 2>&1 || { \
	    for python in $(PYTHON); do \
	        if $$python -c 'import ensurepip, sys, venv; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1; then found=$$python; break; fi; \
	    done; \
	    if [ -z "$$found" ]; then echo "error: Python 3.11 or newer with venv is needed, tried: $(PYTHON); name one with make PYTHON=..." >&2; exit 2; fi; \
	    echo "Making $(VENV) with $$found"; \
	    $$found -m venv $(VENV); \
	}
	$(BIN)/python -m pip install --disable-pip-version-check --no-compile --constraint constraints.txt --editable '.[dev]'
	@touch $@
