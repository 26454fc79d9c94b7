# The tasks of the project. "make help" lists them.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

GO ?= go
FUZZTIME ?= 10s

# One package's tests may take long on a loaded machine of two cores; a test that
# hangs is found all the same. One package more is tested at a time than there are cores:
# many wait, for brokers to start and for failures to be noticed.
TEST_FLAGS ?= -race -shuffle=on -timeout 15m -p $(shell echo $$(($$(getconf _NPROCESSORS_ONLN) + 1)))

GO_FILES = find . -name '*.go' -not -path './.cache/*' -not -path '*/node_modules/*'

.PHONY: help build run test prepare test-flags lint generate fuzz kafka kafka-stop cassandra cassandra-stop bench-peers bench bench-quick bench-million verify verify-mutations clean

help: ## list the tasks
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  %-16s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

build: ## build bin/godwit
	CGO_ENABLED=0 $(GO) build -trimpath -o bin/godwit ./tools/godwit

run: build ## build, then run a server for development
	bin/godwit dev

test: prepare ## install what the tests use, lint, and run all tests
	$(GO) test $(TEST_FLAGS) ./...

# What counts allocations runs without the race detector, under which pools forget.
prepare: ## all of test but the tests under the race detector
	@bash tools/setup/all.sh
	@$(MAKE) --no-print-directory lint
	$(GO) test -run 'Alloc' ./backplane/... ./codec/... ./registry/... ./server/...

test-flags:
	@echo $(TEST_FLAGS)

lint: ## gofmt, go vet and staticcheck
	@unformatted=$$($(GO_FILES) -print0 | xargs -0 gofmt -l); \
	if [[ -n $$unformatted ]]; then echo "gofmt would change:"; echo "$$unformatted"; exit 1; fi
	$(GO) vet ./...
	$(GO) tool staticcheck ./...

generate: ## make generated code anew
	$(GO) generate ./...

fuzz: ## run every fuzz target for FUZZTIME (10s)
	@for package in $$($(GO) list ./...); do \
	  for target in $$($(GO) test -list '^Fuzz' $$package | grep '^Fuzz' || true); do \
	    echo "$$package $$target"; \
	    $(GO) test -run '^$$' -fuzz "^$$target\$$" -fuzztime $(FUZZTIME) $$package; \
	  done; \
	done

# One benchmark is one measurement; see bench/doc.go. BENCH chooses, COUNT repeats. All of
# them take less than 20 minutes at their full size, and 3 at the small one.
BENCH ?= .
COUNT ?= 1
BENCH_FLAGS = -run '^$$' -bench '$(BENCH)' -count $(COUNT)

bench: ## measure everything but the full million, and print a table
	GODWIT_REQUIRE_SERVICES=1 $(GO) test ./bench $(BENCH_FLAGS) -progress -timeout 2h

bench-quick: ## run every benchmark once at a small size, to see that it works
	GODWIT_REQUIRE_SERVICES=1 $(GO) test ./bench $(BENCH_FLAGS) -quick -timeout 15m

bench-million: BENCH = ^BenchmarkMillion$$
bench-million: ## hold a million connections in one process (24 GiB of memory)
	GODWIT_REQUIRE_SERVICES=1 $(GO) test ./bench $(BENCH_FLAGS) -conns 1000000 -progress -timeout 3h

# Four clusters, each under load for VERIFY_DURATION; with starting, healing and reading it
# takes about 20 minutes. SEED is that of the first.
VERIFY_DURATION ?= 4m
SEED ?= 1

verify: build ## test on clusters under faults that nothing acknowledged is lost (20 minutes)
	@bash tools/setup/all.sh
	@bash tools/verify/suite.sh $(VERIFY_DURATION) $(SEED) godwit-verify

# MUTATIONS chooses some by their names, with commas between them.
MUTATIONS ?=

verify-mutations: ## plant bugs one at a time, and test that verify finds each (an hour)
	@bash tools/setup/all.sh
	@$(GO) run ./tools/verify/mutation/mutations -only "$(MUTATIONS)"

kafka: ## start Apache Kafka on port 9092
	@bash tools/kafka/kafka.sh start

kafka-stop: ## stop it
	@bash tools/kafka/kafka.sh stop

cassandra: ## start Apache Cassandra on port 9042
	@bash tools/cassandra/cassandra.sh start

cassandra-stop: ## stop it
	@bash tools/cassandra/cassandra.sh stop

# A module of its own: what godwit is compared with is not what it depends on.
bench-peers: ## build and test the servers that benchmarks compare with
	staticcheck=$$($(GO) tool -n staticcheck); cd bench/peers; \
	$(GO) build -trimpath -o bin/peers .; $(GO) vet ./...; "$$staticcheck" ./...; \
	$(GO) test $(TEST_FLAGS) ./...

clean: ## delete what was built and fetched; not godwit-data
	rm -rf bin
	if [[ -e .cache ]]; then bash tools/kafka/kafka.sh stop && bash tools/cassandra/cassandra.sh stop && rm -rf .cache; fi
