/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The figures behind --stats, gathered once, when the vCPUs have stopped. Main thread. Knows where
 * counters lie; counts nothing itself.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "vmm/clock.h"
#include "vmm/devices.h"
#include "vmm/kvm_stats.h"
#include "vmm/loop.h"
#include "vmm/machine.h"
#include "vmm/stats.h"

/* KVM's counters that say where exits come from; kernels lack some, and then they read 0. */
static const char *const exit_reasons[] = {
	"io_exits",
	"mmio_exits",
	"halt_exits",
	"irq_exits",
	"irq_window_exits",
	"request_irq_exits",
	"signal_exits",
	"pf_taken",
	"pf_fixed",
	"insn_emulation",
	"hypercalls",
	"irq_injections",
	"nmi_injections",
	"preemption_reported",
	/* arm64 */
	"wfi_exit_stat",
	"wfe_exit_stat",
	"mmio_exit_user",
	"mmio_exit_kernel",
	"hvc_exit_stat",
};

#define N_REASONS (sizeof(exit_reasons) / sizeof(exit_reasons[0]))

static void print_kvm_exits(const struct machine *m)
{
	uint64_t total = 0, sum[N_REASONS] = {0};
	int any = 0;

	for (unsigned i = 0; i < m->n_vcpus; i++) {
		struct kvm_stats s;

		if (kvm_stats_open(&s, m->vcpu[i].fd) < 0)
			continue;
		any = 1;
		total += kvm_stats_get(&s, "exits");
		for (size_t k = 0; k < N_REASONS; k++)
			sum[k] += kvm_stats_get(&s, exit_reasons[k]);
		kvm_stats_close(&s);
	}
	if (!any)
		return;
	fprintf(stderr, "stats: exits %" PRIu64, total);
	for (size_t k = 0; k < N_REASONS; k++)
		if (sum[k])
			fprintf(stderr, " %s=%" PRIu64, exit_reasons[k], sum[k]);
	fprintf(stderr, "%s\n", m->boots > 1 ? " (since the last reboot)" : "");
}

static void print_own_exits(const struct machine *m)
{
	fprintf(stderr,
		"stats: exits to user space io=%" PRIu64 " mmio=%" PRIu64 " signal=%" PRIu64
		" other=%" PRIu64 " boots=%u\n",
		m->exits[VCPU_EXIT_IO], m->exits[VCPU_EXIT_MMIO], m->exits[VCPU_EXIT_SIGNAL],
		m->exits[VCPU_EXIT_OTHER], m->boots);
}

static void print_time(const char *what, const struct machine *m, uint64_t at_ns)
{
	if (at_ns)
		fprintf(stderr, " %s=%.1f", what, (double)(at_ns - m->start_ns) / 1e6);
}

/*
 * Sums the Pss lines of /proc/self/smaps (proc(5)), apart for guest RAM and for the rest, in KiB.
 * Nonzero when it cannot be read.
 */
static int read_pss(const struct mem *mem, uint64_t *guest, uint64_t *own)
{
	uint64_t map = (uint64_t)(uintptr_t)mem->map, start, end, kib;
	FILE *f = fopen("/proc/self/smaps", "re");
	uint64_t *sum = own;
	char line[512];

	*guest = *own = 0;
	if (!f)
		return -1;
	while (fgets(line, sizeof(line), f)) {
		if (sscanf(line, "%" SCNx64 "-%" SCNx64 " ", &start, &end) == 2)
			sum = start >= map && end <= map + mem->map_len ? guest : own;
		else if (sscanf(line, "Pss: %" SCNu64 " kB", &kib) == 1)
			*sum += kib;
	}
	fclose(f);
	return 0;
}

void stats_print(const struct machine *m)
{
	uint64_t now = clock_now_ns(), guest, own;
	struct loop_stats loop;

	print_kvm_exits(m);
	print_own_exits(m);
	fprintf(stderr, "stats: ms");
	print_time("first_run", m, m->first_run_ns);
	print_time("first_byte", m, m->first_byte_ns);
	print_time("end", m, now);
	fprintf(stderr, " (of these, loading files %.1f%s)\n", (double)m->load_ns / 1e6,
		m->kernels.used ? ", the kernel as it was unpacked before" : "");
	loop_get_stats(m->loop, &loop);
	fprintf(stderr,
		"stats: loop turns=%" PRIu64 " entries=%" PRIu64 " enters=%" PRIu64
		" patient=%" PRIu64 "\n",
		loop.turns, loop.entries, loop.enters, loop.patient);
	devices_print_stats(m->devices);
	if (read_pss(&m->mem, &guest, &own) == 0)
		fprintf(stderr, "stats: memory KiB own=%" PRIu64 " guest=%" PRIu64 "\n", own,
			guest);
}
