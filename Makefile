# `make demo` to see it work, `make test` to check everything; `make` alone lists the rest.

SHELL := /bin/bash
TARGET := $(or $(CARGO_TARGET_DIR),target)
FRESH := $(TARGET)/generated

# Generated files that are committed, and what prints each of them. Add a line to both.
GENERATED := migrations/schema.sql bindings-c/include/lavoro.h
print.migrations/schema.sql = cargo run -q -p lavoro-migrations --example generate_schema
print.bindings-c/include/lavoro.h = cargo run -q -p lavoro-c --example generate_header

.DEFAULT_GOAL := help
.NOTPARALLEL:
# What make edges runs the database suites on.
OLDEST := 14
NEWEST := 18

.PHONY: help demo test lint build unit edges sabotage plain package bench soak generate verify deny clean
.PHONY: test-matrix test-pooler deps postgres pooler clock storm python node c polyglot

help: ## List these targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "make %-11s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

demo: postgres ## Build in release mode and show Lavoro at work
	cargo build --release -p lavoro-cli -p lavoro-demo
	$(TARGET)/release/lavoro-demo

test: deps lint build unit plain verify package python node c polyglot ## Everything that must pass; CI runs exactly this

lint: ## Formatting and clippy; a warning is an error
	cargo fmt --all --check
	cargo clippy --workspace --all-targets -- -D warnings
	cargo clippy -p lavoro-core -p lavoro-tests -p lavoro-soak --all-targets \
		--features lavoro-tests/sabotage,lavoro-soak/sabotage -- -D warnings

build:
	cargo build --workspace --lib --bins --examples

unit: build
	cargo test --workspace

node: deps ## Build and test the package for Node.js: addon, types, TypeScript
	cd bindings-node && npm ci && npm run native -- --check && npm run compile && npm run types && npm test

c: build ## Build liblavoro; its tests in C, C++ and Python
	@scripts/deps.sh c
	$(MAKE) -C bindings-c check PROFILE=debug

polyglot: python node c ## Producers and workers of every language on one database
	scripts/polyglot.sh

edges: build ## The database suites on the oldest and the newest PostgreSQL
	scripts/matrix.sh $(OLDEST) $(NEWEST)

test-matrix: build ## The database suites on each major version of PostgreSQL; C under valgrind
	scripts/matrix.sh 14 15 16 17 18
	@scripts/deps.sh c
	$(MAKE) -C bindings-c valgrind PROFILE=debug

test-pooler: pooler build ## The core suite through PgBouncer in transaction mode
	scripts/pooler.sh

sabotage: deps ## Break the engine on purpose in many ways: a test must see each
	cargo test -p lavoro-tests --features sabotage --test core sabotage:: -- --nocapture
	cargo test -p lavoro-soak --features sabotage --test sabotage -- --nocapture

# Nothing of that is in a program that others get.
plain: build
	@! grep -q LAVORO_SABOTAGE $(TARGET)/debug/lavoro || \
		{ echo "the program lavoro was built with the feature sabotage" >&2; exit 1; }

# What is published must build outside of this tree.
package:
	cargo package -p lavoro-migrations --allow-dirty

python: postgres ## The wheel of Python: built, installed apart, tested, its types checked
	scripts/python.sh

bench: postgres ## Release build, then `lavoro bench`
	cargo build --release -p lavoro-cli
	$(TARGET)/release/lavoro bench

# JOBS, FAULTS (of each class), SEED, MINUTES (after which no more faults come).
soak: deps ## Hours of faults with an account of every job; docs/reliability.md
	cargo build --release -p lavoro-soak
	$(TARGET)/release/lavoro-soak run --jobs $(or $(JOBS),200000) --faults $(or $(FAULTS),100) \
		--minutes $(or $(MINUTES),600) $(if $(SEED),--seed $(SEED))

# SECONDS: how long faults strike.
storm: deps ## Minutes of schedules under faults with an account of every slot; docs/adr/0011-schedules.md
	LAVORO_STORM_SECONDS=$(or $(SECONDS),600) \
		cargo test -p lavoro-tests --test core scheduler_storm:: -- --nocapture

generate: $(GENERATED:%=generate/%) ## Rewrite the generated files

verify: $(GENERATED:%=verify/%) ## Fail if a generated file is out of date

FRESHEN = @mkdir -p $(dir $(FRESH)/$*) && $(print.$*) >$(FRESH)/$*

.PHONY: $(GENERATED:%=generate/%) $(GENERATED:%=verify/%)
$(GENERATED:%=generate/%): generate/%:
	$(FRESHEN)
	cp $(FRESH)/$* $*

$(GENERATED:%=verify/%): verify/%:
	$(FRESHEN)
	@diff -u $* $(FRESH)/$* || { echo "$* is out of date: run make generate and commit it" >&2; exit 1; }
	@echo "$* is up to date"

deny: ## Licences, sources and advisories of the dependencies
	@command -v cargo-deny >/dev/null || \
		{ echo "cargo-deny is missing: cargo install --locked cargo-deny" >&2; exit 1; }
	cargo deny check

deps: postgres pooler clock ## Make sure that PostgreSQL, PgBouncer and libfaketime are on this machine

postgres:
	@scripts/deps.sh

pooler:
	@scripts/deps.sh pooler

clock:
	@scripts/deps.sh clock

clean: ## Remove what was built
	cargo clean
	rm -rf demo-output
