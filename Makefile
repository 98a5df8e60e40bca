# The two commands of the README are `make demo` and `make test`. What they need is made here: the
# virtual environment, the build, and the packages that pyproject.toml names.

PYTHONS = 3.15 3.14 3.13 3.12 3.11
# The interpreter of a new environment: the first of these that is at least 3.11.
PYTHON ?= $(shell for python in $(PYTHONS:%=python%) python3 python; do \
	$$python -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null \
	&& echo $$python && break; done)
VENV = .venv
BIN = $(VENV)/bin
TOOLS = $(CURDIR)/target/tools/bin
MATRIX = $(foreach version,$(PYTHONS),$(if $(shell tools/find-python $(version)),$(version)))
# The newest, the oldest and one between them, for what takes too long on all.
SOME = $(filter 3.15 3.13 3.11,$(MATRIX))
NEWEST = $(firstword $(MATRIX))
# Each has an environment and a build of its own, so two of them can be made and tested at once.
ON = VENV=.venv-$* PYTHON="$(shell tools/find-python $*)" CARGO_TARGET_DIR=target/python-$*
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
# The compiler of 3.15.0 breaks plain `async for` loops, with this package or without.
export PYTHON_JIT = 0
export PYO3_PYTHON = $(CURDIR)/$(BIN)/python

.PHONY: help demo demo-rust loadtest test test-rust test-loom test-shuttle test-python test-matrix \
	test-rest pythons test-services beside-servers services-python services-in-rust test-bench soak \
	nesting stress fuzz mutants sanitize miri bench bench-quick bench-instructions msrv packages audit lint \
	public-api check-public-api unsafe format clean

help: ## this list
	@awk -F ' ## ' '/^## / { printf "\n%s\n", substr($$0, 4) } \
		/^[a-z-]+:.* ## / { sub(/:.*/, "", $$1); printf "  %-20s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

## To see it at work (ARGS= is passed on to most)

demo: $(BIN)/.built ## crawls a generated web site with two pools; ARGS=--help tells the options
	$(BIN)/python examples/crawl $(ARGS)

demo-rust: ## the same with the Tokio face
	cargo run --release --locked -p aiopool-crawl --example crawl -- $(ARGS)

loadtest: $(BIN)/.built ## what a pool adds to 100,000 sleeps; ARGS=spawn for another verb than map
	$(BIN)/python -m aiopool.loadtest $(or $(ARGS),map)

## Tests

test: test-rust test-python ## the Rust tests, then pytest on the Python of the environment

# Without the benchmark, most of whose building is that of its peers, and what needs servers: see
# test-bench and test-services.
test-rust: $(BIN)/python test-loom test-shuttle ## the Rust tests
	cargo test --workspace --exclude aiopool-bench --exclude aiopool-services --locked
	cargo test -p aiopool --features tracing,metrics --test tracing --test metrics --locked

# What loom replaces is built under a cfg, so in a directory of its own.
test-loom: ## the models of the Tokio face in all orders; ARGS=stream for a part
	$(LOOM) cargo test --release --locked -p aiopool --lib $(ARGS)

test-shuttle: ## the same models in orders at random; SHUTTLE_RUNS= tells in how many
	$(SHUTTLE) cargo test --release --locked -p aiopool --lib $(ARGS)

test-python: $(BIN)/.built $(BIN)/.test ## pytest; ARGS='-k cancel --loops asyncio' for a part
	$(BIN)/python -m pytest $(ARGS)

test-matrix: $(MATRIX:%=test-on-%) ## pytest in full on each Python found; -j2 for two at once
	@echo "passed on Python $(MATRIX)"

# What `make test` has not taken: all on the newest, in asyncio's loop and uvloop; on those between what
# depends on the version, in asyncio's loop, on one of them in its debug mode.
test-rest: $(BIN)/python ## what .ci/run tests besides: the other Pythons, in part
	$(MAKE) $(REST:%=test-briefly-on-%)
	@echo "passed on Python $(REST)"

REST = $(filter-out $(shell $(BIN)/python -c \
	'import sys; print("%d.%d" % sys.version_info[:2])' 2>/dev/null),$(MATRIX))
LOOPS_ON_$(NEWEST) = asyncio,uvloop
LOOPS_ON_3.13 = asyncio-debug
# Of those between.
FOLDERS = tests/jobs tests/verbs tests/loop tests/limits

test-on-%:
	$(MAKE) test-python $(ON)

test-briefly-on-%:
	$(MAKE) test-python $(ON) ARGS="--loops $(or $(LOOPS_ON_$*),asyncio) \
		$(if $(filter $*,$(NEWEST)),,$(FOLDERS)) $(ARGS)"

pythons: $(PYTHONS:%=python-%) ## gets those Pythons that the machine lacks, into AIOPOOL_PYTHONS=

