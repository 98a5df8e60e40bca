# The two commands of the README are `make demo` and `make test`. What they need is made here: the
# virtual environment, the build, and the packages that pyproject.toml names.

# The interpreter of a new environment: the first of these that is at least 3.11.
PYTHON ?= $(shell for python in python3.13 python3.12 python3.11 python3 python; do \
	$$python -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null \
	&& echo $$python && break; done)
VENV = .venv
BIN = $(VENV)/bin
TOOLS = $(CURDIR)/target/tools/bin
MATRIX = $(foreach version,3.11 3.12 3.13,$(if $(shell tools/find-python $(version)),$(version)))
BENCH_PYTHONS = $(foreach version,3.11 3.12 3.13 3.14,$(if $(shell tools/find-python $(version)),$(version)))
BENCH_NEWEST = $(lastword $(BENCH_PYTHONS))
# Optimized, and yet a model fails when a debug assertion does or a count goes below zero: loom's own
# work takes so much longer that it costs nothing that can be measured.
LOOM = RUSTFLAGS="--cfg aiopool_models" CARGO_TARGET_DIR=target/loom \
	CARGO_PROFILE_RELEASE_DEBUG_ASSERTIONS=true CARGO_PROFILE_RELEASE_OVERFLOW_CHECKS=true
SHUTTLE = RUSTFLAGS="--cfg aiopool_models --cfg aiopool_shuttle" CARGO_TARGET_DIR=target/loom \
	CARGO_PROFILE_RELEASE_DEBUG_ASSERTIONS=true CARGO_PROFILE_RELEASE_OVERFLOW_CHECKS=true
# What is compiled only for an interpreter without a global lock is checked as for one.
FREE_THREADED = PYO3_CONFIG_FILE=$(CURDIR)/tools/free-threaded.cfg \
	CARGO_TARGET_DIR=target/free-threaded
RUST_FILES = Cargo.toml Cargo.lock $(shell find crates -name '*.rs' -o -name Cargo.toml)

# Nothing of the caller's own environments reaches the commands.
export VIRTUAL_ENV =
export PYTHONPATH =
export PYO3_PYTHON = $(CURDIR)/$(BIN)/python

.PHONY: demo demo-rust loadtest soak stress fuzz mutants sanitize miri bench bench-quick \
	bench-instructions test test-rust test-loom test-shuttle test-python test-matrix test-rest test-bench \
	test-services beside-servers services-python services-in-rust msrv packages audit lint public-api \
	check-public-api unsafe format clean

demo: $(BIN)/.built
	$(BIN)/python examples/crawl $(ARGS)

demo-rust:
	cargo run --release --locked -p aiopool-crawl --example crawl -- $(ARGS)

loadtest: $(BIN)/.built
	$(BIN)/python -m asyncio_pool.loadtest $(or $(ARGS),map)

# The long ones take at most so many seconds for each of their parts.
SECONDS = 600

# Ten million jobs through one pool, for each kind of tasks.
soak: $(BIN)/.built
	$(BIN)/python tests/support/soak.py --seconds $(SECONDS) $(ARGS)
	$(BIN)/python tests/support/soak.py --seconds $(SECONDS) --reuse-tasks $(ARGS)

# The Tokio face: eight threads that do whatever comes into their heads.
stress:
	STRESS_SECONDS=$(SECONDS) cargo test --release --locked -p aiopool --test stress -- \
		--nocapture --test-threads 1

# The core: steps that a fuzzer makes up. What it finds worth keeping it keeps under target.
fuzz: $(TOOLS)/cargo-fuzz
	mkdir -p target/corpus
	cd crates/aiopool-core && RUSTC_BOOTSTRAP=1 CARGO_TARGET_DIR=$(CURDIR)/target/fuzz \
		$(TOOLS)/cargo-fuzz run --sanitizer none steps \
		$(CURDIR)/target/corpus $(CURDIR)/crates/aiopool-core/tests/corpus -- \
		-max_len=400 -max_total_time=$(SECONDS) -print_final_stats=1 $(ARGS)

