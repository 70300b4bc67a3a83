/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef VMM_MACHINE_H
#define VMM_MACHINE_H

#include <stdint.h>

#include "loader/cmdline.h"
#include "loader/image.h"
#include "loader/kernel_cache.h"
#include "vmm/bus.h"
#include "vmm/config.h"
#include "vmm/kvm.h"
#include "vmm/loop.h"
#include "vmm/mem.h"
#include "vmm/vcpu.h"

/*
 * One machine: the rooms built in one listed order, run, and torn down in reverse. Devices and
 * what stands behind them on the host live as long as the process; the VM (KVM's descriptors and
 * vCPUs) is made anew for each boot, so that a reboot inherits nothing.
 */
enum machine_end {
	MACHINE_RUNNING,
	MACHINE_POWER_OFF,
	MACHINE_RESET,
	MACHINE_TRIPLE_FAULT,
	MACHINE_QUIT,   /* the user, or a signal, ended it from outside */
	MACHINE_FAILED, /* KVM or this host failed; already explained */
};

struct ending;
struct irqchip;
struct platform;
struct terminal;
struct devices;

/* What a boot is made of. */
struct boot_files {
	int kernel_fd, initrd_fd; /* -1: none */
	struct cmdline cmdline;
};

struct machine {
	const struct config *config;
	struct kvm kvm;
	struct mem mem;
	struct loop *loop;
	struct ending *ending;
	struct bus pio, mmio;
	struct irqchip *irqchip;
	struct platform *platform; /* the architecture's devices */
	struct terminal *console;  /* terminal or file, and the ports connected to it */
	struct devices *devices;   /* PCI and virtio */
	struct vcpu_env vcpu_env;
	struct vcpu *vcpu;
	unsigned n_vcpus;
	/* The boot: files stay open, since a reboot reads them again. */
	struct boot_files files;
	struct image image;
	struct kernel_cache kernels; /* that were unpacked before */
	struct op kernel_sync;       /* makes the one that is added to them durable */
	int kernel_syncing;
	gpa_t initrd;
	uint64_t initrd_len;
	uint8_t uuid[16];     /* what the guest is told it is; stays over reboots */
	enum machine_end end; /* lock held */
	int signal;           /* the one that ended it from outside; 0: none did */
	/* For --stats, CLOCK_MONOTONIC; 0: did not happen. */
	uint64_t start_ns, load_ns, first_run_ns, first_byte_ns;
	uint64_t load_cpu_ns; /* of load_ns, this process's CPU time */
	uint64_t exits[VCPU_EXITS];
	unsigned boots;
};

/*
 * Builds the machine, up to a guest that is ready to run: 0, or -errno after one sentence.
 * machine_destroy() takes what machine_create() left, also after an error.
 */
int machine_create(struct machine *m, const struct config *config, uint64_t start_ns);
void machine_destroy(struct machine *m);

/* Runs it through any number of reboots, on the calling thread, until it ends. */
enum machine_end machine_run(struct machine *m);

/* Ends the run (first reason wins). Any thread, lock held. */
void machine_end(struct machine *m, enum machine_end why);

/* The kernel's command line. */
const char *machine_cmdline(const struct machine *m);

#endif
