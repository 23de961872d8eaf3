# The first minute of a stranger: `make demo` sets everything up and shows it, `make test` proves it.
# Needs Python 3.10 or newer with venv, a C++17 compiler and make; pip brings CMake and Ninja.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# The llama.cpp that pyrec is tested with, built from source without the libraries for pictures and
# sound and for its own programs. CMAKE_ARGS adds to this; see README.md for other builds.
LLAMA ?= llama-cpp-python==0.3.36
LLAMA_CMAKE := -DLLAVA_BUILD=OFF \
	'-DCMAKE_PROJECT_llama.cpp_INCLUDE=$(CURDIR)/scripts/without-common.cmake'
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
	@for name in search_quality words_or_titles answers needs quality behavior feedback adapter ratings yesno tasks profiles models direction history_prior live beams \
		speed kernels phrases import_memory events; do \
		echo; echo "== bench/$$name.py"; $(BIN)/python bench/$$name.py || exit 1; done

# The terms of Gemma are printed before it is pulled: https://ai.google.dev/gemma/terms
models: $(VENV)/.installed
	@$(BIN)/pyrec models pull gemma3-270m --accept-license
	@$(BIN)/pyrec models pull smollm2-135m
	@$(BIN)/pyrec models pull multilingual-e5-small

$(VENV)/.made:
	@sh scripts/check-system $(PYTHON)
	@$(PYTHON) -m venv $(VENV)
	@touch $@

# By itself: it takes the longest by far, and no change here builds it again.
$(VENV)/.llama: $(VENV)/.made
	@CMAKE_ARGS="$(LLAMA_CMAKE) $$CMAKE_ARGS" sh scripts/with-clock $(VENV)/llama.log \
		"Installing llama.cpp (some 4 minutes on 2 cores the first time, then seconds)" \
		$(BIN)/pip install --verbose "$(LLAMA)"
	@touch $@

# Editable: what changes in pyrec/ counts at once, what changes in csrc/ is built again.
$(VENV)/.installed: $(VENV)/.llama $(CORE)
	@sh scripts/with-clock $(VENV)/install.log "Building pyrec" \
		sh scripts/with-headers $(BIN)/pip install -e .
	@touch $@

# By name: `pip install -e .[test]` would build the core once more.
TOOLS = import re; from importlib.metadata import requires; extra = r"(;| and) extra == .test."; \
	print(*(re.sub(extra, "", r) for r in requires("pyrec") if re.search(extra, r)), sep="\n")
$(VENV)/.tested: $(VENV)/.installed
	@$(BIN)/python -c '$(TOOLS)' >$(VENV)/tools.txt
	@sh scripts/with-clock $(VENV)/tools.log "Installing what the tests need" \
		$(BIN)/pip install -r $(VENV)/tools.txt
	@touch $@

clean:
	rm -rf $(VENV) build