# The core: each change of it has to fail a test; see .cargo/mutants.toml.
mutants: $(TOOLS)/cargo-mutants
	$(TOOLS)/cargo-mutants mutants --package aiopool-core --output target $(ARGS)

# The Tokio face: the stress test under AddressSanitizer and ThreadSanitizer.
sanitize:
	tools/sanitize $(SECONDS)

# The Tokio face in Miri, which sees whether unsafe code keeps to the rules of the language. Needs a
# nightly compiler with the component miri. A million jobs take it hours, and a payload that cannot be
# dropped is forgotten, which it would call a leak.
miri:
	MIRIFLAGS=-Zmiri-disable-isolation CARGO_TARGET_DIR=target/miri \
		cargo +nightly miri test --locked -p aiopool --lib --test pool -- --skip a_million \
		--skip whose_drop_panics_too \
		$(or $(ARGS),callbacks:: cancel:: cell:: drop_order:: handle:: panics:: posts::)

$(TOOLS)/%:
	cargo install --locked --root target/tools $*

# Each Python in an environment of its own; that of the newest also draws the charts.
bench: $(BENCH_PYTHONS:%=bench-on-%) bench-report
	.venv-bench-$(BENCH_NEWEST)/bin/python benchmarks/run.py $(ARGS)

bench-quick: bench-on-$(BENCH_NEWEST) bench-report
	.venv-bench-$(BENCH_NEWEST)/bin/python benchmarks/run.py --quick $(ARGS)

bench-on-%:
	$(MAKE) .venv-bench-$*/bin/.bench VENV=.venv-bench-$* PYTHON="$(shell tools/find-python $*)"

bench-report: bench-on-$(BENCH_NEWEST)
	$(MAKE) .venv-bench-$(BENCH_NEWEST)/bin/.report VENV=.venv-bench-$(BENCH_NEWEST)

test: test-rust test-python

# Without the benchmark, most of whose building is that of its peers, and what needs servers: see
# test-bench and test-services.
test-rust: $(BIN)/python test-loom test-shuttle
	cargo test --workspace --exclude aiopool-bench --exclude aiopool-services --locked

# What loom replaces is built under a cfg, so in a directory of its own.
test-loom:
	$(LOOM) cargo test --release --locked -p aiopool --lib $(ARGS)

# The same models in orders at random; SHUTTLE_RUNS= tells in how many.
test-shuttle:
	$(SHUTTLE) cargo test --release --locked -p aiopool --lib $(ARGS)

test-python: $(BIN)/.built $(BIN)/.test
	$(BIN)/python -m pytest $(ARGS)

# Each Python in an environment of its own.
test-matrix: $(MATRIX:%=test-on-%)
	@echo "passed on Python $(MATRIX)"

# Those that `make test` has not taken.
test-rest: $(BIN)/python
	$(MAKE) test-matrix MATRIX="$(filter-out $(shell $(BIN)/python -c \
		'import sys; print("%d.%d" % sys.version_info[:2])' 2>/dev/null),$(MATRIX))"

test-on-%:
	$(MAKE) test-python VENV=.venv-$* PYTHON="$(shell tools/find-python $*)"

# In the company of real libraries and servers, on each Python found, and in Rust.
test-services: $(BIN)/python
	$(BIN)/python services/servers.py $(MAKE) beside-servers

beside-servers: $(MATRIX:%=services-on-%) services-in-rust
	@echo "passed on Python $(MATRIX), and in Rust"

services-on-%:
	$(MAKE) services-python VENV=.venv-$* PYTHON="$(shell tools/find-python $*)"

services-python: $(BIN)/.built $(BIN)/.services
	$(BIN)/python -m pytest services $(ARGS)

# tokio-console looks into a Tokio of its own build.
services-in-rust:
	cargo test --locked -p aiopool-services
	RUSTFLAGS="--cfg tokio_unstable" CARGO_TARGET_DIR=target/tokio-unstable \
		cargo test --locked -p aiopool-services --test console

