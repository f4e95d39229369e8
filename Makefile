# Every target makes what it needs, from a bare Python 3.11 or newer.
PYTHON ?= python3
export UV_PYTHON_DOWNLOADS = never
# Where this is set, every process compiles every module that it imports: seconds for torch.
unexport PYTHONDONTWRITEBYTECODE
SPEC := pyproject.toml constraints.txt
comma := ,
EVERYTHING := cpu$(comma)train$(comma)download$(comma)plot$(comma)listen$(comma)serve$(comma)speech$(comma)espeak$(comma)bert$(comma)glove$(comma)ray

# make_env NAME, EXTRAS, GROUPS: an environment under .venv with this package in it, editable. Type checkers can't follow
# the import hook of an editable install, so the environment's path has a folder with a link `vivavoce` to this one.
define make_env
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "vivavoce needs Python 3.11 or newer; give one with: make PYTHON=python3.12")'
	@test -x .venv/$(1)/bin/uv || { rm -rf .venv/$(1); $(PYTHON) -m venv .venv/$(1); }
	@test -x .venv/$(1)/bin/uv || .venv/$(1)/bin/python -m pip install --quiet --disable-pip-version-check -c constraints.txt uv
	@.venv/$(1)/bin/uv pip install --quiet --python .venv/$(1)/bin/python -c constraints.txt -e ".[$(2)]" $(3)
	@mkdir -p .venv/$(1)/source && ln -sfn ../../.. .venv/$(1)/source/vivavoce
	@cd .venv/$(1) && echo ../../../source > "$$(bin/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))')/vivavoce.pth"
	@touch $@
endef

# From npm, for the page that needs no server and for its tests; nothing else fetches them.
ONNXRUNTIME_WEB := onnxruntime-web-1.30.0
AXE := axe-core-4.14.1
MODEL ?= digits-speech

# A file's tests stay together, because they share what they train and export.
PYTEST = .venv/test/bin/pytest -n auto --maxprocesses 4 --dist loadfile --durations 10

.PHONY: audit web browser-parts test test-full bench docs dist lint clean

audit: .venv/audit/ready  ## audit an ordinary and a robust model on the digits that ship with them
	.venv/audit/bin/audit robustness digits-speech --protocol quick --epsilon 0.1 --limit 50
	.venv/audit/bin/audit robustness digits-robust-speech --protocol quick --epsilon 0.1 --limit 50

test: .venv/test/ready lint  ## the quick suite
	$(PYTEST) -m "not full"

test-full: .venv/test/ready lint  ## everything: minutes to hours, more data
	$(PYTEST)

web: .venv/web/ready  ## one HTML file that needs no server; MODEL=speaks.onnx
	@mkdir -p build/web
	.venv/web/bin/vivavoce web "$(MODEL)" -o "build/web/$(basename $(notdir $(MODEL))).html"

browser-parts: build/$(ONNXRUNTIME_WEB).tgz build/$(AXE).tgz

build/%.tgz:
	@command -v npm >/dev/null || { echo "$* comes from npm, which is not installed"; exit 1; }
	@mkdir -p build
	@cd build && npm pack --silent $(shell echo $* | sed 's/-\([0-9.]*\)$$/@\1/') >/dev/null

bench: .venv/bench/ready  ## timings, as ratios
	.venv/bench/bin/pytest tests/benchmarks --benchmark-only
	.venv/bench/bin/python tests/benchmarks/paper_sweep.py
	.venv/bench/bin/python tests/benchmarks/gradient_speed.py
	.venv/bench/bin/python tests/benchmarks/training_speed.py
	.venv/bench/bin/python tests/benchmarks/server_load.py

docs: .venv/docs/ready  ## the site, in build/site; no warning, and every link leads somewhere
	NO_MKDOCS_2_WARNING=1 .venv/docs/bin/mkdocs build --strict --quiet

dist: .venv/dist/ready  ## sdist and wheel, in build/dist
	rm -rf build/dist
	.venv/dist/bin/python -m build --quiet --outdir build/dist
	.venv/dist/bin/twine check --strict build/dist/*

lint: .venv/test/ready
	.venv/test/bin/ruff check .
	.venv/test/bin/ruff format --check .
	.venv/test/bin/pyright --pythonpath .venv/test/bin/python

.venv/audit/ready: $(SPEC)
	$(call make_env,audit,cpu)

.venv/test/ready: $(SPEC)
	$(call make_env,test,$(EVERYTHING),--group test)

.venv/web/ready: $(SPEC)
	$(call make_env,web,cpu$(comma)serve)

.venv/bench/ready: $(SPEC)
	$(call make_env,bench,cpu$(comma)train$(comma)plot$(comma)listen$(comma)serve,--group test --group bench)

# Not editable: the reference is made from the package as people install it, without tests and environments.
.venv/docs/ready: $(SPEC) $(shell git ls-files '*.py')
	@test -x .venv/docs/bin/uv || { rm -rf .venv/docs; $(PYTHON) -m venv .venv/docs; }
	@test -x .venv/docs/bin/uv || .venv/docs/bin/python -m pip install --quiet --disable-pip-version-check -c constraints.txt uv
	@.venv/docs/bin/uv pip install --quiet --python .venv/docs/bin/python -c constraints.txt --reinstall-package vivavoce ".[cpu]" --group docs
	@touch $@

.venv/dist/ready: $(SPEC)
	$(call make_env,dist,cpu,--group dist)

clean:
	rm -rf .venv build dist *.egg-info