python-%:
	@test -n "$$(tools/find-python $*)" || \
		tools/get-python $* "$${AIOPOOL_PYTHONS:-target/pythons}/$*"

test-services: $(BIN)/python ## both faces in the company of real libraries and servers
	$(BIN)/python tests/services/servers.py $(MAKE) beside-servers

beside-servers: $(SOME:%=services-on-%) services-in-rust
	@echo "passed on Python $(SOME), and in Rust"

services-on-%:
	$(MAKE) services-python $(ON)

# Not on the double of other loops: anyio sets timers that its timers do not reach.
services-python: $(BIN)/.built $(BIN)/.services
	$(BIN)/python -m pytest tests/services --loops asyncio $(ARGS)

# tokio-console and hooks are of a Tokio of its own build.
services-in-rust:
	cargo test --locked -p aiopool-services
	RUSTFLAGS="--cfg tokio_unstable" CARGO_TARGET_DIR=target/tokio-unstable \
		cargo test --locked -p aiopool-services --test console --test hooks

test-bench: ## that each case of the Rust benchmark runs
	cargo test --locked -p aiopool-bench

## Tests that take long

# The long ones take at most so many seconds for each of their parts.
SECONDS = 600

soak: $(BIN)/.built ## ten million jobs through one pool, for each kind of tasks
	$(BIN)/python tests/support/soak.py --seconds $(SECONDS) $(ARGS)
	$(BIN)/python tests/support/soak.py --seconds $(SECONDS) --reuse-tasks $(ARGS)

nesting: $(BIN)/.built ## 100,000 jobs in random trees that wait for each other, on each face
	PYTHONPATH=tests/support $(BIN)/python tests/support/trees.py $(or $(ARGS),0 100000)
	NESTING_JOBS=100000 cargo test --locked -p aiopool --test pool random_trees

stress: ## the Tokio face: eight threads that do whatever comes into their heads
	STRESS_SECONDS=$(SECONDS) cargo test --release --locked -p aiopool --test stress -- \
		--nocapture --test-threads 1

# What the fuzzer finds worth keeping it keeps under target.
fuzz: $(TOOLS)/cargo-fuzz ## the core: steps that a fuzzer makes up
	mkdir -p target/corpus
	cd crates/aiopool-core && RUSTC_BOOTSTRAP=1 CARGO_TARGET_DIR=$(CURDIR)/target/fuzz \
		$(TOOLS)/cargo-fuzz run --sanitizer none steps \
		$(CURDIR)/target/corpus $(CURDIR)/crates/aiopool-core/tests/corpus -- \
		-max_len=400 -max_total_time=$(SECONDS) -print_final_stats=1 $(ARGS)

mutants: $(TOOLS)/cargo-mutants ## the core: each change of it has to fail a test
	$(TOOLS)/cargo-mutants mutants --package aiopool-core --output target $(ARGS)

sanitize: ## the stress test under AddressSanitizer and ThreadSanitizer
	tools/sanitize $(SECONDS)

# Miri sees whether unsafe code keeps to the rules of the language. A million jobs take it hours, and a
# payload that cannot be dropped is forgotten, which it would call a leak.
miri: ## the Tokio face in Miri, with a nightly compiler that has it
	MIRIFLAGS=-Zmiri-disable-isolation CARGO_TARGET_DIR=target/miri \
		cargo +nightly miri test --locked -p aiopool --lib --test pool -- --skip a_million \
		--skip whose_drop_panics_too \
		$(or $(ARGS),callbacks:: cancel:: cell:: drop_order:: handle:: panics:: workers::)

## Benchmarks

# Each Python has its peers; the environment of the newest also draws the charts.
bench: $(SOME:%=bench-on-%) bench-report ## both faces beside their peers: well over an hour
	.venv-bench-$(NEWEST)/bin/python benchmarks/run.py $(ARGS)

bench-quick: bench-on-$(NEWEST) bench-report ## the same on one Python: under five minutes
	.venv-bench-$(NEWEST)/bin/python benchmarks/run.py --quick $(ARGS)

bench-on-%:
	$(MAKE) .venv-bench-$*/bin/.bench VENV=.venv-bench-$* PYTHON="$(shell tools/find-python $*)"
	$(if $(shell command -v npm),$(MAKE) benchmarks/node/node_modules)

bench-report: bench-on-$(NEWEST)
	$(MAKE) .venv-bench-$(NEWEST)/bin/.report VENV=.venv-bench-$(NEWEST)

# The asyncio face on the oldest and the newest Python.
COUNTED = $(sort $(firstword $(MATRIX)) $(lastword $(MATRIX)))

bench-instructions: $(COUNTED:%=built-on-%) ## writes benchmarks/instructions.txt anew; needs valgrind
	tools/count-instructions $(COUNTED:%=.venv-%/bin/python)

