# make app    create .venv, install, start the app          make test   run the tests but for the slow ones
# make lint   ruff                                           make test-slow  those: whole trainings, kills, searches
# make types  mypy (strict)                                  make check  all of these, as the CI does
# make examples  write a small data set of procedural leaves
# make screenshots   take the pictures of README and user guide anew (needs Chromium)
#
# PYTHON=python3.12 make app chooses the interpreter that .venv is made with.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# Two tests at a time want one thread each; more than four gain little and take 2 GB each.
TESTS := OMP_NUM_THREADS=1 $(BIN)/python -m pytest -q -n logical --maxprocesses 4 --dist worksteal
RUN_STAMP := $(VENV)/.installed
DEV_STAMP := $(VENV)/.installed-dev

.DEFAULT_GOAL := help
.PHONY: help app test test-slow lint types check examples screenshots

help:
	@sed -n '1,/^$$/s/^# \{0,1\}//p' Makefile

app: $(RUN_STAMP)
	$(BIN)/python app.py

test: $(DEV_STAMP)
	$(TESTS) -m "not slow"

test-slow: $(DEV_STAMP)
	$(TESTS) -m slow

lint: $(DEV_STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(DEV_STAMP)
	$(BIN)/mypy

check: lint types test test-slow

examples: $(RUN_STAMP)
	$(BIN)/python -m panda_core examples --kind leaf --out build/leaves --count 40

screenshots: $(DEV_STAMP)
	$(BIN)/python docs/make_screenshots.py

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	    { echo "Python 3.11 or newer is needed; $(PYTHON) is older. Try: make PYTHON=python3.12 $(MAKECMDGOALS)"; exit 1; }
	$(PYTHON) -m venv $(VENV)

# The stamps are written last, so that an installation that was interrupted is taken up again.
$(RUN_STAMP): requirements.txt pyproject.toml | $(BIN)/python
	$(BIN)/python -m pip install -r requirements.txt
	$(BIN)/python -m pip install --no-deps -e .
	@$(BIN)/python -c 'import cv2' 2>/dev/null || { \
	    echo "OpenCV cannot load its window libraries (no libGL on this machine); taking the headless build instead."; \
	    $(BIN)/python -m pip uninstall -y opencv-python && \
	    $(BIN)/python -m pip install --force-reinstall --no-deps 'opencv-python-headless>=4.10,<6' && \
	    $(BIN)/python -c 'import cv2'; }
	@touch $@

$(DEV_STAMP): requirements-dev.txt requirements-onnx.txt $(RUN_STAMP)
	$(BIN)/python -m pip install -r requirements-dev.txt -r requirements-onnx.txt
	@touch $@
