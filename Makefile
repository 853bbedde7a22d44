# The front door. Meson and ninja do the work; this only names it.
#   make            build everything into build/, leaving a runnable build/mite
#   make demo       ten seconds of load against the built-in target
#   make check      every test, also under ASan and UBSan; last line: N passed, N failed, N skipped
#   make bench      what mite costs, beside wrk and others (bench/README.md); make bench-quick in a minute
#   make install    PREFIX (/usr/local) and DESTDIR as usual
#   make fuzz       a minute for each decoder, with clang's libFuzzer
#   make soak       every component under load for ten minutes: none may grow
#   make format, make lint, make clean

PREFIX ?= /usr/local
BUILD ?= build
PATH := /usr/bin:/bin:$(PATH)
export PATH

all: $(BUILD)/build.ninja
	@ninja -C $(BUILD)

$(BUILD)/build.ninja:
	@scripts/install-deps build
	@meson setup $(BUILD) --prefix=$(PREFIX) $(MESON_ARGS) >/dev/null || { meson setup $(BUILD) --prefix=$(PREFIX) $(MESON_ARGS); exit 1; }

demo: all
	@scripts/demo

check:
	@scripts/install-deps build test fuzz
	@scripts/check

bench bench-quick:
	@scripts/install-deps build bench
	@$(MAKE) --no-print-directory all
	@bench/run $(if $(findstring quick,$@),--quick)

# A PREFIX named now counts, also when the build was configured with another one.
install: all
ifneq ($(origin PREFIX),file)
	@meson configure $(BUILD) -Dprefix=$(PREFIX)
	@ninja -C $(BUILD)
endif
	@meson install -C $(BUILD) --no-rebuild $(if $(DESTDIR),--destdir=$(DESTDIR))

format:
	@git ls-files '*.c' '*.h' | xargs clang-format -i

lint:
	@scripts/install-deps build test
	@scripts/lint

fuzz:
	@scripts/install-deps build fuzz
	@scripts/fuzz

soak: all
	@scripts/install-deps build test
	@MITE_SOAK_SECONDS=600 MITE_BUILD=$(BUILD) /usr/bin/python3 -m pytest -q -p no:cacheprovider tests/program/test_soak.py

clean:
	@rm -rf build build-*

.PHONY: all demo check bench bench-quick install format lint fuzz soak clean
