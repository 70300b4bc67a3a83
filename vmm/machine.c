/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Builds the rooms in one order, runs the machine through its boots and takes it down in reverse.
 * Main thread, which is the loop's thread too; machine_end() alone is called from others. This is
 * the one file that knows all rooms, and it knows nothing of how any of them works.
 */
#include <errno.h>
#include <linux/kvm.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <time.h>
#include <unistd.h>

#include "arch/arch.h"
#include "arch/host.h"
#include "loader/load.h"
#include "vmm/boot_status.h"
#include "vmm/clock.h"
#include "vmm/console.h"
#include "vmm/container_of.h"
#include "vmm/devices.h"
#include "vmm/ending.h"
#include "vmm/irqchip.h"
#include "vmm/kvm_report.h"
#include "vmm/log.h"
#include "vmm/loop.h"
#include "vmm/machine.h"
#include "vmm/uuid.h"

#define LOOP_ENTRIES 256

const char *machine_cmdline(const struct machine *m)
{
	return m->files.cmdline.text ? m->files.cmdline.text : "";
}

void machine_end(struct machine *m, enum machine_end why)
{
	/* Whoever wants to end it shall not find it started again. */
	if (m->end != MACHINE_RUNNING && !(m->end == MACHINE_RESET && why == MACHINE_QUIT))
		return;
	m->end = why;
	loop_stop(m->loop);
}

static void report_bad_exit(const struct vcpu *vcpu)
{
	char line[512];
	const char *cause = kvm_report_cause(vcpu->run);
	uint64_t pc;
	int known = arch_vcpu_pc(vcpu->fd, &pc) == 0;

	kvm_report_exit(vcpu->run, known ? &pc : NULL, line, sizeof(line));
	log_line(LOG_ERROR, "vcpu %u: %s", vcpu->id, line);
	if (cause)
		log_line(LOG_ERROR, "%s", cause);
}

static void on_vcpu_event(void *arg, struct vcpu *vcpu, enum vcpu_event event)
{
	struct machine *m = arg;

	switch (event) {
	case VCPU_POWER_OFF:
		machine_end(m, MACHINE_POWER_OFF);
		break;
	case VCPU_RESET:
		machine_end(m, MACHINE_RESET);
		break;
	case VCPU_TRIPLE_FAULT:
		machine_end(m, MACHINE_TRIPLE_FAULT);
		break;
	case VCPU_BAD_EXIT:
		report_bad_exit(vcpu);
		machine_end(m, MACHINE_FAILED);
		break;
	case VCPU_FAILED:
		machine_end(m, MACHINE_FAILED);
		break;
	}
}

static uint64_t random_u64(void *arg)
{
	uint64_t v = 0;

	(void)arg;
	/* Early in a host's boot this may fail: then the kernel's base is not random. */
	if (getrandom(&v, sizeof(v), GRND_NONBLOCK) != sizeof(v))
		v = 0;
	return v;
}

/* Puts the kernel and the initrd into empty RAM. */
static int load_files(struct machine *m)
{
	struct load_params p = {
		.path = m->config->kernel,
		.arch = arch_image,
		.mode = m->config->kernel_entry,
		.kaslr = !cmdline_has_word(machine_cmdline(m), "nokaslr"),
		.initrd_len = 0,
		.cache = &m->kernels,
		.random = random_u64,
	};
	uint64_t start = clock_now_ns(), start_cpu = clock_ns(CLOCK_PROCESS_CPUTIME_ID);
	int r;

	m->initrd = m->initrd_len = 0;
	if (m->files.initrd_fd >= 0) {
		off_t len = lseek(m->files.initrd_fd, 0, SEEK_END);

		p.initrd_len = len > 0 ? (uint64_t)len : 0;
	}
	r = load_kernel(m->files.kernel_fd, &p, &m->mem, &m->image);
	if (r == 0)
		r = cmdline_check(&m->files.cmdline, &m->image, m->config->kernel);
	if (r == 0 && m->files.initrd_fd >= 0)
		r = load_initrd(m->files.initrd_fd, m->config->initrd, &m->image, &m->mem,
				arch_initrd_floor(m), &m->initrd, &m->initrd_len);
	m->load_ns = clock_now_ns() - start;
	m->load_cpu_ns = clock_ns(CLOCK_PROCESS_CPUTIME_ID) - start_cpu;
	return r;
}