# That each case of the benchmark runs.
test-bench:
	cargo test --locked -p aiopool-bench

# Rewrites benchmarks/instructions.txt.
bench-instructions:
	tools/count-instructions

msrv:
	tools/check-msrv

# What would be published, installed and built where nothing else is.
packages: $(BIN)/.built
	tools/check-packages $(foreach version,$(MATRIX),$(shell tools/find-python $(version)))

# Licences and sources of what the crates are built of, and what is known against it and against the
# packages of the environment. The database for the crates is fetched, which not every machine may do.
audit: $(TOOLS)/cargo-deny $(BIN)/.built
	$(TOOLS)/cargo-deny --locked check licenses bans sources
	if $(TOOLS)/cargo-deny fetch db; then $(TOOLS)/cargo-deny --frozen check advisories; \
	else echo "not looked at: advisories against crates"; fi
	$(BIN)/python -m pip install --quiet "pip-audit>=2"
	$(BIN)/pip-audit --local --skip-editable

lint: $(BIN)/.built $(BIN)/.test $(BIN)/.lint
	cargo fmt --all --check
	cargo clippy --workspace --all-targets --locked -- -D warnings
	$(LOOM) cargo clippy --locked -p aiopool --lib --tests -- -D warnings
	$(SHUTTLE) cargo clippy --locked -p aiopool --lib --tests -- -D warnings
	$(FREE_THREADED) cargo clippy --locked -p aiopool-python -- -D warnings
	tools/list-unsafe | diff docs/unsafe.md - || { echo "run make unsafe" >&2; exit 1; }
	RUSTDOCFLAGS="-D warnings" cargo doc --workspace --no-deps --document-private-items --locked
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy python tests/typing
	$(BIN)/mypy examples/crawl
	$(BIN)/mypy benchmarks/run.py benchmarks/report.py
	$(BIN)/mypy benchmarks/python
	$(BIN)/pyright --pythonpath $(BIN)/python
	$(BIN)/python -m mypy.stubtest asyncio_pool._core

# Rewrites what the Rust crates let their users use; the Python package has a test of that.
public-api: $(TOOLS)/cargo-public-api
	tools/public-api > docs/public-api.txt

check-public-api: $(TOOLS)/cargo-public-api
	tools/public-api | diff docs/public-api.txt - || { echo "run make public-api" >&2; exit 1; }

# Rewrites docs/unsafe.md.
unsafe:
	tools/list-unsafe > docs/unsafe.md

format:
	cargo fmt --all
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

clean:
	rm -rf target .venv .venv-* .hypothesis python/asyncio_pool/*.so

$(BIN)/python:
	@test -n "$(PYTHON)" || { echo "Python 3.11 or later is needed, and was not found" >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)

# The package in place, with what the demo needs: only the Rust files have to be built again.
$(BIN)/.built: $(BIN)/python $(RUST_FILES) pyproject.toml
	$(BIN)/python -m pip install --quiet "maturin>=1.16,<2"
	VIRTUAL_ENV=$(CURDIR)/$(VENV) $(BIN)/maturin develop --release --locked --quiet --extras demo
	touch $@

$(BIN)/.test $(BIN)/.lint $(BIN)/.services: $(BIN)/.%: $(BIN)/python pyproject.toml
	$(BIN)/python -m pip install --quiet "pip>=25.1" # which knows dependency groups
	$(BIN)/python -m pip install --quiet --group $*
	touch $@

# asyncio-pool has the import name of this package, so it has a folder of its own.
$(BIN)/.bench: $(BIN)/.built benchmarks/requirements.txt benchmarks/requirements-original.txt
	$(BIN)/python -m pip install --quiet -r benchmarks/requirements.txt
	$(BIN)/python -m pip install --quiet --upgrade --target $(VENV)/original \
		-r benchmarks/requirements-original.txt
	touch $@

$(BIN)/.report: $(BIN)/python benchmarks/requirements-report.txt
	$(BIN)/python -m pip install --quiet -r benchmarks/requirements-report.txt
	touch $@
