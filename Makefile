# The only entry to the project: `make` lists the targets. Each target does its own set-up.

PYTHON ?= python3.11
PYTEST_ARGS ?=
BENCH_ARGS ?=
SERVE_ARGS ?=
LOCK_ARGS ?=

# Tests start hundreds of interpreters: each would compile what none may keep.
export PYTHONDONTWRITEBYTECODE :=

MAKEFLAGS += --no-print-directory --no-builtin-rules
.DELETE_ON_ERROR:
.DEFAULT_GOAL := help

VENV := .venv
RUN := $(VENV)/bin/python -m
PYTEST := $(RUN) pytest -q
LOCK := requirements-dev.lock
# Named after the checkout: a copied or moved .venv still points to the old place and is made anew.
STAMP := $(VENV)/installed$(subst /,-,$(CURDIR))
# To serve takes a tenth of what to test takes.
SERVE_VENV := .venv-serve
SERVE_LOCK := requirements-serve.lock
SERVE_STAMP := $(SERVE_VENV)/installed$(subst /,-,$(CURDIR))
# Beside the tools, since some of these hold others' versions back.
MEETINGS_VENV := .venv-meetings
MEETINGS_LOCK := requirements-meetings.lock
MEETINGS_STAMP := $(MEETINGS_VENV)/installed$(subst /,-,$(CURDIR))
UV := .venv-lock/bin/uv
COMPILE := $(UV) pip compile --quiet --no-config --universal --python-version 3.11 --generate-hashes \
	--no-emit-index-url --no-emit-find-links --custom-compile-command "make lock"
SUITE := tests/conformance/node_modules/.installed
XTERM := tests/page/node_modules/.installed
PLAYER := tests/browser/node_modules/.installed
APART := slow or fault or browser
ELSEWHERE := root or meetings
# Slow tests wait more than they work; browsers and the conformance suite work, too. The order is that of tests/conftest.py.
SPREAD := --dist loadfile --no-loadscope-reorder
FAST := -n 4 $(SPREAD)
SLOW := -n 6 $(SPREAD)
# Examples of each property beside the slow tests; among the fast ones it has ten.
RUNCAST_TEST_EXAMPLES ?= 100

.PHONY: help
help: ## Show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.PHONY: install
install: $(STAMP) ## Create .venv with the locked tools and an editable runcast (PYTHON=python3.13)
	@:

# A missing stamp means a first, moved or interrupted install, which starts from nothing.
$(STAMP) $(SERVE_STAMP) $(MEETINGS_STAMP): pyproject.toml
	@echo "Installing into $(@D)"
	@test -e $@ || $(PYTHON) -m venv --clear $(@D)
	@$(@D)/bin/python -m pip install -qq --disable-pip-version-check --require-hashes -r $(filter %.lock,$^)
	@$(@D)/bin/python -m pip install -qq --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@
$(STAMP): $(LOCK)
$(SERVE_STAMP): $(SERVE_LOCK)
$(MEETINGS_STAMP): $(MEETINGS_LOCK)

.PHONY: serve
serve: $(SERVE_STAMP) ## Serve the example commands on 127.0.0.1:8765 (SERVE_ARGS="--port 0")
	@exec $(SERVE_VENV)/bin/python -m runcast serve --port 8765 --config examples/server.toml $(SERVE_ARGS)

.PHONY: test-programs
test-programs:
	@scripts/test-programs curl slowhttptest chromium nginx=nginx-light strace node=nodejs npm setpriv=util-linux \
		gcc musl-gcc=musl-tools perl ruby lua5.4 luajit gawk mawk original-awk jq rg=ripgrep busybox make \
		dialog less nano openssl redis-server '/usr/lib/postgresql/*/bin/postgres=postgresql' sqlite3 ssh=openssh-client sshd=openssh-server sudo tmux vim

.PHONY: test
test: $(STAMP) test-programs $(SUITE) $(XTERM) $(PLAYER) ## Run all tests, the fast ones first (PYTEST_ARGS="-k offset")
	@# 5: PYTEST_ARGS chooses none of these. That is allowed to one of the two, and not to both.
	@$(PYTEST) $(FAST) -m "not ($(APART) or $(ELSEWHERE))" $(PYTEST_ARGS); \
	fast=$$?; case $$fast in 0 | 5) ;; *) exit $$fast;; esac; \
	RUNCAST_TEST_EXAMPLES=$(RUNCAST_TEST_EXAMPLES) \
		$(PYTEST) $(SLOW) -m "($(APART) or hypothesis) and not ($(ELSEWHERE))" $(PYTEST_ARGS); \
	apart=$$?; case $$fast$$apart in \
		05) ;; \
		55) $(PYTEST) --collect-only -q $(PYTEST_ARGS) >&2; \
			echo "No test was chosen: see PYTEST_ARGS" >&2; exit 5;; \
		*) exit $$apart;; \
	esac

.PHONY: test-root
test-root: $(STAMP) ## Run the tests that need root: mounts, namespaces, cgroups, other users (PYTEST_ARGS="-k disk")
	@scripts/test-programs linux.uml=user-mode-linux mount setpriv=util-linux sshd=openssh-server sudo unshare=util-linux \
		ip=iproute2 hostname
	@$(PYTEST) $(SLOW) -m "root and not meetings" $(PYTEST_ARGS)

.PHONY: test-meetings
test-meetings: $(STAMP) $(MEETINGS_STAMP) ## Run the tests with the proxies, workers and servers of others (PYTEST_ARGS="-k caddy")
	@scripts/test-programs nginx=nginx-light apache2=apache2-bin haproxy varnishd=varnish lighttpd caddy chromium \
		unshare=util-linux ip=iproute2 hostname
	@$(PYTEST) $(SLOW) -m meetings tests/meetings $(PYTEST_ARGS)

