# make run    install everything into .venv and run the quickstart
# make test   install everything into .venv and run every test
# make check  ruff and mypy --strict
# make bench  reprint the figures of the documents
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PACKAGES := core cli $(sort $(wildcard plugins/*))
STAMP := $(VENV)/.installed

.PHONY: run test check bench install clean

run: $(STAMP)
	$(BIN)/ctxbench run

test: $(STAMP) check
	$(BIN)/python -m pytest -n 2 --dist loadfile

check: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy $(wildcard $(addsuffix /src,$(PACKAGES)))

bench: $(STAMP)
	$(BIN)/python -m benchmarks

install: $(STAMP)

# One pip command resolves the packages against each other; the build backend is installed once instead of once a package, and modules are
# compiled when they are first imported: most of torch never is.
$(STAMP): pyproject.toml constraints.txt Makefile $(addsuffix /pyproject.toml,$(PACKAGES))
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt hatchling editables
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-compile -c constraints.txt --no-build-isolation $(addprefix -e ./,$(PACKAGES)) -e '.[dev]'
	touch $@

clean:
	rm -rf $(VENV) build dist .mypy_cache .ruff_cache .pytest_cache
