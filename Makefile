# One command for each thing that people do here. `make` alone lists them.

SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

CONFIG ?= config.example.yaml

.PHONY: help run build test unit fmt fmt-check lint docs bench setup clean-setup clean

help: ## List the targets
	@awk 'BEGIN { FS = ":.*## " } /^[a-z-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

run: ## Start the gateway with config.example.yaml (needs only Rust; CONFIG=file.yaml for another)
	cargo run --profile quick --package toolgate -- serve --config $(CONFIG)

build: ## Build the release binary, target/release/toolgate
	cargo build --release --package toolgate

test: ## Set up what tests need, then check everything: format, lints, docs, all tests
	@tools/test.sh

unit: ## Run the tests without set-up, lints and docs; FILTER=name picks some
	@tools/run-tests.sh $(FILTER)

fmt: ## Format the Rust code
	cargo fmt --all

fmt-check: ## Fail if the Rust code is not formatted
	cargo fmt --all --check

lint: ## Run clippy on all targets, warnings as errors
	cargo clippy --workspace --all-targets -- --deny warnings

docs: ## Build the API documentation, warnings as errors
	RUSTDOCFLAGS="--deny warnings" cargo doc --no-deps --workspace

bench: ## Measure the gateway beside nginx and a direct connection
	bench/run.sh

setup: ## Install what the tests need (real MCP clients and servers, into .setup)
	@tools/setup.sh

clean-setup: ## Remove what `make setup` put into .setup
	rm -rf .setup

clean: ## Remove everything that was built
	cargo clean
