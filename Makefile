# Needs Python 3.11 or newer and make; everything else goes into .venv, from versions and hashes in requirements.lock.
PYTHON ?= $(shell command -v python3.11 || command -v python3)
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed

.PHONY: setup run test test-files test-systems check format bench test-kafka test-spark test-chaos ci-full lock clean

setup: $(STAMP)

$(STAMP): requirements.lock pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	touch $@

run: setup
	$(BIN)/liangbu run

test: test-files test-systems

# What is tested from outside, on a running system for each of two workers; after the rest, since both fill two cores.
test-systems: setup
	$(BIN)/python -m pytest -n 2 --dist loadfile tests/e2e tests/browser

# In the order of the folders, which has the long files first: xdist would begin with those of many tests.
test-files: setup
	$(BIN)/python -m pytest -n 3 --dist loadfile --no-loadscope-reorder --ignore tests/e2e --ignore tests/browser \
		--ignore tests/chaos/test_killed_services.py

check: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: setup
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: setup
	$(BIN)/python -m benchmarks

# The end-to-end tests on Apache Kafka itself: needs Java 17 and Maven.
test-kafka: setup
	LIANGBU_BROKER=kafka $(BIN)/python -m pytest -n 2 --dist loadfile tests/e2e

# What DuckDB and NumPy find in process, found again on Spark: needs Java 17; brings Spark, 400 MB.
test-spark: setup
	$(BIN)/pip install --quiet --disable-pip-version-check --editable '.[spark]' --no-build-isolation
	LIANGBU_ENGINE='local[2]' $(BIN)/python -m pytest tests/unit/eligibility/test_bulk_spark.py tests/integration/test_matching_spark.py

# The tests of tests/chaos in full: 5,000 payments with 20 kills, 10,000 races (300 in `make test`), long sequences.
test-chaos: setup
	LIANGBU_CHAOS=full $(BIN)/python -m pytest tests/chaos tests/integration/test_disbursement_any_order.py

ci-full: check test test-kafka test-spark test-chaos bench

# Pin everything anew, but Spark: its 400 MB are for clusters. The project itself is installed from this folder.
lock: setup
	$(BIN)/pip-compile --quiet --upgrade --extra dev --allow-unsafe --strip-extras --generate-hashes --no-header --no-annotate \
		--no-emit-index-url --no-emit-trusted-host --no-emit-find-links --output-file requirements.lock pyproject.toml
	sed -i -e '/^liangbu @/d' -e '/^# WARNING: pip install will require/,/^# Consider using a hashable URL/d' requirements.lock

clean:
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache build *.egg-info
