# The two commands of the README. Everything else is in noxfile.py.
PYTHON ?= python3
VENV ?= .venv
BIN = $(VENV)/bin

.PHONY: demo test servers clean

demo: $(VENV)/demo
	$(BIN)/slipstream demo

test: servers $(VENV)/test
	$(BIN)/pytest -n 2 $(ARGS)

# The Debian packages that tests need, where they may be installed; elsewhere those tests are skipped.
servers:
	@$(call needed,mariadbd mysqld,mariadb-server-core,MariaDB)
	@$(call needed,redis-server,redis-server,Redis)
	@$(call needed,chromium,chromium,Chromium)

# One of these commands, the package that has it, and its name.
define needed
PATH=$$PATH:/usr/sbin; command -v $(1) >/dev/null || \
{ [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null && apt-get update -qq && \
apt-get install -y -qq --no-install-recommends $(2) >/dev/null; } || \
echo "There is no $(3), and it may not be installed: tests that need it are skipped."
endef

$(VENV)/demo: pyproject.toml | $(BIN)/python
	$(BIN)/pip install --quiet '.[demo]'
	touch $@

$(VENV)/test: pyproject.toml | $(BIN)/python
	$(BIN)/pip install --quiet --editable '.[mysql,peewee,postgresql,queue,sqlalchemy]' --group test
	touch $@

# --group came with pip 25.1.
$(BIN)/python:
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --upgrade pip

clean:
	rm -rf $(VENV)
