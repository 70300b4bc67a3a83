/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Between a virtio device on PCI and this host: doorbells become eventfds of KVM that the loop
 * reads, work for later becomes a loop op, a legacy driver's reset waits. Handlers run with the
 * lock held; completions on the loop. Knows no kind of device.
 */
#include <errno.h>
#include <linux/kvm.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "arch/arch.h"
#include "vmm/container_of.h"
#include "vmm/irqchip.h"
#include "vmm/log.h"
#include "vmm/loop.h"
#include "vmm/machine.h"
#include "vmm/plug.h"

/* The eventfd behind a queue's doorbells, whichever of its addresses they are written to. */
struct kick {
	struct plug *plug;
	unsigned queue;
	int fd; /* -1: not in use yet */
	uint64_t count;
	struct iovec iov;
	struct op arm, came;
	int armed;
};

struct plug {
	struct virtio_pci vp;
	struct machine *machine;
	struct op later;
	struct kick kick[VIRTIO_QUEUES_MAX];
};

static struct plug *of(struct virtio_pci *vp)
{
	return container_of(vp, struct plug, vp);
}

static void on_later(struct virtio_pci *vp)
{
	loop_soon(of(vp)->machine->loop, &of(vp)->later);
}

static void run_later(struct op *op, int res)
{
	struct plug *plug = container_of(op, struct plug, later);

	(void)res;
	virtio_run_later(plug->vp.dev);
}

static void kick_arm(struct op *op, int res)
{
	struct kick *k = container_of(op, struct kick, arm);

	(void)res;
	if (k->armed)
		return;
	k->armed = 1;
	loop_readv(k->plug->machine->loop, &k->came, k->fd, &k->iov, 1, 0);
}

static void kick(struct kick *k)
{
	struct virtio_dev *dev = k->plug->vp.dev;
	uint64_t before = dev->chains;

	virtio_kick(dev, k->queue);
	if (!(dev->input_queues >> k->queue & 1))
		loop_found(k->plug->machine->loop, (unsigned)(dev->chains - before));
}

static void kick_came(struct op *op, int res)
{
	struct kick *k = container_of(op, struct kick, came);

	k->armed = 0;
	if (res < 0 && res != -EINTR && res != -EAGAIN)
		return; /* cancelled: the machine is being taken down */
	kick_arm(&k->arm, 0);
	if (res > 0)
		kick(k);
}

/* Runs on the vCPU thread that used the doorbell for the first time, or moved its BAR. */
static int on_doorbell(struct virtio_pci *vp, unsigned q, const struct virtio_doorbell *bell,
		       int on)
{
	struct plug *plug = of(vp);
	struct kick *k = &plug->kick[q];
	struct kvm_ioeventfd arg = {
		.addr = bell->addr,
		.len = 2,
		.datamatch = bell->value,
		.flags = (bell->io ? KVM_IOEVENTFD_FLAG_PIO : 0) |
			 (bell->match ? KVM_IOEVENTFD_FLAG_DATAMATCH : 0) |
			 (on ? 0 : KVM_IOEVENTFD_FLAG_DEASSIGN),
	};

	if (k->fd < 0) {
		k->fd = eventfd(0, EFD_CLOEXEC);
		if (k->fd < 0)
			return -errno;
	}
	arg.fd = k->fd;
	/* A doorbell in memory that takes any length spares VMX the decoding of the instruction. */
	if (!bell->io && !bell->match && kvm_has(&plug->machine->kvm, KVM_CAP_IOEVENTFD_ANY_LENGTH))
		arg.len = 0;
	if (on)
		loop_soon(plug->machine->loop, &k->arm);
	return kvm_ioctl(plug->machine->kvm.vm_fd, KVM_IOEVENTFD, &arg);
}

static void on_reset_done(struct virtio_pci *vp)
{
	loop_notify(of(vp)->machine->loop);
}

static void on_wait_reset(struct virtio_pci *vp)
{
	while (vp->dev->resetting && loop_wait(of(vp)->machine->loop) == 0)
		;
}

static const struct virtio_pci_machine machine_side = {
	.later = on_later,
	.doorbell = on_doorbell,
	.reset_done = on_reset_done,
	.wait_reset = on_wait_reset,
};

int plug_create(struct machine *m, struct pci_host *host, unsigned slot, struct virtio_dev *dev,
		struct plug **out)
{
	struct plug *plug = calloc(1, sizeof(*plug));
	struct virtio_pci_params params = {.dev = dev, .machine = &machine_side};
	int r;

	if (!plug)
		return log_fail(-ENOMEM, "plug: out of memory");
	plug->machine = m;
	plug->later.fn = run_later;
	for (unsigned q = 0; q < VIRTIO_QUEUES_MAX; q++)
		plug->kick[q] = (struct kick){
			.plug = plug,
			.queue = q,
			.fd = -1,
			.iov = {&plug->kick[q].count, sizeof(plug->kick[q].count)},
			.arm.fn = kick_arm,
			.came.fn = kick_came,
		};
	*out = plug;
	params.line = irqchip_line(m->irqchip, arch_pci_gsi(slot));
	params.line_number = (uint8_t)arch_pci_gsi(slot);
	params.msi = irqchip_msi(m->irqchip, dev->n_queues + 1u, slot << 3);
	params.has_io = host->p.io_bars.len != 0;
	if (!params.line || !params.msi)
		return log_fail(-ENOMEM, "plug: no interrupts left for slot %u", slot);
	r = virtio_pci_init(&plug->vp, &params);
	if (r < 0)
		return log_fail(r, "plug: the %s in slot %u has too many capabilities",
				dev->ops->name, slot);
	return pci_host_add(host, &plug->vp.pci, slot);
}

void plug_destroy(struct plug *plug)
{
	if (!plug)
		return;
	for (unsigned q = 0; q < VIRTIO_QUEUES_MAX; q++)
		if (plug->kick[q].fd >= 0)
			close(plug->kick[q].fd);
	free(plug);
}

void plug_reset(struct plug *plug)
{
	virtio_set_status(plug->vp.dev, 0);
}

int plug_is_reset(const struct plug *plug)
{
	return !plug->vp.dev->resetting;
}

const struct virtio_pci *plug_pci(const struct plug *plug)
{
	return &plug->vp;
}