built-on-%:
	$(MAKE) .venv-$*/bin/.built $(ON)

## Checks

msrv: ## the crates with the oldest compiler and the oldest Tokio that they admit
	tools/check-msrv
	tools/check-minimal-versions

packages: $(BIN)/.built ## what would be published, installed and built where nothing else is
	tools/check-packages $(foreach version,$(MATRIX),$(shell tools/find-python $(version)))

# The database for the crates is fetched, which not every machine may do.
audit: $(TOOLS)/cargo-deny $(BIN)/.built ## licences, sources and advisories of what it is built of
	$(TOOLS)/cargo-deny --locked check licenses bans sources
	if $(TOOLS)/cargo-deny fetch db; then $(TOOLS)/cargo-deny --frozen check advisories; \
	else echo "not looked at: advisories against crates"; fi
	$(BIN)/python -m pip install --quiet "pip-audit>=2"
	$(BIN)/pip-audit --local --skip-editable

lint: $(BIN)/.built $(BIN)/.test $(BIN)/.lint ## formatters, linters, type checkers, rustdoc
	cargo fmt --all --check
	cargo clippy --workspace --all-targets --locked -- -D warnings
	cargo clippy -p aiopool --all-features --all-targets --locked -- -D warnings
	$(LOOM) cargo clippy --locked -p aiopool --lib --profile test -- -D warnings
	$(SHUTTLE) cargo clippy --locked -p aiopool --lib --profile test -- -D warnings
	$(FREE_THREADED) cargo clippy --locked -p aiopool-python -- -D warnings
	$(BIN)/python tools/check-layers
	tools/list-unsafe | diff docs/unsafe.md - || { echo "run make unsafe" >&2; exit 1; }
	RUSTDOCFLAGS="-D warnings" cargo doc --workspace --no-deps --document-private-items --locked
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy python tests/typing
	$(BIN)/mypy examples/crawl
	$(BIN)/mypy examples/limits
	$(BIN)/mypy benchmarks/run.py benchmarks/report.py
	$(BIN)/mypy benchmarks/python
	$(BIN)/pyright --pythonpath $(BIN)/python
	$(BIN)/python -m mypy.stubtest aiopool._core

# The Python package has a test of that.
public-api: $(TOOLS)/cargo-public-api ## writes docs/public-api.txt anew: what the Rust crates offer
	tools/public-api > docs/public-api.txt

check-public-api: $(TOOLS)/cargo-public-api ## that it is what is written there
	tools/public-api | diff docs/public-api.txt - || { echo "run make public-api" >&2; exit 1; }

unsafe: ## writes docs/unsafe.md anew
	tools/list-unsafe > docs/unsafe.md

format: $(BIN)/.lint ## what the formatters can mend
	cargo fmt --all
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

clean: ## removes what was built and installed
	rm -rf target .venv .venv-* .hypothesis python/aiopool/*.so

$(TOOLS)/%:
	cargo install --locked --root target/tools $*

$(BIN)/python:
	@test -n "$(PYTHON)" || { echo "Python 3.11 or later is needed, and was not found" >&2; exit 1; }
	$(PYTHON) -m venv --clear $(VENV) # which may be there with an interpreter that is no more

# The package in place, with what the demo needs: only the Rust files have to be built again.
$(BIN)/.built: $(BIN)/python $(RUST_FILES) pyproject.toml
	$(BIN)/python -m pip install --quiet "maturin>=1.16,<2"
	VIRTUAL_ENV=$(CURDIR)/$(VENV) $(BIN)/maturin develop --release --locked --quiet --extras demo
	touch $@

# After the build: two at once would spoil the environment.
$(BIN)/.test $(BIN)/.lint $(BIN)/.services: $(BIN)/.%: $(BIN)/python pyproject.toml | $(BIN)/.built
	$(BIN)/python -m pip install --quiet "pip>=25.1" # which knows dependency groups
	$(BIN)/python -m pip install --quiet --group $*
	touch $@

# asyncio-pool has the import name of this package, so it has a folder of its own.
$(BIN)/.bench: $(BIN)/.built benchmarks/requirements.txt benchmarks/requirements-original.txt
	$(BIN)/python -m pip install --quiet -r benchmarks/requirements.txt
	$(BIN)/python -m pip install --quiet --upgrade --target $(VENV)/original \
		-r benchmarks/requirements-original.txt
	touch $@

# Its peers are measured where there is Node.
benchmarks/node/node_modules: benchmarks/node/package.json
	npm install --prefix benchmarks/node --silent --no-audit --no-fund --no-package-lock
	touch $@

$(BIN)/.report: $(BIN)/python benchmarks/requirements-report.txt
	$(BIN)/python -m pip install --quiet -r benchmarks/requirements-report.txt
	touch $@
