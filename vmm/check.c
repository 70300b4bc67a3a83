/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The command `skiff check`: its options, and KVM's part of the report. Main thread, no other
 * exists. The other parts are in check_host.c and check_guest.c, the report in check_report.c.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "arch/host.h"
#include "vmm/check.h"
#include "vmm/check_guest.h"
#include "vmm/check_host.h"
#include "vmm/check_report.h"
#include "vmm/kvm.h"
#include "vmm/log.h"

enum { STATUS_YES = 0, STATUS_NO = 1, STATUS_USAGE = 2 };

/* The whole command takes 10 to 20 ms, and 200 ms where the processor is emulated. */
#define GUEST_LIMIT_MS 10000

struct options {
	const char *kvm_path;
	int json, quiet, help;
};

static void print_help(void)
{
	fputs("usage: skiff check [--json | --quiet] [--kvm PATH]\n"
	      "\n"
	      "Says whether Linux can run on this host, and if not, what to do about it: looks at\n"
	      "KVM, io_uring and memory, and runs a tiny guest of a few instructions.\n"
	      "\n"
	      "  --json      one JSON object for machines\n"
	      "  --quiet     print nothing: the exit status is the answer\n"
	      "  --kvm PATH  the KVM device; default " KVM_DEVICE "\n"
	      "\n"
	      "Exit status: 0 Linux can run, 1 it cannot, 2 wrong usage.\n"
	      "\n"
	      "The JSON object has the keys\n"
	      "  can_run_linux     true or false\n"
	      "  verdict           the same in a sentence, with the first reason\n"
	      "  arch, kernel      what `uname -m` and `uname -r` say\n"
	      "  cpus              processors that this process may use\n"
	      "  memory_total, memory_available   in bytes\n"
	      "  checks            an array of objects with the keys\n"
	      "    part            kvm, capability, guest, io_uring or host\n"
	      "    name            what was looked at\n"
	      "    state           ok, note (worth knowing) or missing (Linux cannot run)\n"
	      "    detail          what was found and what to do\n",
	      stdout);
}

/* 0, or -EINVAL after a sentence. */
static int parse(int argc, char **argv, struct options *o)
{
	for (int i = 0; i < argc; i++) {
		const char *arg = argv[i];

		if (strcmp(arg, "--json") == 0) {
			o->json = 1;
		} else if (strcmp(arg, "--quiet") == 0 || strcmp(arg, "-q") == 0) {
			o->quiet = 1;
		} else if (strcmp(arg, "--help") == 0 || strcmp(arg, "-h") == 0) {
			o->help = 1;
		} else if (strncmp(arg, "--kvm=", 6) == 0) {
			o->kvm_path = arg + 6;
		} else if (strcmp(arg, "--kvm") == 0) {
			if (++i == argc)
				return log_fail(-EINVAL, "check: --kvm: needs a path, such as %s",
						KVM_DEVICE);
			o->kvm_path = argv[i];
		} else {
			return log_fail(-EINVAL,
					"check: %s: no such option: see `skiff check --help`", arg);
		}
	}
	if (o->json && o->quiet)
		return log_fail(-EINVAL, "check: --json and --quiet exclude each other: use one");
	return 0;
}

/* Takes the sentence with which a room explains its failure; `kvm: ` is said by the item's part. */
static void keep_line(void *arg, enum log_level level, const char *line)
{
	char *said = arg;

	(void)level;
	snprintf(said, sizeof(((struct check_item *)0)->detail), "%s",
		 strncmp(line, "kvm: ", 5) == 0 ? line + 5 : line);
}

static void check_caps(struct check_report *report, const struct kvm *kvm)
{
	for (const struct kvm_cap *cap = arch_kvm_caps; cap->name; cap++) {
		if (kvm_has(kvm, cap->cap))
			check_add(report, CHECK_OK, "capability", cap->name, "%s", cap->why);
		else if (cap->needed)
			check_add(report, CHECK_MISSING, "capability", cap->name,
				  "needed for %s; use a newer kernel", cap->why);
		else
			check_add(report, CHECK_NOTE, "capability", cap->name,
				  "not there; it is for %s", cap->why);
	}
}

static void check_kvm(struct check_report *report, const char *path)
{
	char said[sizeof(report->item[0].detail)] = "";
	struct kvm kvm;
	int r;

	log_set_sink(keep_line, said);
	r = kvm_open(&kvm, path);
	log_set_sink(NULL, NULL);
	if (r < 0) {
		check_add(report, CHECK_MISSING, "kvm", "device", "%s", said);
		return;
	}
	check_add(report, CHECK_OK, "kvm", "device", "%s can be opened, API version 12", path);
	check_caps(report, &kvm);
	check_guest(report, &kvm, GUEST_LIMIT_MS);
	kvm_close(&kvm);
}

/* Colours where a person looks and has not said no (https://no-color.org). */
static int wants_colour(void)
{
	const char *no = getenv("NO_COLOR"), *term = getenv("TERM");

	return isatty(STDOUT_FILENO) && !(no && *no) && !(term && strcmp(term, "dumb") == 0);
}

int check_main(int argc, char **argv)
{
	struct options o = {.kvm_path = KVM_DEVICE};
	struct check_report report = {0};

	if (parse(argc, argv, &o) < 0)
		return STATUS_USAGE;
	if (o.help) {
		print_help();
		return STATUS_YES;
	}
	check_kvm(&report, o.kvm_path);
	check_io_uring(&report);
	check_host(&report);
	if (o.json)
		check_print_json(&report, stdout);
	else if (!o.quiet)
		check_print_text(&report, stdout, wants_colour());
	return check_can_run_linux(&report) ? STATUS_YES : STATUS_NO;
}
