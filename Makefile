# avscope: two commands for a newcomer, `make demo` and `make test`; the rest for those who work on it.

CARGO ?= cargo
# What tests and checks use beside Rust, gcc and make, by their names in apt.
APT_TEST := tshark mmdb-bin prometheus python3 bind9-utils openssl
# And from PyPI: what reads and checks the formats of others.
PIP_TEST := pymisp stix2-validator
# What recording the captures anew uses on top of it.
APT_CAPTURES := tcpdump iproute2 curl openssl python3 bind9 bind9-dnsutils dnsmasq-base tinyproxy-bin microsocks \
	nghttp2-client nghttp2-server samba-common-bin udhcpc isc-dhcp-client
# And from PyPI: real clients and servers of QUIC.
PIP_CAPTURES := aioquic
# What the benches compare with.
APT_BENCH := tcpdump tshark valgrind

RUN := .ci/timed

.PHONY: help demo test check build deps deps-captures deps-bench corpus bench captures fuzz deny clean

help:
	@echo "make demo      build, and report on the office capture in pcaps/"
	@echo "make test      all tests"
	@echo "make check     format, lints, tests, documentation: what every commit passes"
	@echo "make corpus    names and contacts in the captures of \$$AVSCOPE_CORPUS"
	@echo "make bench     speed against cat, per stage and whole"
	@echo "make captures  record pcaps/ anew (root)"
	@echo "make fuzz      ten seconds for every fuzz target (FUZZ_SECONDS=3600 for longer)"
	@echo "make deny      licences and sources of all dependencies (needs cargo-deny)"
	@echo "make deps      install what tests use, by package name"

demo: build
	@echo
	@echo "avscope replay pcaps/demo.pcap"
	@$${CARGO_TARGET_DIR:-target}/release/avscope replay pcaps/demo.pcap

build:
	@$(RUN) build $(CARGO) build --release --locked

test: deps
	@$(RUN) test $(CARGO) test --locked

check: deps
	@$(RUN) fmt $(CARGO) fmt --check
	@$(RUN) clippy $(CARGO) clippy --locked --all-targets -- -D warnings
	@$(RUN) test $(CARGO) test --locked
	@RUSTDOCFLAGS="-D warnings" $(RUN) doc $(CARGO) doc --locked --no-deps --document-private-items

deps:
	@.ci/deps $(APT_TEST)
	@python3 -c 'import pymisp, stix2validator' 2>/dev/null || { echo "installing from PyPI: $(PIP_TEST)"; python3 -m pip install --quiet $(PIP_TEST) || echo "not installed; tests that need it are SKIPPED"; }

deps-captures:
	@.ci/deps $(APT_CAPTURES)
	@python3 -c 'import $(PIP_CAPTURES)' 2>/dev/null || { echo "installing from PyPI: $(PIP_CAPTURES)"; python3 -m pip install --quiet $(PIP_CAPTURES); }

deps-bench:
	@.ci/deps $(APT_BENCH)

# Built as the tests are: what they depend on is compiled once for both.
corpus: deps
	@$(RUN) corpus $(CARGO) run --locked --quiet --example corpus

bench: deps-bench build
	@$(RUN) stages $(CARGO) bench --locked --bench stages
	@$(RUN) bench $(CARGO) run --release --locked --example bench

captures: deps-captures
	@$(RUN) captures python3 pcaps/compose/compose.py --out pcaps/

# The pinned compiler with its nightly features unlocked: no second toolchain is needed.
FUZZ_SECONDS ?= 10
fuzz:
	@command -v cargo-fuzz >/dev/null || { echo "installing cargo-fuzz from crates.io"; $(CARGO) install --locked cargo-fuzz; }
	@for target in $$(cd fuzz && ls fuzz_targets | sed 's/\.rs$$//'); do \
	  RUSTC_BOOTSTRAP=1 $(RUN) fuzz-$$target $(CARGO) fuzz run $$target -- -max_total_time=$(FUZZ_SECONDS) || exit 1; \
	done

deny:
	@command -v cargo-deny >/dev/null || { echo "cargo-deny is not installed: cargo install --locked cargo-deny"; exit 1; }
	$(CARGO) deny --offline check licenses bans sources

clean:
	$(CARGO) clean
