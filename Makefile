# make            lists the targets
# make run        the demo, on a machine that has nothing but Rust
# Variables:      ORDERS=FILE (.ndjson or .ndjson.gz, one order a line), ARGS='...' (further flags of `orderflow up`, of a bench)
#                 SECONDS=600 (how long to fuzz), SEED=7 and MINUTES=30 (of chaos)

.DEFAULT_GOAL := help
.NOTPARALLEL:
.PHONY: help run test chaos bench bench-mapping fuzz lint deps clean-data

# Finds or fetches a nats-server and hands it to what follows.
with_nats = NATS_SERVER="$$(deploy/get-nats-server.sh)" && export NATS_SERVER &&
# The same for a PostgreSQL server.
with_postgres = POSTGRES_BIN="$$(deploy/get-postgres.sh)" && export POSTGRES_BIN &&
# And for a PgBouncer.
with_pgbouncer = PGBOUNCER="$$(deploy/get-pgbouncer.sh)" && export PGBOUNCER &&

# What `make bench` runs; each also alone: cargo bench -p orderflow-tests --bench NAME -- ARGS
benches = pipeline write fetch transform latency scale start idle pure

help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-14s %s\n", $$1, $$2 }' Makefile

run: deps ## the whole pipeline once against the sandbox: ORDERS=FILE, ARGS='...'
	@$(with_nats) cargo build --release --locked -p orderflow && \
	./target/release/orderflow up --demo --once $(if $(ORDERS),--orders $(ORDERS)) $(ARGS)

test: deps ## every test, against a real nats-server, PostgreSQL and PgBouncer
	@$(with_nats) $(with_postgres) $(with_pgbouncer) INSTA_UPDATE=no INSTA_FORCE_PASS=0 cargo test --workspace --locked --no-fail-fast

chaos: deps ## processes killed, paused and cut off while orders change: SEED=7 MINUTES=30; without, ten seeds of a minute
	@$(with_nats) cargo test --locked -p orderflow-tests --test chaos

bench: deps ## every bench and one table of all: ARGS='--compare FILE', '--runs N', '--orders N', '--million'
	@$(with_nats) export BENCH_RUN="$$(date +%s)" && { failed=0; \
	cargo bench --locked --no-fail-fast -p orderflow-tests $(addprefix --bench ,$(benches)) -- $(ARGS) || failed=$$?; \
	cargo bench --locked --quiet -p orderflow-tests --bench all || failed=$$?; exit $$failed; }

bench-mapping: deps ## mapping alone beside serde_json reading the same bytes, on one core: ORDERS=FILE
	@$(if $(ORDERS),ORDERS="$(abspath $(ORDERS))") cargo bench --locked -p orderflow-tests --bench mapping -- $(ARGS)

fuzz: deps ## any page through any mapping, then any answer of both APIs, each for SECONDS=600
	@tests/fuzz/run $(or $(SECONDS),600)

lint: deps ## formatting, clippy, licences and bans of the dependencies
	@.ci/run fmt clippy deny

deps: ## checks for cargo and for a C compiler, which zstd and TLS are built with
	@command -v cargo >/dev/null || { \
		echo "cargo is missing: install Rust 1.90 or newer, see https://rustup.rs" >&2; exit 1; }
	@command -v cc >/dev/null || { \
		if command -v apt-get >/dev/null && [ "$$(id -u)" = 0 ]; then \
			echo "cc is missing: installing build-essential" >&2; \
			apt-get -qq update && DEBIAN_FRONTEND=noninteractive \
				apt-get -qq install -y --no-install-recommends build-essential >&2; \
		else \
			echo "cc is missing: install a C compiler (Debian: sudo apt-get install build-essential)" >&2; exit 1; \
		fi; }

clean-data: ## forgets what `make run` stored
	rm -rf .orderflow
