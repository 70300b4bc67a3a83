/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A vCPU thread: enters the guest, carries port and memory accesses to the buses, and reports what
 * it cannot answer. It owns its vCPU's descriptor and run page and nothing else; devices are
 * touched with the loop's lock held. Knows no device and no architecture.
 */
#include <errno.h>
#include <linux/kvm.h>
#include <signal.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "vmm/kvm.h"
#include "vmm/log.h"
#include "vmm/vcpu.h"

#define KICK_SIGNAL      (SIGRTMIN + 1)
#define VCPU_STACK_BYTES (128 * 1024)

static void on_kick(int sig)
{
	(void)sig; /* its arrival is the message: KVM_RUN returns -EINTR */
}

int vcpu_setup_signal(void)
{
	struct sigaction sa = {.sa_handler = on_kick};

	if (sigaction(KICK_SIGNAL, &sa, NULL) < 0)
		return log_fail(-errno, "vcpu: cannot set up its signal: %s", strerror(errno));
	return 0;
}

int vcpu_create(struct vcpu *vcpu, const struct kvm *kvm, unsigned id, const struct vcpu_env *env)
{
	int r;

	memset(vcpu, 0, sizeof(*vcpu));
	vcpu->fd = -1;
	vcpu->env = env;
	vcpu->id = id;
	r = kvm_ioctl_value(kvm->vm_fd, KVM_CREATE_VCPU, id);
	if (r < 0)
		return log_fail(r, "kvm: cannot create vCPU %u: %s", id, strerror(-r));
	vcpu->fd = r;
	vcpu->run_len = kvm->run_size;
	vcpu->run = mmap(NULL, vcpu->run_len, PROT_READ | PROT_WRITE, MAP_SHARED, vcpu->fd, 0);
	if (vcpu->run == MAP_FAILED) {
		r = -errno;
		vcpu->run = NULL;
		vcpu_destroy(vcpu);
		return log_fail(r, "kvm: cannot map vCPU %u: %s", id, strerror(-r));
	}
	return 0;
}

void vcpu_destroy(struct vcpu *vcpu)
{
	if (vcpu->run)
		munmap(vcpu->run, vcpu->run_len);
	if (vcpu->env && vcpu->fd >= 0)
		close(vcpu->fd);
	vcpu->run = NULL;
	vcpu->fd = -1;
}

/* A little-endian value of @size bytes at @p, and back. */
static uint64_t load_le(const uint8_t *p, unsigned size)
{
	uint64_t v = 0;

	for (unsigned i = size; i-- > 0;)
		v = v << 8 | p[i];
	return v;
}

static void store_le(uint8_t *p, unsigned size, uint64_t v)
{
	for (unsigned i = 0; i < size; i++, v >>= 8)
		p[i] = (uint8_t)v;
}

static void bus_access(struct bus *bus, uint64_t addr, unsigned size, int is_write, uint8_t *data)
{
	if (is_write)
		bus_write(bus, addr, size, load_le(data, size));
	else
		store_le(data, size, bus_read(bus, addr, size));
}

static void exit_io(struct vcpu *vcpu)
{
	struct kvm_run *run = vcpu->run;
	uint8_t *data = (uint8_t *)run + run->io.data_offset;

	vcpu->exits[VCPU_EXIT_IO]++;
	loop_lock(vcpu->env->loop);
	/* `rep ins` and `rep outs` come as one exit with many items. */
	for (uint32_t i = 0; i < run->io.count; i++, data += run->io.size)
		bus_access(vcpu->env->pio, run->io.port, run->io.size,
			   run->io.direction == KVM_EXIT_IO_OUT, data);
	loop_unlock(vcpu->env->loop);
}

static void exit_mmio(struct vcpu *vcpu)
{
	struct kvm_run *run = vcpu->run;

	vcpu->exits[VCPU_EXIT_MMIO]++;
	loop_lock(vcpu->env->loop);
	bus_access(vcpu->env->mmio, run->mmio.phys_addr, run->mmio.len, run->mmio.is_write,
		   run->mmio.data);
	loop_unlock(vcpu->env->loop);
}

