# Thin: the work is in the `toweros` command and in pytest. `make help` lists the targets.
.DEFAULT_GOAL := help
SHELL := /bin/bash
BIN := .venv/bin
DEMO := demo
CONFIG ?= $(DEMO)/toweros.toml
# A test starts thousands of programs; where nothing compiled is kept, each of them compiles the whole controller first.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: help install demo pkg boot test check e2e fmt lock api wheel deb image release bench soak clean

help: ## List the targets
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / {printf "  make %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

install: .venv/installed ## Install Debian packages and .venv with the toweros command

.venv/installed: requirements-dev.lock debian-packages.txt pyproject.toml tools/install
	tools/install
	@touch $@

demo: install ## A box boots in QEMU, updates itself, and undoes a bad commit
	$(BIN)/toweros demo --dir $(DEMO)

$(DEMO)/toweros.toml: | install
	$(BIN)/toweros demo --dir $(DEMO) --prepare

pkg: install $(CONFIG) ## Build every package of pkg/ (CONFIG=FILE: with that controller's state)
	$(BIN)/toweros build --config $(CONFIG)

boot: install $(CONFIG) ## box.iso and vm.iso, for any machine (CONFIG=FILE: of that fleet, with its keys)
	$(BIN)/toweros apply --config $(CONFIG)
	$(BIN)/toweros image --role box --format iso --out box.iso --config $(CONFIG)
	$(BIN)/toweros image --role vm --format iso --out vm.iso --config $(CONFIG)

test: check e2e ## Every test: linters, types, import rules, unit, property, end-to-end

check: install ## The fast part: linters, types, import rules, unit and property tests
	$(BIN)/pytest tests -m "not e2e" -n 4 -q --durations=25

e2e: install ## The slow part: real buildah, a real QEMU box under Secure Boot
	$(BIN)/pytest tests -m "e2e and not soak" -n 3 -q --durations=25

fmt: install ## Format the code
	$(BIN)/ruff format gitops tests pkg bench
	$(BIN)/ruff check --fix gitops tests pkg bench

LOCK := $(BIN)/uv pip compile -q --upgrade --python-version 3.11 --generate-hashes --no-emit-index-url --no-header --no-annotate

lock: ## Pin the Python dependencies again, with hashes: the controller's, then the developer's on the same versions
	$(BIN)/pip install -q uv
	$(LOCK) --extra install pyproject.toml -o requirements.lock
	$(LOCK) --extra install --extra dev -c requirements.lock pyproject.toml -o requirements-dev.lock

api: install ## docs/api.md again, after a change of a route or a parameter
	$(BIN)/toweros openapi --markdown >docs/api.md

wheel: install ## dist/toweros-VERSION.whl of HEAD: the same commit makes the same bytes
	tools/wheel

deb: install ## dist/toweros_VERSION_amd64.deb of HEAD, with the locked libraries
	tools/deb

image: install ## As root: dist/toweros-VERSION.oci.tar of HEAD, a container image of controller and server, with its SBOM
	tools/image

release: install ## dist/ as a release has it: built twice and compared, with an SBOM and checksums
	tools/release dist

bench: install ## After a demo: speed and size, as ratios against a named peer
	$(BIN)/python bench/size.py $(DEMO)/state
	$(BIN)/python bench/noop_poll.py --config $(DEMO)/toweros.toml
	$(BIN)/python bench/plan.py
	$(BIN)/python bench/first_fetch.py
	$(BIN)/python bench/pages/first_page.py
	$(BIN)/python bench/publishing/one_commit.py
	$(BIN)/python bench/serving/server.py

soak: install ## Hours, as root: power cuts at every write of an update and in installations, the four services of compose, a stick, every format of LinuxKit's, a thousand boxes, hostile requests, made-up tars, mutants, every package of pkg/ built twice
	$(BIN)/python bench/power_cuts.py
	$(BIN)/python bench/installing/cuts.py
	$(BIN)/python bench/deploying/compose.py
	$(BIN)/python bench/carried/stick.py
	$(BIN)/python bench/assembling/boots.py
	$(BIN)/python bench/boxes.py
	$(BIN)/python bench/serving/fleet.py --build
	$(BIN)/python bench/serving/fleet.py --boxes 20000 --wake
	$(BIN)/pytest tests -m soak -n 1 -q
	TOWEROS_EVERY=1 $(BIN)/pytest tests/agent/test_power_cut.py tests/agent/test_boot_loader.py -n 2 -q
	TOWEROS_EVERY=1 $(BIN)/pytest tests/pkg/test_settle.py -k cut -n 2 -q
	TOWEROS_EXAMPLES=20000 $(BIN)/pytest tests/rollout/test_random_rules.py -n 0 -q
	$(BIN)/python bench/hostile_requests.py
	$(BIN)/python bench/attacks/tars.py
	$(BIN)/python bench/mutants/mutate.py
	$(BIN)/python bench/twice.py

clean: ## Remove what the demo and the tests made (not .venv)
	rm -rf $(DEMO) state .pytest_cache .mypy_cache .ruff_cache .hypothesis
