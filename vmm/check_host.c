/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What `skiff check` says of the host beside KVM. Main thread; looks and changes nothing. Knows
 * /proc and system calls, and no other room.
 */
#include <errno.h>
#include <inttypes.h>
#include <liburing.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "arch/host.h"
#include "vmm/check_host.h"

#define MIB ((uint64_t)1024 * 1024)

/* The number that a file of /proc holds, or -1. */
static long read_number(const char *path)
{
	FILE *f = fopen(path, "re");
	long v = -1;

	if (!f)
		return -1;
	if (fscanf(f, "%ld", &v) != 1)
		v = -1;
	fclose(f);
	return v;
}

/* Who forbids io_uring. Documentation/admin-guide/sysctl/kernel.rst, io_uring_disabled. */
static void explain_io_uring(struct check_report *report, int err)
{
	long disabled = read_number("/proc/sys/kernel/io_uring_disabled");

	if (err == -ENOSYS)
		check_add(
			report, CHECK_MISSING, "io_uring", "setup",
			"this kernel is built without io_uring, or a container's seccomp profile hides "
			"it; use Linux 5.6 or later, or a profile that allows it");
	else if (err == -EPERM && disabled == 2)
		check_add(report, CHECK_MISSING, "io_uring", "setup",
			  "switched off for everybody: `sudo sysctl kernel.io_uring_disabled=0`");
	else if (err == -EPERM && disabled == 1)
		check_add(
			report, CHECK_MISSING, "io_uring", "setup",
			"only for root and for the group that kernel.io_uring_group names (%ld): join "
			"it, or `sudo sysctl kernel.io_uring_disabled=0`",
			read_number("/proc/sys/kernel/io_uring_group"));
	else if (err == -EPERM || err == -EACCES)
		check_add(
			report, CHECK_MISSING, "io_uring", "setup",
			"%s: forbidden by a seccomp profile or security module; allow io_uring_setup, "
			"io_uring_enter and io_uring_register (docker: --security-opt seccomp=...)",
			strerror(-err));
	else if (err == -ENOMEM)
		check_add(report, CHECK_MISSING, "io_uring", "setup",
			  "no locked memory left for a ring: raise `ulimit -l`");
	else
		check_add(report, CHECK_MISSING, "io_uring", "setup", "%s", strerror(-err));
}

/* The operations that vmm/loop.c submits. */
static const struct {
	int op;
	const char *name;
} uring_ops[] = {
	{IORING_OP_READ, "READ"},
	{IORING_OP_READV, "READV"},
	{IORING_OP_WRITE, "WRITE"},
	{IORING_OP_WRITEV, "WRITEV"},
	{IORING_OP_FSYNC, "FSYNC"},
	{IORING_OP_FALLOCATE, "FALLOCATE"},
	{IORING_OP_RECVMSG, "RECVMSG"},
	{IORING_OP_SENDMSG, "SENDMSG"},
	{IORING_OP_POLL_ADD, "POLL_ADD"},
	{IORING_OP_TIMEOUT, "TIMEOUT"},
	{IORING_OP_ASYNC_CANCEL, "ASYNC_CANCEL"},
};

static void check_uring_ops(struct check_report *report, struct io_uring *ring)
{
	struct io_uring_probe *probe = io_uring_get_probe_ring(ring);
	char missing[256] = "";
	size_t used = 0;

	if (!probe) {
		check_add(report, CHECK_MISSING, "io_uring", "operations",
			  "this kernel cannot list them; use Linux 5.6 or later");
		return;
	}
	for (unsigned i = 0; i < sizeof(uring_ops) / sizeof(uring_ops[0]); i++) {
		if (io_uring_opcode_supported(probe, uring_ops[i].op) || used >= sizeof(missing))
			continue;
		used += (size_t)snprintf(missing + used, sizeof(missing) - used, " %s",
					 uring_ops[i].name);
	}
	if (used)
		check_add(report, CHECK_MISSING, "io_uring", "operations",
			  "this kernel lacks%s; use a newer one", missing);
	else
		check_add(report, CHECK_OK, "io_uring", "operations", "all that are used");
	io_uring_free_probe(probe);
}