static void tell(struct vcpu *vcpu, enum vcpu_event event)
{
	loop_lock(vcpu->env->loop);
	vcpu->env->event(vcpu->env->arg, vcpu, event);
	loop_unlock(vcpu->env->loop);
}

static void exit_system_event(struct vcpu *vcpu)
{
	switch (vcpu->run->system_event.type) {
	case KVM_SYSTEM_EVENT_SHUTDOWN:
		tell(vcpu, VCPU_POWER_OFF);
		break;
	case KVM_SYSTEM_EVENT_RESET:
		tell(vcpu, VCPU_RESET);
		break;
	default:
		log_line(LOG_ERROR, "vcpu %u: the guest reports a crash (system event %u)",
			 vcpu->id, vcpu->run->system_event.type);
		tell(vcpu, VCPU_FAILED);
	}
}

/* Deals with the exit that lies in the run page. Nonzero: this vCPU does not run again. */
static int handle_exit(struct vcpu *vcpu)
{
	switch (vcpu->run->exit_reason) {
	case KVM_EXIT_IO:
		exit_io(vcpu);
		return 0;
	case KVM_EXIT_MMIO:
		exit_mmio(vcpu);
		return 0;
	case KVM_EXIT_SHUTDOWN:
		tell(vcpu, VCPU_TRIPLE_FAULT);
		return 1;
	case KVM_EXIT_SYSTEM_EVENT:
		exit_system_event(vcpu);
		return 1;
	case KVM_EXIT_INTR:
	case KVM_EXIT_IRQ_WINDOW_OPEN:
		vcpu->exits[VCPU_EXIT_OTHER]++;
		return 0;
	default:
		tell(vcpu, VCPU_BAD_EXIT);
		return 1;
	}
}

static void *vcpu_thread(void *arg)
{
	struct vcpu *vcpu = arg;

	while (!atomic_load(&vcpu->stop)) {
		if (ioctl(vcpu->fd, KVM_RUN, 0) == 0) {
			if (handle_exit(vcpu))
				break;
			continue;
		}
		if (errno == EINTR || errno == EAGAIN) {
			vcpu->exits[VCPU_EXIT_SIGNAL]++;
			continue;
		}
		log_line(LOG_ERROR, "vcpu %u: KVM_RUN: %s", vcpu->id, strerror(errno));
		tell(vcpu, VCPU_FAILED);
		break;
	}
	return NULL;
}

int vcpu_start(struct vcpu *vcpu)
{
	pthread_attr_t attr;
	sigset_t all, old;
	int r;

	/* Signals meant for the process go to the loop's thread: a vCPU takes its kick only. */
	sigfillset(&all);
	sigdelset(&all, KICK_SIGNAL);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	pthread_attr_init(&attr);
	pthread_attr_setstacksize(&attr, VCPU_STACK_BYTES);
	r = pthread_create(&vcpu->thread, &attr, vcpu_thread, vcpu);
	pthread_attr_destroy(&attr);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	if (r)
		return log_fail(-r, "vcpu %u: cannot start a thread: %s", vcpu->id, strerror(r));
	vcpu->started = 1;
	return 0;
}

void vcpu_stop(struct vcpu *vcpu)
{
	if (!vcpu->started)
		return;
	/*
	 * The order closes the race: a thread past its test of `stop` finds immediate_exit in
	 * KVM_RUN; a thread inside the guest is brought out by the signal.
	 */
	atomic_store(&vcpu->stop, 1);
	__atomic_store_n(&vcpu->run->immediate_exit, 1, __ATOMIC_SEQ_CST);
	pthread_kill(vcpu->thread, KICK_SIGNAL);
}

void vcpu_join(struct vcpu *vcpu)
{
	if (!vcpu->started)
		return;
	pthread_join(vcpu->thread, NULL);
	vcpu->started = 0;
}
