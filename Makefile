# The two commands of the README are `make demo` and `make test`. All that they need is made here:
# virtual environments, builds and the packages of pyproject.toml.

PYTHON ?= $(shell for p in python3.13 python3.12 python3.11 python3; do \
	$$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$p && break; done)
VENV = .venv
BIN = $(VENV)/bin
RUST_SOURCES = Cargo.toml Cargo.lock $(shell find crates -name '*.rs' -o -name 'Cargo.toml')

export VIRTUAL_ENV =
export PYTHONPATH =

.PHONY: demo test test-rust test-python test-matrix lint format loadtest clean

demo: $(BIN)/.demo
	$(BIN)/python examples/crawl $(ARGS)

loadtest: $(BIN)/.built
	$(BIN)/python -m asyncio_pool.loadtest $(or $(ARGS),map)

test: test-rust test-python

test-rust:
	cargo test --workspace --locked

test-python: $(BIN)/.demo $(BIN)/.test
	$(BIN)/python -m pytest $(ARGS)

# Every Python from 3.11 on that is found, each in an environment of its own.
MATRIX = $(foreach v,3.11 3.12 3.13,$(if $(shell tools/find-python $(v)),$(v)))

test-matrix: $(MATRIX:%=test-on-%)
	@echo "passed on: $(MATRIX)"

test-on-%:
	$(MAKE) test-python VENV=.venv-$* PYTHON=$(shell tools/find-python $*)

lint: $(BIN)/.demo $(BIN)/.test $(BIN)/.lint
	cargo fmt --all --check
	cargo clippy --workspace --all-targets --locked -- -D warnings
	RUSTDOCFLAGS="-D warnings" cargo doc --workspace --no-deps --locked --quiet
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy python examples/crawl tests/typing
	$(BIN)/pyright --pythonpath $(BIN)/python python tests/typing
	$(BIN)/python -m mypy.stubtest asyncio_pool._core

format:
	cargo fmt --all
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

clean:
	rm -rf target .venv .venv-* .hypothesis

$(BIN)/python:
	@test -n "$(PYTHON)" || { echo "Python 3.11 or later is needed and was not found" >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade "pip>=25.1"

# The package itself, in place: Python files are read from python/, so only Rust is built.
$(BIN)/.built: $(BIN)/python $(RUST_SOURCES) pyproject.toml
	$(BIN)/python -m pip install --quiet "maturin>=1.16,<2"
	VIRTUAL_ENV=$(CURDIR)/$(VENV) $(BIN)/maturin develop --release --locked --quiet
	touch $@

$(BIN)/.demo: $(BIN)/.built
	$(BIN)/python -m pip install --quiet "aiohttp>=3.10,<4"
	touch $@

$(BIN)/.test $(BIN)/.lint: $(BIN)/.%: $(BIN)/python pyproject.toml
	$(BIN)/python -m pip install --quiet --group $*
	touch $@
