# SPDX-License-Identifier: BSD-2-Clause
#
#   make            build/skiff and its companions
#   make run        boot a stock Debian kernel to a shell (installs and fetches what it needs)
#   make test       lint, unit tests, fuzz smoke, boot tests (likewise)
#   make fuzz       run every fuzz target for FUZZ_SECONDS each (default 60)
#   make bench      boot, memory, density, computing, disk and network beside QEMU's, as one report
#   make bench-boot, bench-density, bench-cpu, bench-io, bench-cloud (an image to its login),
#   bench-qcow2     one part of it
#   make format     clang-format the tree
#   make install PREFIX=/usr/local
#   make clean
#
# ARCH=arm64 cross-builds; CC=clang works; V=1 shows commands; WERROR=1 makes warnings errors.

VERSION := 0.1
ARCH    ?= $(shell uname -m | sed 's/aarch64/arm64/')
NATIVE  := $(shell uname -m | sed 's/aarch64/arm64/')

PKG_CONFIG := pkg-config

ifeq ($(ARCH),$(NATIVE))
OUT := build
else
# Another architecture: Debian's cross compiler, and libraries that tests/sysroot unpacks once.
OUT     := build/$(ARCH)
TRIPLET := $(patsubst arm64-%,aarch64-%,$(ARCH)-linux-gnu)
SYSROOT := $(OUT)/sysroot
ifeq ($(origin CC),default)
CC := $(TRIPLET)-gcc
endif
CROSS := --sysroot=$(CURDIR)/$(SYSROOT) $(if $(findstring clang,$(CC)),--target=$(TRIPLET))
PKG_CONFIG := PKG_CONFIG_SYSROOT_DIR=$(SYSROOT) \
	PKG_CONFIG_LIBDIR=$(SYSROOT)/usr/lib/$(TRIPLET)/pkgconfig $(PKG_CONFIG)
endif

# --- what is built -----------------------------------------------------------------------

