PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed

.PHONY: install demo demo-colour docs reference test test-slow check gpu bench bench-gpu bench-quality bench-health torture fuzz clean

DRAW = run=$$(ls -d runs/[0-9]*/ | tail -n 1) && set -x && \
	$(BIN)/gancli sample --ckpt $${run}gen.pth --n 100 --out $${run}demo.png
SAY = { set +x; } 2>/dev/null && echo "The pictures are in $${run}demo.png, how they came about in $${run}samples."

install: $(STAMP)

$(STAMP): pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --editable '.[dev]'
	touch $@

demo: $(STAMP)
	$(BIN)/gancli train
	@$(DRAW) && \
	$(BIN)/gancli eval --ckpt $${run}gen.pth && \
	$(SAY)

demo-colour: $(STAMP)
	$(BIN)/gancli train --data faces --mirror --recipe latent --time 10m
	@$(DRAW) && \
	$(SAY)

reference: $(STAMP)
	$(BIN)/python -m gancli.cli.reference > docs/reference.md

docs: $(STAMP)
	$(BIN)/python -m pip install --quiet '.[docs]'
	$(BIN)/python -m mkdocs build --strict --site-dir build/site

test: $(STAMP)
	$(BIN)/python -m pytest --numprocesses auto --maxprocesses 4 --dist worksteal

test-slow: $(STAMP)
	$(BIN)/python -m pytest -m slow

check: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

bench: $(STAMP)
	$(BIN)/python benchmarks/training_step.py --compiled
	$(BIN)/python benchmarks/training_step_plot.py
	$(BIN)/python benchmarks/step_profile.py
	$(BIN)/python benchmarks/penalty_cost.py
	$(BIN)/python benchmarks/costs.py

bench-gpu: $(STAMP)
	$(BIN)/python benchmarks/training_step.py --device cuda --compiled

gpu: $(STAMP)
	$(BIN)/python benchmarks/gpu.py $(ARGS)

bench-quality: $(STAMP)
	$(BIN)/python benchmarks/vanilla_mnist.py --threads 2
	$(BIN)/python benchmarks/quality.py

bench-health: $(STAMP)
	$(BIN)/python benchmarks/health_remedies.py
	$(BIN)/python benchmarks/health.py

torture: $(STAMP)
	$(BIN)/python benchmarks/torture.py --kills $(or $(N),200) --write

fuzz: $(STAMP)
	$(BIN)/python tests/fuzzing.py --cases $(or $(N),5000)

clean:
	rm -rf $(VENV) build dist *.egg-info
