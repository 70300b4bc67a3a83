/* SPDX-License-Identifier: BSD-2-Clause */
/* How wide guest-physical addresses are, on hosts that have more or fewer bits than usual. */
#include <linux/kvm.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "arch/arm64/ipa.h"

static int host_bits;

int kvm_has(const struct kvm *kvm, int cap)
{
	(void)kvm;
	assert_int_equal(cap, KVM_CAP_ARM_VM_IPA_SIZE);
	return host_bits;
}

static void test_types(void **state)
{
	static const struct {
		int host; /* 0: a KVM that does not know the question */
		uint64_t last;
		unsigned limit;
		unsigned long type;
	} table[] = {
		{0, 0xffffffff, 40, 0},        {0, 0xffffffffff, 40, 0},
		{0, 0x10000000000, 40, 0}, /* too much: refused later, by ipa_limit() */
		{40, 0xffffffffff, 40, 0},     {48, 0xffffffffff, 48, 0},
		{48, 0x10000000000, 48, 41},   {48, 0xffffffffffff, 48, 48},
		{48, 0x1000000000000, 48, 48}, {52, 0x1000000000000, 52, 49},
		{36, 0xffffffff, 36, 36}, /* fewer than the usual 40 must be asked for */
		{36, 0x1000000000, 36, 36},    {52, UINT64_MAX, 52, 52},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		host_bits = table[i].host;
		if (ipa_limit(NULL) != table[i].limit ||
		    ipa_vm_type(NULL, table[i].last) != table[i].type)
			fail_msg("row %zu: %u bits, type %lu", i, ipa_limit(NULL),
				 ipa_vm_type(NULL, table[i].last));
	}
}

static void test_granules(void **state)
{
	static const struct {
		uint64_t mmfr0;
		int has[4];
	} table[] = {
		{0x00000000, {1, 1, 0, 1}}, /* Cortex-A57: no 16 KiB */
		{0x00100000, {1, 1, 1, 1}}, {0xf0100000, {1, 0, 1, 1}},
		{0x0f000000, {1, 1, 0, 0}}, {0xffffffffff0fffff, {1, 0, 0, 0}},
		{0x11200000, {1, 1, 1, 1}}, /* with 52 address bits */
	};

	(void)state;
	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++)
		for (unsigned g = 0; g < 4; g++)
			if (ipa_has_granule(table[i].mmfr0, g) != table[i].has[g])
				fail_msg("row %zu, granule %u", i, g);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_types),
		cmocka_unit_test(test_granules),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