objects = $(patsubst %.c,%.o,$(wildcard $(1:%=%/*.c)))

VMM     := $(filter-out vmm/main.o,$(call objects,vmm))
LOADER  := $(call objects,loader)
BLOCK   := $(call objects,devices/block)
DEVICES := $(call objects,devices/pci devices/virtio devices/net)

ARCH_x86_64 := \
	arch/x86_64/acpi.o arch/x86_64/boot.o arch/x86_64/cpuid.o arch/x86_64/kvm_caps.o \
	arch/x86_64/machine.o arch/x86_64/platform.o arch/x86_64/probe.o \
	arch/x86_64/probe_guest.o arch/x86_64/registers.o arch/x86_64/smbios.o

ARCH_arm64 := \
	arch/arm64/gic.o arch/arm64/kvm_caps.o arch/arm64/machine.o \
	arch/arm64/platform.o arch/arm64/probe.o arch/arm64/probe_guest.o arch/arm64/registers.o

# What these machines are made of and what any compiler takes: tested on both.
PORTABLE_x86_64 := \
	devices/platform/acpi_pm.o devices/platform/i8042.o devices/platform/rtc_cmos.o \
	devices/platform/uart16550.o
PORTABLE_arm64 := \
	arch/arm64/fdt.o arch/arm64/ipa.o devices/platform/pl011.o devices/platform/pl031.o

# skiff-netd, the other process: it alone links libslirp.
NETD := $(filter-out devices/net/netd/main.o,$(call objects,devices/net/netd))
NETD_CFLAGS = $(shell $(PKG_CONFIG) --cflags slirp 2>/dev/null)
NETD_LIBS   := -lslirp

# skiff-image, a third one: it fetches images and looks into them, and links what that takes.
IMAGE := $(filter-out loader/image/main.o,$(call objects,loader/image))
IMAGE_LIBS := -lext2fs -lcom_err -lcurl -lcrypto -lseccomp

# skiff-bench, which measures: jansson reads what the tools print.
BENCH := $(filter-out vmm/bench/main.o,$(call objects,vmm/bench))
BENCH_LIBS := -ljansson -lm

# All but main.o: what tests and fuzzers link against.
LIB  := $(VMM) $(LOADER) $(DEVICES) $(BLOCK) $(ARCH_$(ARCH)) $(PORTABLE_$(ARCH))
# Linked in where there are archives of them: nothing to find, map and relocate at each start.
archived = $(foreach l,$(1),$(if $(filter /%,$(shell \
	$(CC) $(CROSS) -print-file-name=lib$(l).a)),-l:lib$(l).a,-l$(l)))
LIBS := $(call archived,uring z deflate lzma lz4 zstd bz2 crypt)
LIBS_arm64 := -lfdt

UNIT := $(patsubst tests/unit/%.c,%,$(wildcard tests/unit/test_*.c))
FUZZ := $(patsubst tests/fuzz/%.c,%,$(wildcard tests/fuzz/fuzz_*.c))
# A test that wants the fake loop instead of the real one, or fake sockets, links it by name.
TEST_LIB := $(sort $(LIB) $(PORTABLE_x86_64) $(PORTABLE_arm64) $(NETD) $(IMAGE) $(BENCH)) \
	$(patsubst %.c,%.o,$(filter-out tests/lib/fake_loop.c tests/lib/fake_sockets.c, \
		$(wildcard tests/lib/*.c)))
TEST_LIBS := $(LIBS) $(LIBS_arm64) $(NETD_LIBS) $(IMAGE_LIBS) $(BENCH_LIBS)

# --- how -----------------------------------------------------------------------------------

CFLAGS   ?= -O2 -g
PREFIX   ?= /usr/local
WARN     := -Wall -Wextra -Wshadow -Wvla -Wmissing-prototypes -Wimplicit-fallthrough
STD      := -std=gnu11 -D_GNU_SOURCE -DSKIFF_VERSION='"$(VERSION)"' -I. $(CROSS)
# $(1) if the compiler knows it.
if_known  = $(shell $(CC) $(CROSS) -Werror $(1) -x c -c /dev/null -o /dev/null 2>/dev/null && \
	echo $(1))
HARDEN   := -fPIE -fstack-protector-strong -D_FORTIFY_SOURCE=2 \
	$(call if_known,-fstack-clash-protection) $(call if_known,-ftrivial-auto-var-init=zero)
LINK     := $(CROSS) -pie -Wl,-z,relro,-z,now,-z,noexecstack,--gc-sections
ifdef WERROR
WARN += -Werror
endif
ifndef V
Q := @
say = @printf '  %-5s %s\n' $(1) $(2)
endif

.DEFAULT_GOAL := all
.PHONY: all install run test fuzz bench bench-boot bench-cloud bench-cpu bench-density bench-io \
	bench-qcow2 format lint unit tsan boot clean deps
.SECONDARY:
.DELETE_ON_ERROR:

PROGRAMS := $(OUT)/skiff $(OUT)/skiff-netd $(OUT)/skiff-image $(OUT)/skiff-bench

all: $(PROGRAMS)

OBJ := $(OUT)/obj
$(OUT)/skiff: $(addprefix $(OBJ)/,vmm/main.o $(LIB))
	$(call say,LINK,$@)
	$(Q)$(CC) $(CFLAGS) $(LINK) -o $@ $^ $(LIBS) $(LIBS_$(ARCH))

$(OUT)/skiff-netd: $(addprefix $(OBJ)/,devices/net/netd/main.o $(NETD) devices/net/csum.o \
		devices/net/forward.o vmm/jail.o vmm/log.o vmm/patience.o)
	$(call say,LINK,$@)
	$(Q)$(CC) $(CFLAGS) $(LINK) -o $@ $^ $(NETD_LIBS)

$(OUT)/skiff-image: $(addprefix $(OBJ)/,loader/image/main.o $(IMAGE) $(BLOCK) \
		loader/image_store.o $(addprefix vmm/,command.o companion.o iov.o jail.o json_out.o log.o \
		loop.o nearest.o patience.o size.o xdg.o))
	$(call say,LINK,$@)
	$(Q)$(CC) $(CFLAGS) $(LINK) -o $@ $^ -luring -lz -ldeflate -lzstd $(IMAGE_LIBS)

# Measurements of one room, by hand.
$(OUT)/bench/%: $(OBJ)/tests/bench/%.o $(addprefix $(OBJ)/,$(LIB) $(NETD))
	$(call say,LINK,$@)
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) $(CFLAGS) $(LINK) -o $@ $^ $(LIBS) $(LIBS_$(ARCH)) $(NETD_LIBS)

$(OUT)/skiff-bench: $(addprefix $(OBJ)/,vmm/bench/main.o $(BENCH) vmm/companion.o vmm/log.o \
		vmm/nearest.o vmm/size.o)
	$(call say,LINK,$@)
	$(Q)$(CC) $(CFLAGS) $(LINK) -o $@ $^ $(BENCH_LIBS)

$(OUT)/bench-start: $(addprefix $(OBJ)/,tests/bench/start.o $(LIB))
	$(call say,LINK,$@)
	$(Q)$(CC) $(CFLAGS) $(LINK) -o $@ $^ $(LIBS) $(LIBS_$(ARCH))

$(OBJ)/devices/net/netd/%.o: MORE = $(NETD_CFLAGS)
# It carries that file.
$(addsuffix /loader/image/catalogue_text.o,$(OBJ) build/asan build/tsan build/fuzz): \
	loader/image/catalogue.txt

$(OBJ)/%.o: %.c | $(SYSROOT)
	$(call say,CC,$<)
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) $(STD) $(MORE) $(WARN) $(CFLAGS) $(HARDEN) -ffunction-sections -MMD -MP -c -o $@ $<

$(OBJ)/%.o: %.S | $(SYSROOT)
	$(call say,AS,$<)
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) $(STD) $(CFLAGS) -MMD -MP -c -o $@ $<

ifdef SYSROOT
$(SYSROOT):
	$(call say,GET,$@)
	$(Q)tests/sysroot $(ARCH) >/dev/null
endif

# --- test builds: the same sources under sanitizers -----------------------------------------

ASAN := -fsanitize=address,undefined -fno-sanitize-recover=undefined -fno-omit-frame-pointer
TSAN := -fsanitize=thread

# $(1): directory under build/, $(2): compiler, $(3): flags
define variant
build/$(1)/%.o: %.c
	$$(call say,CC,"$$< ($(1))")
	$$(Q)mkdir -p $$(@D)
	$$(Q)$(2) $(STD) $$(MORE) $(WARN) -O1 -g $(3) -DRING_LOAD_HOOK= -MMD -MP -c -o $$@ $$<
build/$(1)/%.o: %.S
	$$(Q)mkdir -p $$(@D)
	$$(Q)$(2) $(STD) -c -o $$@ $$<
build/$(1)/devices/net/netd/%.o build/$(1)/tests/%.o: MORE = $$(NETD_CFLAGS)
build/$(1)/libskiff.a: $(addprefix build/$(1)/,$(TEST_LIB))
	$$(Q)rm -f $$@ && ar rcs $$@ $$^
endef
$(eval $(call variant,asan,$(CC),$(ASAN)))
$(eval $(call variant,tsan,$(CC),$(TSAN)))
$(eval $(call variant,fuzz,clang,-fsanitize=fuzzer-no-link $(ASAN)))

build/asan/test_%: build/asan/tests/unit/test_%.o build/asan/libskiff.a
	$(call say,LINK,$@)
	$(Q)$(CC) $(ASAN) -o $@ $(filter %.o,$^) $(filter %.a,$^) -lcmocka -lpthread $(TEST_LIBS)
build/tsan/test_%: build/tsan/tests/unit/test_%.o build/tsan/libskiff.a
	$(call say,LINK,$@)
	$(Q)$(CC) $(TSAN) -o $@ $(filter %.o,$^) $(filter %.a,$^) -lcmocka -lpthread $(TEST_LIBS)
build/fuzz/fuzz_%: build/fuzz/tests/fuzz/fuzz_%.o build/fuzz/libskiff.a
	$(call say,LINK,$@)
	$(Q)clang -fsanitize=fuzzer $(ASAN) -o $@ $(filter %.o,$^) $(filter %.a,$^) -lpthread $(TEST_LIBS)

build/asan/test_raw_faults: build/asan/tests/lib/fake_loop.o
build/asan/test_qcow2_model build/asan/test_qcow2_hostile build/asan/test_qcow2_strangers: build/asan/tests/lib/fake_loop.o
build/fuzz/fuzz_qcow2: build/fuzz/tests/lib/fake_loop.o
build/fuzz/fuzz_tcp: build/fuzz/tests/lib/fake_sockets.o
build/tsan/test_raw_faults: build/tsan/tests/lib/fake_loop.o

UNIT_PROGRAMS := $(addprefix build/asan/,$(UNIT))
FUZZ_PROGRAMS := $(addprefix build/fuzz/,$(FUZZ))
# Tests that have threads, and those in which a driver plays the guest against a device.
TSAN_PROGRAMS := $(addprefix build/tsan/,$(sort $(filter test_virtio_%,$(UNIT)) \
	$(patsubst tests/unit/%.c,%,$(shell grep -l '<pthread.h>' tests/unit/test_*.c))))

# --- what people and CI type ---------------------------------------------------------------

JOBS := $(shell nproc)
SUB  := +@$(MAKE) --no-print-directory -s -j$(JOBS)
# What is cross-built and booted in the lab beside this machine's own.
BESIDE := $(if $(filter x86_64,$(NATIVE)),arm64)

run:
	@tests/deps build guest $(if $(SYSROOT),arm64)
	$(SUB) all
	@ARCH=$(ARCH) tests/demo

test:
	@tests/deps build guest lab test $(BESIDE)
	$(SUB) WERROR=1 all test-programs
	$(if $(BESIDE),$(SUB) ARCH=$(BESIDE) WERROR=1 all)
	@tests/run

test-programs: $(UNIT_PROGRAMS) $(TSAN_PROGRAMS) $(FUZZ_PROGRAMS)

lint:
	@tests/run lint
unit: $(UNIT_PROGRAMS)
	@tests/run unit
tsan: $(TSAN_PROGRAMS)
	@tests/run tsan
boot: all
	$(if $(BESIDE),$(SUB) ARCH=$(BESIDE) all)
	@tests/run boot

fuzz:
	@tests/deps build test
	$(SUB) $(FUZZ_PROGRAMS)
	@tests/fuzz/run $(or $(FUZZ_SECONDS),60) $(FUZZ_PROGRAMS)

bench:
	@tests/deps build guest lab bench
	$(SUB) all $(OUT)/bench-start
	@tests/bench/all

bench-boot bench-cloud bench-cpu bench-density bench-io bench-qcow2:
	@tests/deps build guest lab bench $(if $(SYSROOT),arm64)
	$(SUB) all
	@ARCH=$(ARCH) tests/bench/$(@:bench-%=%)

FORMATTED := $(shell git ls-files -co --exclude-standard '*.c' '*.h' 2>/dev/null)
format:
	clang-format -i $(FORMATTED)

install: all
	install -d $(DESTDIR)$(PREFIX)/bin
	install -m 755 $(PROGRAMS) $(DESTDIR)$(PREFIX)/bin

clean:
	rm -rf build

-include $(shell find $(OBJ) build/asan build/tsan build/fuzz -name '*.d' 2>/dev/null)
