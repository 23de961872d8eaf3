# The first minute of a stranger: `make demo` sets everything up and shows it, `make test` proves it.
# Needs Python 3.10 or newer with venv, a C++17 compiler and make; pip brings CMake and Ninja.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# llama.cpp is built from source, without its multimodal library. See README.md for other builds.
export CMAKE_ARGS ?= -DLLAVA_BUILD=OFF
export PIP_DISABLE_PIP_VERSION_CHECK := 1

CORE := $(wildcard csrc/*) CMakeLists.txt pyproject.toml models/manifest.toml
CXX_FILES := $(wildcard csrc/*.h csrc/*.cpp tests/native/*.cpp)

.PHONY: demo test lint fmt bench models clean help

help:
	@echo "make demo    set everything up and show recommendations on real movies"
	@echo "make test    set up what the tests need and run all of them"
	@echo "make lint    ruff, mypy and clang-format"
	@echo "make fmt     format the code"
	@echo "make bench   print the benchmark tables (needs the data that PYREC_DATA names)"
	@echo "make clean   remove the environment and what was built"

demo: $(VENV)/.installed
	@$(BIN)/pyrec demo --accept-license

test: $(VENV)/.tested models
	@$(BIN)/python -m pytest

lint: $(VENV)/.tested
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/clang-format --dry-run --Werror $(CXX_FILES)

fmt: $(VENV)/.tested
	@$(BIN)/ruff check --fix .
	@$(BIN)/ruff format .
	@$(BIN)/clang-format -i $(CXX_FILES)

bench: $(VENV)/.tested models
	@for name in search_quality beams speed kernels phrases import_memory; do \
		echo; echo "== bench/$$name.py"; $(BIN)/python bench/$$name.py || exit 1; done

# The terms of Gemma are printed before it is pulled: https://ai.google.dev/gemma/terms
models: $(VENV)/.installed
	@$(BIN)/pyrec models pull gemma3-270m --accept-license
	@$(BIN)/pyrec models pull smollm2-135m
	@$(BIN)/pyrec models pull multilingual-e5-small

$(VENV)/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 10))' \
		|| { echo "pyrec needs Python 3.10 or newer; run make PYTHON=/path/to/python3"; exit 1; }
	@$(PYTHON) -m venv $(VENV)
	@$(BIN)/pip install -q --upgrade pip

$(VENV)/.installed: $(VENV)/bin/python $(CORE)
	@echo "Building pyrec and what it needs. llama.cpp takes about 5 minutes on 2 cores the first"
	@echo "time, and seconds afterwards."
	@sh scripts/with-clock $(VENV)/install.log $(BIN)/pip install -e .
	@touch $@

$(VENV)/.tested: $(VENV)/.installed
	@sh scripts/with-clock $(VENV)/install.log $(BIN)/pip install -e '.[test]'
	@touch $@

clean:
	rm -rf $(VENV) build
