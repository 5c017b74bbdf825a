# `make demo` and `make test` do all the set-up on a fresh machine, inside .venv.
PYTHON ?= python3
BIN := .venv/bin
# Large tensors are kept by the process instead of being returned to the system at every free
# (1.3x for torch on a CPU); waiting threads sleep, so that two processes can share two cores.
export MALLOC_MMAP_THRESHOLD_ := 8589934592
export MALLOC_TRIM_THRESHOLD_ := 17179869184
export OMP_WAIT_POLICY := PASSIVE

.PHONY: demo test lint type slow clean

.venv/base: pyproject.toml constraints.txt
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --upgrade pip
	# First and alone: a plain `torch` may bring gigabytes of GPU libraries.
	$(BIN)/python -m pip install --quiet torch==2.13.0
	$(BIN)/python -m pip install --quiet -c constraints.txt -e ".[cpu]"
	touch $@

.venv/tests: .venv/base
	$(BIN)/python -m pip install --quiet -c constraints.txt -e ".[cpu,test]"
	touch $@

demo: .venv/base
	$(BIN)/vista3d phantom -o demo/phantom --seed 7
	$(BIN)/vista3d segment demo/phantom/phantom_0007_ct.nii.gz -o demo/out --overwrite \
		--statistics --preview --report demo/out/report.json \
		--truth demo/phantom/phantom_0007_labels.nii.gz
	@echo "Mask, preview (PNG), statistics and report are in demo/out"

test: lint type
	$(BIN)/pytest -m "not slow" -q

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
