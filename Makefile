# Each target works on a fresh clone with Python 3.11 or later and make; what is missing is installed first.
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory
PY := .venv/bin/python
install := sh setup/install.sh &&

.PHONY: help up down status demo test check fix chaos bench specs call psql logs lock clean doctor

help: ## list the targets
	@sed -n 's/^\([a-z]*\):.*## /\1\t/p' Makefile | while IFS="$$(printf '\t')" read -r t d; do printf '  %-8s %s\n' "$$t" "$$d"; done

up: ## start the mesh in the foreground; Ctrl-C stops it
	@$(install) exec $(PY) -m polis.local up

down: ## end the mesh that runs from this folder
	@$(install) $(PY) -m polis.local down

status: ## what runs from this folder
	@$(install) $(PY) -m polis.local status

demo: ## the main job on real input, MAILBOX=path (mbox or maildir); the mesh stays up
	@$(install) $(PY) -m polis.local up --detach && $(PY) -m polis.cli demo "$${MAILBOX:-samples/mailbox.mbox}"

# Tests start many processes: what they compile is kept, also where the environment says otherwise.
test: ## everything a change must pass (T=path or -k expression narrows it)
	@$(install) PYTHONDONTWRITEBYTECODE= $(PY) -m pytest -n 3 --dist loadfile --no-loadscope-reorder $(T)

check: ## format, lint, types, layers, documents, spelling
	@$(install) sh setup/check.sh

fix: ## format and mend what can be mended
	@$(install) $(PY) -m ruff check --fix --quiet . ; $(PY) -m ruff format --quiet .

chaos: ## the long fault-injection and fuzz runs (T=path or -k expression narrows them)
	@$(install) $(PY) -m pytest $(if $(filter tests/%,$(T)),,tests/chaos tests/e2e/test_openapi_fuzz.py) --chaos=full --timeout=1800 $(T)

bench: ## measure beside peers; only=B6,B10 runs a part
	@$(install) $(PY) -m tests.bench $(only)

specs: ## render the documents of the contract into proto/generated
	@$(install) $(PY) -m polis.specs

call: ## call an operation over the bus: op=catalog.get_resource j='{...}'
	@$(install) { [ -n "$$j" ] || j='{}'; exec $(PY) -m polis.cli call "$$op" --body "$$j"; }

psql: ## a shell on the embedded database: s=catalog for a service's own role
	@$(install) $(PY) -m polis.local psql $(s)

logs: ## follow the logs, or one: s=runtime
	@tail -n 100 -F .polis/logs/$(or $(s),*).log

lock: ## refresh the hash-pinned requirement files
	@$(install) sh setup/lock.sh

doctor: ## say in plain words what keeps the mesh from running here
	@$(install) $(PY) -m polis.cli doctor

clean: ## end the mesh and delete what was installed and stored
	@if [ -x $(PY) ]; then $(PY) -m polis.local down; fi; rm -rf .venv .polis .install.lock
