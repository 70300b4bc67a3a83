/* SPDX-License-Identifier: BSD-2-Clause */
/* What a person reads when KVM gives a guest up, from run pages made up here. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>
#include <linux/kvm.h>

#include "vmm/kvm_report.h"

static struct kvm_run run;
static char line[512];

static int setup(void **state)
{
	(void)state;
	memset(&run, 0, sizeof(run));
	memset(line, 'x', sizeof(line));
	return 0;
}

static void emulation_failure(const uint8_t *bytes, uint8_t n)
{
	run.exit_reason = KVM_EXIT_INTERNAL_ERROR;
	run.emulation_failure.suberror = KVM_INTERNAL_ERROR_EMULATION;
	run.emulation_failure.ndata = 3;
	run.emulation_failure.flags = KVM_INTERNAL_ERROR_EMULATION_FLAG_INSTRUCTION_BYTES;
	run.emulation_failure.insn_size = n;
	memcpy(run.emulation_failure.insn_bytes, bytes, n < 15 ? n : 15);
}

static void test_emulation_names_bytes_and_pc(void **state)
{
	static const uint8_t bytes[] = {0xf0, 0x48, 0x0f, 0xc7, 0x0f};
	uint64_t pc = 0xffffffff81000123;

	(void)state;
	emulation_failure(bytes, sizeof(bytes));
	kvm_report_exit(&run, &pc, line, sizeof(line));
	assert_string_equal(line,
			    "KVM internal error, suberror 1: an instruction that KVM cannot "
			    "emulate, instruction bytes f0 48 0f c7 0f, at 0xffffffff81000123");
	assert_non_null(strstr(kvm_report_cause(&run), "skiff check"));
}

static void test_emulation_without_bytes(void **state)
{
	static const uint8_t bytes[] = {0xcc};

	(void)state;
	/* Before Linux 5.14: ndata is 0, and what lies in the union means nothing. */
	emulation_failure(bytes, 1);
	run.emulation_failure.ndata = 0;
	kvm_report_exit(&run, NULL, line, sizeof(line));
	assert_non_null(strstr(line, "not given"));
	assert_null(strstr(line, " cc"));
	assert_null(strstr(line, ", at "));

	emulation_failure(bytes, 1);
	run.emulation_failure.flags = 0;
	kvm_report_exit(&run, NULL, line, sizeof(line));
	assert_non_null(strstr(line, "not given"));

	emulation_failure(bytes, 0);
	kvm_report_exit(&run, NULL, line, sizeof(line));
	assert_non_null(strstr(line, "not given"));
}

static void test_insn_size_beyond_the_field(void **state)
{
	static const uint8_t bytes[15] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};

	(void)state;
	emulation_failure(bytes, 255);
	/* What follows the bytes in the struct must not be read as bytes. */
	memset((uint8_t *)&run.emulation_failure.insn_bytes + 15, 0xee, 32);
	kvm_report_exit(&run, NULL, line, sizeof(line));
	assert_non_null(strstr(line, "01 02 03 04 05 06 07 08 09 0a 0b 0c 0d 0e 0f"));
	assert_null(strstr(line, "ee"));
}

static void test_other_suberrors(void **state)
{
	static const struct {
		uint32_t suberror;
		const char *name;
	} table[] = {
		{KVM_INTERNAL_ERROR_SIMUL_EX, "exceptions"},
		{KVM_INTERNAL_ERROR_DELIVERY_EV, "delivering"},
		{KVM_INTERNAL_ERROR_UNEXPECTED_EXIT_REASON, "does not know"},
		{4711, "suberror 4711: unknown"},
	};

	(void)state;
	for (unsigned i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		setup(NULL);
		run.exit_reason = KVM_EXIT_INTERNAL_ERROR;
		run.internal.suberror = table[i].suberror;
		run.internal.ndata = 2;
		run.internal.data[0] = 0x80000b0e;
		run.internal.data[1] = 48;
		run.internal.data[2] = 0x7777;
		kvm_report_exit(&run, NULL, line, sizeof(line));
		assert_non_null(strstr(line, table[i].name));
		assert_non_null(strstr(line, ", data 0x80000b0e 0x30"));
		assert_null(strstr(line, "7777"));
	}
}

static void test_ndata_beyond_the_field(void **state)
{
	char big[2048];
	const char *p;
	unsigned n = 0;

	(void)state;
	run.exit_reason = KVM_EXIT_INTERNAL_ERROR;
	run.internal.suberror = KVM_INTERNAL_ERROR_DELIVERY_EV;
	run.internal.ndata = UINT32_MAX;
	for (unsigned i = 0; i < 16; i++)
		run.internal.data[i] = 0x100 + i;
	kvm_report_exit(&run, NULL, big, sizeof(big));
	for (p = big; (p = strstr(p, " 0x")); p++)
		n++;
	assert_int_equal(n, 16);
	assert_non_null(strstr(big, "0x10f"));
}

static void test_fail_entry(void **state)
{
	static const struct {
		uint64_t reason;
		const char *text, *cause;
	} table[] = {
		{0x80000021, "0x80000021", "unrestricted guest"},
		{UINT64_MAX, "0xffffffffffffffff", "unrestricted guest"},
		{0x80000022, "0x80000022", "model-specific register"},
		{7, "0x7", "nested"},
	};

	(void)state;
	for (unsigned i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		setup(NULL);
		run.exit_reason = KVM_EXIT_FAIL_ENTRY;
		run.fail_entry.hardware_entry_failure_reason = table[i].reason;
		kvm_report_exit(&run, NULL, line, sizeof(line));
		assert_non_null(strstr(line, "refused to enter"));
		assert_non_null(strstr(line, table[i].text));
		assert_non_null(strstr(kvm_report_cause(&run), table[i].cause));
	}
}

static void test_other_exits(void **state)
{
	(void)state;
	run.exit_reason = KVM_EXIT_SHUTDOWN;
	kvm_report_exit(&run, NULL, line, sizeof(line));
	assert_non_null(strstr(line, "triple fault"));

	run.exit_reason = 9999;
	kvm_report_exit(&run, NULL, line, sizeof(line));
	assert_string_equal(line, "KVM exit reason 9999");
	assert_null(kvm_report_cause(&run));
}

static void test_every_length_is_kept(void **state)
{
	static const uint8_t bytes[] = {0xcc, 0x90};
	char full[512];
	uint64_t pc = 1;

	(void)state;
	emulation_failure(bytes, sizeof(bytes));
	kvm_report_exit(&run, &pc, full, sizeof(full));
	for (size_t len = 0; len <= strlen(full) + 1; len++) {
		char out[512];

		memset(out, '#', sizeof(out));
		kvm_report_exit(&run, &pc, out, len);
		assert_int_equal(out[len], '#');
		if (len) {
			assert_int_equal(strlen(out), len - 1);
			assert_memory_equal(out, full, len - 1);
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_emulation_names_bytes_and_pc, setup),
		cmocka_unit_test_setup(test_emulation_without_bytes, setup),
		cmocka_unit_test_setup(test_insn_size_beyond_the_field, setup),
		cmocka_unit_test_setup(test_other_suberrors, setup),
		cmocka_unit_test_setup(test_ndata_beyond_the_field, setup),
		cmocka_unit_test_setup(test_fail_entry, setup),
		cmocka_unit_test_setup(test_other_exits, setup),
		cmocka_unit_test_setup(test_every_length_is_kept, setup),
	};

	return cmocka_run_group_tests_name("kvm_report", tests, NULL, NULL);
}
