# make demo   raw text to a promoted model on the built-in corpus, and its report card
# make test   linters, types, import contracts and tests
# make up     Prefect and MLflow with the deployments, on 127.0.0.1, until Ctrl-C
#
# Each makes .venv first and installs what it needs. Python 3.11 or newer is all that must be there: PYTHON=python3.12 make demo

PYTHON ?= python3
BIN := .venv/bin

.PHONY: demo test up install lint format lock clean

demo: install
	@$(BIN)/rootstock run demo

up: install
	@$(BIN)/rootstock up

test: install lint
	@$(BIN)/python -m pytest -n 2 --cov --cov-report=term:skip-covered --cov-fail-under=85

lint: install
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: install
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

install: .venv/installed

.venv/installed: requirements.lock pyproject.toml
	@$(PYTHON) -c "import sys; sys.exit(sys.version_info < (3, 11) and 'Rootstock needs Python 3.11 or newer; this is ' + sys.version.split()[0] + '. Try: make PYTHON=python3.12')"
	@echo "Installing into .venv (a few minutes, once) ..."
	@$(PYTHON) -m venv .venv
	@{ $(BIN)/pip install --disable-pip-version-check --progress-bar off -r requirements.lock && \
	   $(BIN)/pip install --disable-pip-version-check --no-deps --no-build-isolation -e . ; } > .venv/install.log 2>&1 \
	   || { tail -n 30 .venv/install.log; echo "The installation failed; all of it is in .venv/install.log"; exit 1; }
	@touch $@
	@echo "Installed. Next: make demo, or .venv/bin/rootstock run your.yaml (\`. .venv/bin/activate\` makes it \`rootstock\`)."

# The versions that everybody installs, from what is installed here now.
lock:
	@$(BIN)/pip freeze --all --exclude-editable | grep -v '^pip==' | sed 's/+cpu$$//' > requirements.lock

clean:
	rm -rf .venv build *.egg-info .coverage* .pytest_cache .mypy_cache .ruff_cache