static void kernel_synced(struct op *op, int res)
{
	struct machine *m = container_of(op, struct machine, kernel_sync);

	m->kernel_syncing = 0;
	if (res < 0)
		kernel_cache_forget(&m->kernels);
	else
		kernel_cache_name(&m->kernels);
}

/* A kernel that was unpacked is kept for the next boot, once it is on the disk; the guest runs. */
static void keep_kernel(struct machine *m)
{
	if (m->kernels.new_fd < 0 || m->kernel_syncing)
		return;
	loop_lock(m->loop);
	m->kernel_syncing = 1;
	m->kernel_sync.fn = kernel_synced;
	loop_fdatasync(m->loop, &m->kernel_sync, m->kernels.new_fd);
	loop_unlock(m->loop);
}

static int create_memory(struct machine *m)
{
	struct mem_range ranges[MEM_REGIONS_MAX];
	unsigned n = arch_mem_ranges(m->config->memory, ranges);

	return mem_create(&m->mem, ranges, n);
}

/* Makes a VM around the memory, with the kernel at its entry. */
static int create_vm(struct machine *m)
{
	int r = kvm_create_vm(&m->kvm, arch_vm_type(m));

	if (r == 0)
		r = kvm_set_memory(&m->kvm, &m->mem);
	if (r == 0)
		r = arch_setup_vm(m);
	for (unsigned i = 0; i < m->n_vcpus && r == 0; i++)
		r = vcpu_create(&m->vcpu[i], &m->kvm, i, &m->vcpu_env);
	if (r == 0)
		r = arch_setup_vcpus(m);
	if (r == 0)
		r = arch_setup_boot(m);
	return r;
}

static void destroy_vm(struct machine *m)
{
	for (unsigned i = 0; i < m->n_vcpus; i++)
		vcpu_destroy(&m->vcpu[i]);
	kvm_destroy_vm(&m->kvm);
}

static int create_devices(struct machine *m)
{
	int r = irqchip_create(&m->irqchip);

	if (r == 0)
		r = console_create(m);
	if (r == 0)
		r = arch_create_devices(m);
	if (r == 0)
		r = devices_create(m, &m->devices);
	return r;
}

static void on_signal(void *arg, int sig)
{
	struct machine *m = arg;

	m->signal = sig;
	machine_end(m, MACHINE_QUIT);
}

/* There are hosts whose KVM works but emulates: a kernel then stands still without a word. */
static void warn_if_emulated(void)
{
	char what[192];

	if (arch_virt_hint(what, sizeof(what)) == 0)
		log_line(LOG_WARN, "this host is %s: Linux may not run; `skiff check` finds out",
			 what);
}

int machine_create(struct machine *m, const struct config *config, uint64_t start_ns)
{
	int r;

	memset(m, 0, sizeof(*m));
	m->config = config;
	m->start_ns = start_ns;
	m->kvm.fd = m->kvm.vm_fd = -1;
	m->files.kernel_fd = config->kernel_fd;
	kernel_cache_open(&m->kernels, NULL, clock_ns(CLOCK_REALTIME));
	m->files.initrd_fd = config->initrd_fd;
	m->vcpu_env = (struct vcpu_env){&m->pio, &m->mmio, NULL, on_vcpu_event, m};
	if (config->uuid)
		memcpy(m->uuid, config->uuid, sizeof(m->uuid));
	else
		uuid_make(m->uuid);
	m->vcpu = calloc(config->cpus, sizeof(*m->vcpu));
	if (!m->vcpu)
		return log_fail(-ENOMEM, "machine: out of memory");
	m->n_vcpus = config->cpus;
	for (unsigned i = 0; i < m->n_vcpus; i++)
		m->vcpu[i].fd = -1;

	/* What the user named comes first: a wrong kernel is said before a wrong host. */
	r = cmdline_append(&m->files.cmdline,
			   config->append ? config->append : arch_default_cmdline);
	if (r == 0)
		r = create_memory(m);
	if (r == 0)
		r = load_files(m);
	if (r == 0)
		r = kvm_open(&m->kvm, config->kvm_path);
	if (r == 0)
		r = kvm_require(&m->kvm, arch_kvm_caps);
	if (r == 0)
		r = loop_create(&m->loop, LOOP_ENTRIES);
	m->vcpu_env.loop = m->loop;
	if (r == 0)
		r = ending_create(&m->ending, m->loop, on_signal, m);
	if (r == 0)
		r = vcpu_setup_signal();
	if (r == 0)
		r = create_devices(m);
	if (r == 0)
		r = create_vm(m);
	if (r == 0) {
		keep_kernel(m);
		warn_if_emulated();
	}
	return r;
}

