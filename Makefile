# The commands of the project. `make demo` and `make test` need only a Rust toolchain on Debian or Ubuntu:
# tests/install.sh brings what is missing (as root or through sudo) and returns at once when all is there.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.PHONY: help demo test test-drivers bench chaos differential fuzz check-style check-docs install-demo install-test install-bench

CARGO ?= cargo
TARGET := $(if $(CARGO_TARGET_DIR),$(CARGO_TARGET_DIR),target)
# Arguments of the demo, e.g. make demo ARGS="--shards 4 --dir /tmp/shop".
ARGS ?=

help:
	@echo 'make demo    install what is missing, build, start private shards, load the shop, serve (Ctrl-C stops all)'
	@echo 'make bench   load through dbmesh, through other proxies and straight, side by side; ARGS="--help" for its parts'
	@echo 'make chaos   misbehaving clients and dying servers beside sessions that look closely; SECONDS=120 SEED=1'
	@echo 'make differential   random statements on one database and on dbmesh, compared; STATEMENTS=20000 SEED=1'
	@echo 'make fuzz   arbitrary and damaged input to every decoder, the tokenizer and the planner; SECONDS=60 for each target'
	@echo 'make test-drivers   drivers of five languages and their own suites, straight and through dbmesh, compared'
	@echo 'make test    install what is missing, then style, documentation and every test'

install-demo:
	@tests/install.sh demo

install-test:
	@tests/install.sh test '$(TARGET)'

demo: install-demo
	$(CARGO) build --locked --release --bin dbmesh
	exec '$(TARGET)/release/dbmesh' demo $(ARGS)

check-style:
	$(CARGO) fmt --all --check
	$(CARGO) clippy --locked --workspace --all-targets -- -D warnings

check-docs:
	RUSTDOCFLAGS='-D warnings' $(CARGO) doc --locked --workspace --no-deps --document-private-items

test: install-test check-style check-docs
	$(CARGO) test --locked --workspace

test-drivers:
	@tests/install.sh drivers '$(TARGET)'
	DBMESH_DRIVERS=all $(CARGO) test --locked --test live -- driver_matrix --nocapture --test-threads=1

install-bench:
	@tests/install.sh bench

bench: install-bench
	$(CARGO) bench --locked --bench side_by_side -- $(ARGS)

# How long for each protocol; another SEED makes other choices.
chaos: SECONDS ?= 120
chaos: SEED ?= 1
chaos: install-test
	DBMESH_CHAOS_SECONDS=$(SECONDS) DBMESH_CHAOS_SEED=$(SEED) \
		$(CARGO) test --locked --test live -- chaos --nocapture --test-threads=1

differential: STATEMENTS ?= 20000
differential: SEED ?= 1
differential: install-test
	DBMESH_DIFFERENTIAL_STATEMENTS=$(STATEMENTS) DBMESH_DIFFERENTIAL_SEED=$(SEED) \
		$(CARGO) test --locked --test live -- differential --nocapture --test-threads=2

# How long for each target.
fuzz: SECONDS ?= 60
fuzz:
	BOLERO_RANDOM_TEST_TIME_MS=$$(($(SECONDS) * 1000)) BOLERO_RANDOM_ITERATIONS=4000000000 \
		$(CARGO) test --locked --workspace --test fuzz -- --nocapture
