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

int main(void)
{
	static const struct CMUnitTest tests[] = {cmocka_unit_test(test_types)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
