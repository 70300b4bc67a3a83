/* SPDX-License-Identifier: BSD-2-Clause */
/* A result as a table and as JSON: ratios, loads that failed, places that do not take part. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>
#include <jansson.h>

#include "vmm/bench/bench.h"
#include "vmm/bench/report.h"
#include "vmm/bench/table.h"

static struct bench b;

static void measured(const char *load, enum place_kind place, double first, double second)
{
	struct figures *f = &b.results[load_find(load) - loads][place];

	figures_add(f, first);
	figures_add(f, second);
}

static void spent(const char *load, enum spent_kind kind, double a_second)
{
	figures_add(&b.spent[load_find(load) - loads][PLACE_VM][kind], a_second);
}

static int make_bench(void **state)
{
	(void)state;
	memset(&b, 0, sizeof(b));
	b.o.loads = loads_select("t", "cpu,mutex,tcp-send");
	b.o.places = 1u << PLACE_HOST | 1u << PLACE_CONTAINER | 1u << PLACE_VM;
	b.o.runs = 2;
	b.o.seconds = 1;
	b.o.cpus = 1;
	b.o.memory = 1u << 30;
	b.o.kernel = "/boot/vmlinuz";
	b.runtime = "crun";
	b.direct = 1;
	snprintf(b.titles[PLACE_HOST], sizeof(b.titles[0]), "host");
	snprintf(b.titles[PLACE_CONTAINER], sizeof(b.titles[0]), "container (crun)");
	snprintf(b.titles[PLACE_VM], sizeof(b.titles[0]), "VM (skiff)");
	environment_add(&b.environment, "cpu", "a \"fast\" one\n\xff");
	environment_add(&b.environment, "version.fio", "fio-%s", "3.33");
	measured("cpu", PLACE_HOST, 1000, 1000);
	measured("cpu", PLACE_CONTAINER, 980, 1020);
	measured("cpu", PLACE_VM, 960, 980);
	measured("mutex", PLACE_HOST, 0.5, 0.5);
	measured("mutex", PLACE_CONTAINER, 0.5, 0.5);
	figures_add(&b.results[load_find("mutex") - loads][PLACE_VM], 1); /* the other failed */
	b.failed = 1;
	measured("tcp-send", PLACE_HOST, 20000, 20000);
	measured("tcp-send", PLACE_CONTAINER, 20000, 20000);
	spent("cpu", SPENT_GUEST, 981.5);
	spent("cpu", SPENT_VCPU, 12);
	spent("cpu", SPENT_OTHERS, 0);
	spent("cpu", SPENT_EXITS, 675);
	b.spent_has = 1u << SPENT_GUEST | 1u << SPENT_VCPU | 1u << SPENT_OTHERS;
	return 0;
}

static void test_table(void **state)
{
	static const char *const lines[] = {
		"                unit     better            host  container (crun)      VM (skiff)  "
		"VM/container       VM/host\n",
		"sysbench cpu    events/s more        1000 ( 0%)        1000 ( 4%)     970.0 ( 2%)  "
		"       0.970         0.970\n",
		"sysbench mutex  s        less       0.500 ( 0%)       0.500 ( 0%)          1.000*  "
		"       2.000         2.000\n",
		"TCP to the host Mbit/s   more       20000 ( 0%)       20000 ( 0%)          failed  "
		"           -             -\n",
		"\nMedians of 2 runs; in brackets (max - min) / median.\n"
		"* of fewer runs: the others failed.\n",
		"  cpu         a \"fast\" one??\n",
		"  versions    fio: fio-3.33\n",
		"  guest       /boot/vmlinuz\n",
		"sysbench cpu    VM (skiff)     98.2%      1.2%     0.0%        -           -         -        -        -\n",
		"(Exits: KVM's counters are in /sys/kernel/debug/kvm, for root, where debugfs is "
		"mounted.)\n",
	};
	char *text = NULL;
	size_t size;
	FILE *f = open_memstream(&text, &size);

	(void)state;
	assert_non_null(f);
	table_print(&b, f);
	fclose(f);
	for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
		print_message("%s", lines[i]);
		assert_non_null(strstr(text, lines[i]));
	}
	assert_null(strstr(text, "fio 4K"));
	assert_null(strstr(text, "sysbench mutex  VM"));
	free(text);
}

static void test_table_with_exits(void **state)
{
	char *text = NULL;
	size_t size;
	FILE *f = open_memstream(&text, &size);

	(void)state;
	assert_non_null(f);
	b.spent_has |= 1u << SPENT_EXITS | 1u << SPENT_IRQ;
	table_print(&b, f);
	fclose(f);
	assert_non_null(
		strstr(text, "     98.2%      1.2%     0.0%      675           0         -  "));
	assert_null(strstr(text, "for root"));
	free(text);
}

static double number(const json_t *object, const char *a, const char *b_, const char *c)
{
	return json_number_value(
		json_object_get(json_object_get(json_object_get(object, a), b_), c));
}

static void test_json(void **state)
{
	char path[] = "/tmp/test_bench_report.XXXXXX";
	int fd = mkstemp(path);
	json_t *root, *results, *cpu, *tcp, *of;

	(void)state;
	assert_true(fd >= 0);
	close(fd);
	assert_int_equal(report_write(&b, path), 0);
	root = json_load_file(path, 0, NULL);
	unlink(path);
	assert_non_null(root);
	assert_string_equal(
		json_string_value(json_object_get(json_object_get(root, "environment"), "cpu")),
		"a \"fast\" one??");
	assert_int_equal(json_array_size(json_object_get(root, "places")), 3);
	results = json_object_get(root, "results");
	assert_int_equal(json_array_size(results), 3);
	cpu = json_array_get(results, 0);
	assert_string_equal(json_string_value(json_object_get(cpu, "name")), "cpu");
	assert_true(number(cpu, "places", "vm", "median") == 970);
	assert_true(number(cpu, "places", "container", "max") == 1020);
	of = json_object_get(json_object_get(json_object_get(cpu, "places"), "vm"), "a_second");
	assert_true(json_number_value(json_object_get(of, "guest_ms")) == 981.5);
	assert_null(json_object_get(of, "exits")); /* nobody could read them */
	assert_null(json_object_get(json_object_get(json_object_get(cpu, "places"), "host"),
				    "a_second"));
	assert_int_equal(json_array_size(json_object_get(
				 json_object_get(json_object_get(cpu, "places"), "host"), "runs")),
			 2);
	assert_true(json_number_value(json_object_get(json_object_get(cpu, "ratios"),
						      "vm/container")) == 0.97);
	/* A load that failed has no figure, which is not zero. */
	tcp = json_array_get(results, 2);
	assert_true(json_is_null(
		json_object_get(json_object_get(json_object_get(tcp, "places"), "vm"), "median")));
	assert_null(json_object_get(json_object_get(tcp, "ratios"), "vm/host"));
	assert_non_null(json_object_get(json_object_get(tcp, "ratios"), "container/host"));
	json_decref(root);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_table, make_bench),
		cmocka_unit_test_setup(test_table_with_exits, make_bench),
		cmocka_unit_test_setup(test_json, make_bench),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