void check_io_uring(struct check_report *report)
{
	struct io_uring ring;
	int r = io_uring_queue_init(8, &ring, 0);

	if (r < 0) {
		explain_io_uring(report, r);
		return;
	}
	check_add(report, CHECK_OK, "io_uring", "setup", "a ring can be made");
	check_uring_ops(report, &ring);
	io_uring_queue_exit(&ring);
}

static void check_kernel(struct check_report *report)
{
	struct utsname u;

	if (uname(&u) < 0)
		return;
	snprintf(report->arch, sizeof(report->arch), "%.15s", u.machine);
	snprintf(report->kernel, sizeof(report->kernel), "%.71s", u.release);
	check_add(report, CHECK_OK, "host", "kernel", "%s %s, %s", u.sysname, u.release, u.machine);
}

static void check_cpus(struct check_report *report)
{
	long online = sysconf(_SC_NPROCESSORS_ONLN);
	cpu_set_t set;
	char hint[160];
	int offered;

	CPU_ZERO(&set);
	report->cpus = online > 0 ? (uint64_t)online : 0;
	if (sched_getaffinity(0, sizeof(set), &set) == 0)
		report->cpus = (uint64_t)CPU_COUNT(&set);
	check_add(report, CHECK_OK, "host", "processors",
		  "%" PRIu64 " for this process, %ld online", report->cpus, online);

	offered = arch_virt_hint(hint, sizeof(hint));
	check_add(report, offered == 0 ? CHECK_NOTE : CHECK_OK, "host", "virtualisation", "%s",
		  hint);
}

/* Reads what /proc/meminfo counts in KiB into bytes; 0 where the line is not there. */
static void read_meminfo(struct check_report *report)
{
	FILE *f = fopen("/proc/meminfo", "re");
	char line[128];
	uint64_t kib;

	if (!f)
		return;
	while (fgets(line, sizeof(line), f)) {
		if (sscanf(line, "MemTotal: %" SCNu64, &kib) == 1)
			report->memory_total = kib * 1024;
		else if (sscanf(line, "MemAvailable: %" SCNu64, &kib) == 1)
			report->memory_available = kib * 1024;
	}
	fclose(f);
}

static void check_limits(struct check_report *report)
{
	long overcommit = read_number("/proc/sys/vm/overcommit_memory");
	struct rlimit as, lock;

	/* Documentation/mm/overcommit-accounting.rst: 2 is "do not overcommit". */
	if (overcommit == 2)
		check_add(
			report, CHECK_NOTE, "host", "overcommit",
			"switched off (vm.overcommit_memory=2): a guest's whole RAM counts from its "
			"start, used or not");
	if (getrlimit(RLIMIT_AS, &as) == 0 && as.rlim_cur != RLIM_INFINITY)
		check_add(report, CHECK_NOTE, "host", "address space",
			  "limited to %llu MiB (`ulimit -v`): guest RAM must fit in it",
			  (unsigned long long)(as.rlim_cur / MIB));
	/* Before Linux 5.12 a ring is charged to RLIMIT_MEMLOCK; 64 KiB was the usual limit. */
	if (getrlimit(RLIMIT_MEMLOCK, &lock) == 0 && lock.rlim_cur < MIB)
		check_add(
			report, CHECK_NOTE, "host", "locked memory",
			"limited to %llu KiB (`ulimit -l`): on kernels before 5.12 too little for "
			"many rings",
			(unsigned long long)(lock.rlim_cur / 1024));
}

void check_host(struct check_report *report)
{
	check_kernel(report);
	check_cpus(report);
	read_meminfo(report);
	check_add(report, report->memory_available < 256 * MIB ? CHECK_NOTE : CHECK_OK, "host",
		  "memory", "%" PRIu64 " MiB, of which %" PRIu64 " MiB available",
		  report->memory_total / MIB, report->memory_available / MIB);
	check_limits(report);
}
