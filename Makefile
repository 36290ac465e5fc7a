# make demo: the main job, without root and without touching the system.
# make test: everything; as root it installs the Debian packages it needs.

# Where another one than the PATH's is to be used.
CARGO ?= cargo

# Between flags that may have blanks in them.
sep := $(shell printf '\037')
# No path of the builder may stand in what we ship.
export CARGO_ENCODED_RUSTFLAGS := --remap-path-prefix=$(HOME)=~$(sep)--remap-path-prefix=$(CURDIR)=pam_mfa
ifneq ($(CARGO_HOME),)
CARGO_ENCODED_RUSTFLAGS := $(CARGO_ENCODED_RUSTFLAGS)$(sep)--remap-path-prefix=$(CARGO_HOME)=cargo
endif
# What we seal is shorter than 100 bytes: to ask the processor for its vectors (in a virtual machine each time
# an exit) takes longer than to do without them.
CARGO_ENCODED_RUSTFLAGS := $(CARGO_ENCODED_RUSTFLAGS)$(sep)--cfg=chacha20_backend="soft"$(sep)--cfg=poly1305_backend="soft"
# Scripts and tests look for what was built here.
export CARGO_TARGET_DIR := $(CURDIR)/target
export MAKEFLAGS += --no-print-directory

.PHONY: build demo test soak fuzz bench deb test-package install audit picture clean

# Each by itself: together, cargo would put the command line's crate features into the module.
build:
	$(CARGO) build --locked --release -p pam_mfa
	$(CARGO) build --locked --release -p mfa-admin
	$(CARGO) build --locked --release -p pam-witness

demo:
	@CARGO="$(CARGO)" scripts/need-linker
	@$(MAKE) build
	@$(CARGO) build --locked --release -p mfa-tests --bin demo
	@target/release/demo

test:
	@scripts/test

# The races of `make test`, ten times as often.
soak: build
	MFA_ROUNDS=2000 $(CARGO) test --locked -p mfa-tests --test once

# Every fuzz target for a minute; installs cargo-fuzz if it is missing.
fuzz:
	@scripts/fuzz

# What a login costs, beside Debian's other modules: docs/benchmarks.md; needs root.
bench:
	@scripts/bench

# The Debian packages, into target/deb.
deb:
	@scripts/deb

# The Debian packages on a clean Debian 12 and 13, made by debootstrap; needs root.
test-package:
	@scripts/test-package

# As root, after `make build` without it.
install:
	scripts/install

# Licences, sources, duplicates and known faults of the crates we use; needs cargo-deny.
audit:
	$(CARGO) deny --locked check

# The picture in README.md, from a real terminal.
picture: build
	$(CARGO) build --locked --release -p mfa-tests --bin demo
	docs/picture/make-picture

clean:
	$(CARGO) clean
