/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The guest's CPUID, worked out from leaves such as KVM reports on an Intel host (Linux 6.2 and
 * later: an empty topology leaf) and on an AMD host (earlier: the host's own topology).
 */
#include <errno.h>
#include <linux/kvm.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "arch/x86_64/cpuid.h"
#include "tests/lib/said.h"
#include "vmm/kvm.h"

#define INDEXED  KVM_CPUID_FLAG_SIGNIFCANT_INDEX
#define N(table) (sizeof(table) / sizeof((table)[0]))

/* function, index, flags, eax, ebx, ecx, edx */
#define LEAF(...)            \
	{                    \
		__VA_ARGS__, \
		{            \
			0    \
		}            \
	}

static const struct kvm_cpuid_entry2 intel[] = {
	LEAF(0, 0, 0, 0x20, 0x756e6547, 0x6c65746e, 0x49656e69),
	/* MONITOR, VMX and PDCM are on; x2APIC, TSC-deadline and the hypervisor bit are off. */
	LEAF(1, 0, 0, 0xa0678, 0x07800800, 0x00008029, 0x0f8bfbff),
	LEAF(4, 0, INDEXED, 0xfc004121, 0x02c0003f, 0x3f, 0), /* L1 data */
	LEAF(4, 2, INDEXED, 0xfc004143, 0x03c0003f, 0x7ff, 0),
	LEAF(4, 3, INDEXED, 0xfc1fc163, 0x0380003f, 0x1bfff, 4), /* L3 */
	LEAF(4, 4, INDEXED, 0, 0, 0, 0),
	LEAF(7, 0, INDEXED, 2, 0x12345678, 0x9abcdef0, 0x0fedcba9),
	LEAF(0xa, 0, 0, 0x08300805, 0, 0xf, 0x8604),
	LEAF(0xb, 0, INDEXED, 0, 0, 0, 0),
	LEAF(0x1f, 0, INDEXED, 0, 0, 0, 0),
	LEAF(0x40000001, 0, 0, 0x01007efb, 0, 0, 0),
	LEAF(0x80000000, 0, 0, 0x80000008, 0, 0, 0),
	LEAF(0x80000001, 0, 0, 0, 0, 0x121, 0x2c100800),
	LEAF(0x80000008, 0, 0, 0x392e, 0x0100d200, 0, 0),
};

static const struct kvm_cpuid_entry2 amd[] = {
	LEAF(0, 0, 0, 0x10, 0x68747541, 0x444d4163, 0x69746e65),
	LEAF(1, 0, 0, 0x00a20f10, 0x0a100800, 0x00000009, 0x178bfbff),
	LEAF(0xb, 0, INDEXED, 1, 2, 0x100, 0x0a),
	LEAF(0xb, 1, INDEXED, 5, 0x20, 0x201, 0x0a),
	LEAF(0xb, 2, INDEXED, 0, 0, 2, 0x0a),
	LEAF(0x80000000, 0, 0, 0x80000022, 0x68747541, 0x444d4163, 0x69746e65),
	/* TOPOEXT, CMP_LEGACY, SVM and both PERFCTR bits are on. */
	LEAF(0x80000001, 0, 0, 0x00a20f10, 0x20000000, 0x01c00007, 0x2fd3fbff),
	LEAF(0x80000008, 0, 0, 0x3030, 0x111ed205, 0x0001501f, 0x00010000),
	LEAF(0x8000000a, 0, 0, 1, 8, 0, 0x11),
	LEAF(0x8000001d, 0, INDEXED, 0x00004121, 0x01c0003f, 0x3f, 0),
	LEAF(0x8000001d, 2, INDEXED, 0x00004143, 0x01c0003f, 0x3ff, 2),
	LEAF(0x8000001d, 3, INDEXED, 0x0003c163, 0x03c0003f, 0x7fff, 1),
	LEAF(0x8000001d, 4, INDEXED, 0, 0, 0, 0),
	LEAF(0x8000001e, 0, 0, 0x0a, 0x0105, 0x0301, 0),
	LEAF(0x80000022, 0, 0, 1, 6, 0, 0),
	LEAF(0x80000026, 0, INDEXED, 1, 2, 0x100, 0x0a),
};

enum { EAX, EBX, ECX, EDX };

static const unsigned cpu_counts[] = {1, 4, 64};

/* Where the answer is the same for any number of CPUs, it stands there three times. */
struct expected {
	uint32_t function, index;
	int reg;
	uint32_t value[3];
};

#define SAME(x)         \
	{               \
		x, x, x \
	}

static const struct expected intel_expected[] = {
	{0, 0, EAX, SAME(0x20)},
	{1, 0, EAX, SAME(0xa0678)},
	{1, 0, EBX, {0x00010800, 0x00040800, 0x00400800}},
	{1, 0, ECX, SAME(0x81200001)},
	{1, 0, EDX, {0x0f8bfbff & ~(1u << 28), 0x1f8bfbff, 0x1f8bfbff}},
	/* Sharing less one in 25:14, cores less one in 31:26. */
	{4, 0, EAX, {0x00000121, 3u << 26 | 0x121, 63u << 26 | 0x121}},
	{4, 2, EAX, {0x00000143, 3u << 26 | 0x143, 63u << 26 | 0x143}},
	{4, 3, EAX, {0x00000163, 3u << 26 | 3 << 14 | 0x163, 63u << 26 | 63 << 14 | 0x163}},
	{4, 3, ECX, SAME(0x1bfff)},
	{4, 4, EAX, SAME(0)},
	{7, 0, EBX, SAME(0x12345678)},
	{0xa, 0, EAX, SAME(0)},
	{0xa, 0, EDX, SAME(0)},
	{0xb, 0, EAX, SAME(0)},
	{0xb, 0, EBX, SAME(1)},
	{0xb, 0, ECX, SAME(0x100)},
	{0xb, 1, EAX, {0, 2, 6}},
	{0xb, 1, EBX, {1, 4, 64}},
	{0xb, 1, ECX, SAME(0x201)},
	{0x40000001, 0, EAX, SAME(0x01007efb)},
	{0x80000001, 0, ECX, SAME(0x121)},
	{0x80000008, 0, EAX, SAME(0x392e)},
	{0x80000008, 0, ECX, SAME(0)},
};

static const struct expected amd_expected[] = {
	{1, 0, EBX, {0x00010800, 0x00040800, 0x00400800}},
	{1, 0, ECX, SAME(0x81200001)},
	{1, 0, EDX, {0x078bfbff, 0x178bfbff, 0x178bfbff}},
	{0xb, 0, EAX, SAME(0)},
	{0xb, 0, EBX, SAME(1)},
	{0xb, 0, ECX, SAME(0x100)},
	{0xb, 1, EAX, {0, 2, 6}},
	{0xb, 1, EBX, {1, 4, 64}},
	{0xb, 1, ECX, SAME(0x201)},
	/* CMP_LEGACY: leaf 1 counts cores and not threads (AMD APM vol. 3 appendix E). */
	{0x80000001, 0, ECX, {0x00400001, 0x00400003, 0x00400003}},
	{0x80000001, 0, EDX, SAME(0x2fd3fbff)},
	{0x80000008, 0, EAX, SAME(0x3030)},
	{0x80000008, 0, ECX, {0x00010000, 0x00012003, 0x0001603f}},
	{0x8000000a, 0, EAX, SAME(0)},
	{0x8000000a, 0, EDX, SAME(0)},
	{0x8000001d, 0, EAX, SAME(0x121)},
	{0x8000001d, 2, EAX, SAME(0x143)},
	{0x8000001d, 3, EAX, {0x163, 3 << 14 | 0x163, 63 << 14 | 0x163}},
	{0x8000001e, 0, EBX, SAME(0)},
	{0x8000001e, 0, ECX, SAME(0)},
	{0x80000022, 0, EAX, SAME(0)},
};

/* --- KVM, as far as this room calls it ------------------------------------------------------- */

static const struct kvm_cpuid_entry2 *host;
static unsigned host_n;
static int host_error;

int kvm_ioctl(int fd, unsigned long request, void *arg)
{
	struct kvm_cpuid2 *cpuid = arg;

	assert_int_equal(fd, 77);
	assert_int_equal(request, KVM_GET_SUPPORTED_CPUID);
	if (host_error)
		return host_error;
	if (cpuid->nent < host_n)
		return -E2BIG;
	memcpy(cpuid->entries, host, host_n * sizeof(*host));
	cpuid->nent = host_n;
	return 0;
}

static const struct kvm_cpuid_entry2 *find(const struct kvm_cpuid2 *c, uint32_t function,
					   uint32_t index)
{
	const struct kvm_cpuid_entry2 *found = NULL;

	for (unsigned i = 0; i < c->nent; i++) {
		if (c->entries[i].function != function || c->entries[i].index != index)
			continue;
		assert_null(found); /* no leaf twice */
		found = &c->entries[i];
	}
	return found;
}

static uint32_t reg(const struct kvm_cpuid_entry2 *e, int which)
{
	return which == EAX ? e->eax : which == EBX ? e->ebx : which == ECX ? e->ecx : e->edx;
}

static void check(const struct expected *table, size_t n)
{
	for (unsigned k = 0; k < N(cpu_counts); k++) {
		struct kvm_cpuid2 *c;

		assert_int_equal(cpuid_create(77, cpu_counts[k], &c), 0);
		for (size_t i = 0; i < n; i++) {
			const struct kvm_cpuid_entry2 *e =
				find(c, table[i].function, table[i].index);

			if (!e)
				fail_msg("no leaf %#x.%u", table[i].function, table[i].index);
			if (reg(e, table[i].reg) != table[i].value[k])
				fail_msg("leaf %#x.%u, register %d, %u CPUs: %#x and not %#x",
					 table[i].function, table[i].index, table[i].reg,
					 cpu_counts[k], reg(e, table[i].reg), table[i].value[k]);
		}
		/* One topology and no other; its sub-leaves told apart. */
		assert_int_equal(find(c, 0xb, 1)->flags, INDEXED);
		assert_null(find(c, 0xb, 2));
		assert_null(find(c, 0x1f, 0));
		assert_null(find(c, 0x80000026, 0));
		free(c);
	}
}

static void test_intel(void **state)
{
	(void)state;
	host = intel;
	host_n = N(intel);
	check(intel_expected, N(intel_expected));
}

static void test_amd(void **state)
{
	(void)state;
	host = amd;
	host_n = N(amd);
	check(amd_expected, N(amd_expected));
}

/* APIC id = vCPU number, in every leaf that tells it, and patching again leaves no trace. */
static void test_each_vcpu(void **state)
{
	struct kvm_cpuid2 *c;

	(void)state;
	host = amd;
	host_n = N(amd);
	assert_int_equal(cpuid_create(77, 64, &c), 0);
	for (uint32_t k = 0; k < 128; k++) {
		uint32_t id = k % 64;

		cpuid_for_vcpu(c, id);
		assert_int_equal(find(c, 1, 0)->ebx, id << 24 | 0x00400800);
		assert_int_equal(find(c, 0xb, 0)->edx, id);
		assert_int_equal(find(c, 0xb, 1)->edx, id);
		assert_int_equal(find(c, 0x8000001e, 0)->eax, id);
		assert_int_equal(find(c, 0x8000001e, 0)->ebx, id);
		/* All APIC ids agree on one package by every leaf's own arithmetic. */
		assert_int_equal(id >> find(c, 0xb, 1)->eax, 0);
		assert_int_equal(id >> (find(c, 0x80000008, 0)->ecx >> 12 & 15), 0);
	}
	free(c);
}

static void test_phys_bits(void **state)
{
	struct kvm_cpuid2 *c;

	(void)state;
	host = intel;
	host_n = N(intel);
	assert_int_equal(cpuid_create(77, 1, &c), 0);
	assert_int_equal(cpuid_phys_bits(c), 0x2e);
	free(c);
	host_n = 2; /* leaves 0 and 1 alone */
	assert_int_equal(cpuid_create(77, 1, &c), 0);
	assert_int_equal(cpuid_phys_bits(c), 36);
	assert_int_equal(c->nent, 2);
	free(c);
}

/* As many leaves as KVM may hand over: the one that is added still has room. */
static void test_full(void **state)
{
	static struct kvm_cpuid_entry2 many[CPUID_ENTRIES_MAX];
	struct kvm_cpuid2 *c;

	(void)state;
	for (unsigned i = 0; i < N(many); i++)
		many[i].function = 0x20000000 + i;
	many[N(many) / 2].function = 0xb;
	host = many;
	host_n = N(many);
	assert_int_equal(cpuid_create(77, 2, &c), 0);
	assert_int_equal(c->nent, CPUID_ENTRIES_MAX + 1);
	assert_int_equal(find(c, 0xb, 1)->ebx, 2);
	free(c);
}

static void test_host_refuses(void **state)
{
	struct kvm_cpuid2 *c = NULL;

	(void)state;
	said_start();
	host_error = -E2BIG;
	assert_int_equal(cpuid_create(77, 1, &c), -E2BIG);
	assert_int_equal(said_count(), 1);
	assert_null(c);
	host_error = 0;
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_intel),     cmocka_unit_test(test_amd),
		cmocka_unit_test(test_each_vcpu), cmocka_unit_test(test_phys_bits),
		cmocka_unit_test(test_full),      cmocka_unit_test(test_host_refuses),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
