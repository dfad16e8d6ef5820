# The two commands of the README. Everything else is in noxfile.py.
PYTHON ?= python3
VENV ?= .venv
BIN = $(VENV)/bin

.PHONY: demo test clean

demo: $(VENV)/demo
	$(BIN)/slipstream demo

test: $(VENV)/test
	$(BIN)/pytest -n 2 $(ARGS)

$(VENV)/demo: pyproject.toml | $(BIN)/python
	$(BIN)/pip install --quiet '.[demo]'
	touch $@

$(VENV)/test: pyproject.toml | $(BIN)/python
	$(BIN)/pip install --quiet --editable '.[mysql,postgresql,sqlalchemy]' --group test
	touch $@

# --group came with pip 25.1.
$(BIN)/python:
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --upgrade pip

clean:
	rm -rf $(VENV)