PYTHONS := 3.12 3.13 3.14 3.15

.PHONY: test-pythons
test-pythons: test-programs ## Run the fast tests, and those of the servers, with the other Pythons that are here (PYTHONS=3.13)
	@scripts/test-pythons $(PYTHONS) -- $(FAST) -m "not ($(APART) or $(ELSEWHERE)) or pythons" $(PYTEST_ARGS)


FLOORS := $(addprefix tests/,unit $(addprefix integration/,server/test_serve.py server/test_uvicorn_fastpath.py web/test_adapters.py client))

.PHONY: test-floors
test-floors: $(STAMP) $(UV) test-programs ## Run what matters with the lowest versions of the dependencies (PYTEST_ARGS="-k flask")
	@scripts/test-floors $(UV) $(PYTHON) -- $(FAST) -m "not root" $(FLOORS) $(PYTEST_ARGS)

.PHONY: release
release: $(STAMP) $(UV) ## Build and check the sdist and the wheel of VERSION=1.2.3; tags and uploads nothing
	@PYTHON=$(PYTHON) scripts/release $(UV) $(VERSION)

.PHONY: test-wheel
test-wheel: $(STAMP) $(UV) ## Build the wheel, install it in a clean environment for each extra, and try it there
	@rm -rf build/wheel && $(VENV)/bin/python scripts/build.py build/wheel
	@PYTHON=$(PYTHON) scripts/test-wheel $(UV) build/wheel/*.whl

.PHONY: image
image: ## Build the container image with docker or podman, and try it (PYTHON_IMAGE=python:3.12-slim)
	@PYTHON_IMAGE=$(PYTHON_IMAGE) scripts/image runcast

.PHONY: soak
soak: $(STAMP) test-programs ## Run the large forms of the promises, for hours (RUNCAST_SOAK=0.01 PYTEST_ARGS="-k leaks")
	@$(PYTEST) --durations=0 tests/soak $(PYTEST_ARGS)

.PHONY: conformance
conformance: $(STAMP) $(SUITE) ## Run the conformance suite of Durable Streams (PYTEST_ARGS="-k memory")
	@$(PYTEST) tests/conformance $(PYTEST_ARGS)

.PHONY: page
page: $(STAMP) $(XTERM) ## Compare the page's screen with xterm.js (PYTEST_ARGS="-k vim")
	@$(PYTEST) tests/page $(PYTEST_ARGS)

tests/%/node_modules/.installed: tests/%/package.json tests/%/package-lock.json | test-programs
	@echo "Installing the packages of tests/$*"
	@# Not `npm ci`, which fails where the registry lacks packages that only other systems need.
	@npm install --no-save --prefix tests/$* --ignore-scripts --no-audit --no-fund --silent
	@touch $@

.PHONY: lint
lint: $(STAMP) ## Check style, format, generated twins, types and spelling
	@$(RUN) ruff check --quiet
	@$(RUN) ruff format --check
	@$(VENV)/bin/python scripts/twins.py --check
	@$(RUN) mypy
	@$(RUN) codespell_lib

.PHONY: format
format: $(STAMP) ## Format the code and fix what can be fixed
	@$(RUN) ruff check --quiet --fix-only
	@$(RUN) ruff format
	@$(VENV)/bin/python scripts/twins.py

.PHONY: bench
bench: $(STAMP) ## Run all benchmarks
	@$(RUN) bench $(BENCH_ARGS)

.PHONY: bench-quick
bench-quick: $(STAMP) ## Run the benchmarks in their short form
	@$(RUN) bench --quick $(BENCH_ARGS)

.PHONY: bench-page
bench-page: $(STAMP) test-programs ## Measure the page in Chromium (BENCH_ARGS="--rounds 5")
	@$(RUN) bench.page $(BENCH_ARGS)

.PHONY: docs
docs: $(STAMP) ## Build the documentation as a site in build/docs, with strict links
	@$(RUN) sphinx --quiet --fail-on-warning --keep-going -c docs/site -b html docs build/docs
	@echo "build/docs/README.html"

.PHONY: screenshot
screenshot: $(STAMP) test-programs ## Take the screenshots of the docs anew
	@$(RUN) tests.browser.screenshots

.PHONY: lock
lock: $(UV) ## Recompile the locks after a change in pyproject.toml (LOCK_ARGS=--upgrade)
	@$(COMPILE) --all-extras --group dev --output-file $(LOCK) $(LOCK_ARGS) pyproject.toml
	@# The versions that are tested are those that serve.
	@$(COMPILE) --extra server --extra client --group build --constraints $(LOCK) \
		--output-file $(SERVE_LOCK) $(LOCK_ARGS) pyproject.toml
	@$(COMPILE) --extra server --extra flask --extra starlette --group meetings \
		--output-file $(MEETINGS_LOCK) $(LOCK_ARGS) pyproject.toml

$(UV):
	@$(PYTHON) -m venv --clear $(@D:/bin=)
	@$(@D)/python -m pip install -qq --disable-pip-version-check uv

.PHONY: clean
clean: ## Remove everything that make, the tests and the build made
	@rm -rf .venv .venv-* tests/conformance/node_modules tests/page/node_modules .pytest_cache .mypy_cache .ruff_cache .hypothesis build dist
	@rm -f .coverage .coverage.*
	@find src tests bench -name __pycache__ -type d -prune -exec rm -rf {} + 2>/dev/null || true