static void close_files(struct boot_files *f)
{
	if (f->kernel_fd >= 0)
		close(f->kernel_fd);
	if (f->initrd_fd >= 0)
		close(f->initrd_fd);
	cmdline_free(&f->cmdline);
}

void machine_destroy(struct machine *m)
{
	if (m->vcpu)
		destroy_vm(m);
	/* A guest that ended sooner than this is done shall find its kernel the next time. */
	while (m->kernel_syncing)
		loop_run_once(m->loop);
	console_destroy(m);
	/* Both take turns of the loop: not once devices with ops under way are gone. */
	ending_destroy(m->ending);
	devices_destroy(m->devices);
	arch_destroy_devices(m);
	irqchip_destroy(m->irqchip);
	loop_destroy(m->loop);
	kvm_close(&m->kvm);
	kernel_cache_close(&m->kernels);
	mem_destroy(&m->mem);
	free(m->vcpu);
	close_files(&m->files);
}

/* One boot: from the entry until something ends it. */
static int run_once(struct machine *m)
{
	int r = 0;

	m->boots++;
	if (!m->first_run_ns)
		m->first_run_ns = clock_now_ns();
	if (m->config->boot)
		boot_status_reached(m->config->boot, BOOT_ENTERED);
	for (unsigned i = 0; i < m->n_vcpus && r == 0; i++)
		r = vcpu_start(&m->vcpu[i]);
	if (r == 0)
		loop_run(m->loop);
	for (unsigned i = 0; i < m->n_vcpus; i++)
		vcpu_stop(&m->vcpu[i]);
	for (unsigned i = 0; i < m->n_vcpus; i++) {
		vcpu_join(&m->vcpu[i]);
		for (unsigned e = 0; e < VCPU_EXITS; e++)
			m->exits[e] += m->vcpu[i].exits[e];
	}
	return r;
}

/* What the disk holds by now: a guest may have got another kernel. 0 or -errno. */
static int find_files(struct machine *m, struct boot_files *f)
{
	const struct config *c = m->config;
	int r = devices_flush(m->devices);

	if (r == 0)
		r = c->reload(c->reload_arg);
	if (r < 0)
		return r;
	*f = (struct boot_files){.kernel_fd = c->kernel_fd, .initrd_fd = c->initrd_fd};
	r = cmdline_append(&f->cmdline, c->append);
	if (r < 0)
		close_files(f);
	return r;
}

static int empty_memory(struct machine *m)
{
	for (unsigned i = 0; i < m->mem.count; i++)
		if (madvise(m->mem.region[i].host, m->mem.region[i].len, MADV_DONTNEED) < 0)
			return log_fail(-errno, "memory: cannot empty guest RAM for the reboot: %s",
					strerror(errno));
	return 0;
}

/* Into empty RAM. What did boot is kept until what comes now has been loaded, too. */
static int load_again(struct machine *m)
{
	struct boot_files was = m->files, found;
	int r;

	if (!m->config->reload)
		return load_files(m);
	if (find_files(m, &found) == 0) {
		m->files = found;
		if (load_files(m) == 0) {
			close_files(&was);
			return 0;
		}
		m->files = was;
		close_files(&found);
		r = empty_memory(m);
		if (r < 0)
			return r;
	}
	log_line(LOG_WARN, "reboot: what was started before is started again");
	return load_files(m);
}

/* Back to the state before the first boot, with empty RAM and the files read again. */
static int reboot(struct machine *m)
{
	int r;

	devices_reset(m->devices);
	arch_reset_devices(m);
	destroy_vm(m);
	if (m->end != MACHINE_RESET) /* somebody wants it to end */
		return 0;
	m->end = MACHINE_RUNNING;
	r = empty_memory(m);
	if (r == 0)
		r = load_again(m);
	if (r == 0)
		r = create_vm(m);
	if (r == 0)
		keep_kernel(m);
	return r;
}

enum machine_end machine_run(struct machine *m)
{
	int r;

	for (;;) {
		r = run_once(m);
		if (r < 0 || m->end != MACHINE_RESET || m->config->no_reboot)
			break;
		r = reboot(m);
		if (r < 0 || m->end != MACHINE_RUNNING)
			break;
	}
	console_destroy(m);
	return r < 0 ? MACHINE_FAILED : m->end;
}
