# make run        install the packages into .venv, run the quickstart and write a report of it
# make test       install the tools as well and run every check and test but the long ones
# make test-long  the long ones: the same properties on many more examples; and whether a test fails when a rule of core is broken
# make mutants    the latter alone
# make test-all   both, as CI does
# make check      ruff and mypy --strict
# make bench      reprint the figures of the documents
# make pins       resolve everything that is installed anew and write pins.txt; UPGRADE="numpy torch" or UPGRADE=all frees versions
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PACKAGES := core cli $(sort $(wildcard plugins/*))
INPUTS := pyproject.toml pins.txt Makefile $(addsuffix /pyproject.toml,$(PACKAGES))
PACKAGES_STAMP := $(VENV)/.packages-installed
TOOLS_STAMP := $(VENV)/.tools-installed

# One file stays in one process, which shares its fixtures; the files of slow tests come first, so that none is left for the end.
PYTEST := $(BIN)/python -m pytest -n 3 --dist loadfile --no-loadscope-reorder

# Modules are compiled when they are first imported: most of torch never is. It must be possible to keep what was compiled, or every process
# compiles hundreds of modules again.
unexport PYTHONDONTWRITEBYTECODE
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check --no-compile --no-build-isolation -c pins.txt

.PHONY: run test test-long test-all mutants check bench pins install clean

run: $(PACKAGES_STAMP)
	$(BIN)/ctxbench run --images all
	$(BIN)/ctxbench report

test: $(TOOLS_STAMP) check
	$(PYTEST)

test-long: $(TOOLS_STAMP)
	$(PYTEST) -m long
	$(BIN)/python -m tools.mutants

test-all: $(TOOLS_STAMP) check
	$(PYTEST) -m "long or not long"

mutants: $(TOOLS_STAMP)
	$(BIN)/python -m tools.mutants

check: $(TOOLS_STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy $(wildcard $(addsuffix /src,$(PACKAGES)))

bench: $(TOOLS_STAMP)
	$(BIN)/python -m benchmarks

pins: $(TOOLS_STAMP)
	$(BIN)/python -m tools.pins --upgrade $(UPGRADE)

install: $(TOOLS_STAMP)

# The environment is made anew when its inputs change, so that it holds what is pinned and nothing else, by the Python that made an activated
# one. The build backend is installed before the packages, which one command then resolves against each other.
$(PACKAGES_STAMP): $(INPUTS)
	"$$($(PYTHON) -c 'import sys; print(sys._base_executable)')" -m venv --clear $(VENV)
	$(PIP) pip
	$(PIP) --group build
	$(PIP) $(addprefix -e ./,$(PACKAGES)) -e .
	touch $@

$(TOOLS_STAMP): $(PACKAGES_STAMP)
	$(PIP) --group dev
	touch $@

clean:
	rm -rf $(VENV) build dist .mypy_cache .ruff_cache .pytest_cache
