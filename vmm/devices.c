/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The PCI bus and the virtio devices on it, made from the configuration in the order in which the
 * guest finds them: disks, networks, console, entropy. Main thread, which is the loop's. Knows
 * which devices there are; how each is wired is in plug.c.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "arch/arch.h"
#include "devices/block/raw.h"
#include "devices/pci/host.h"
#include "devices/virtio/blk.h"
#include "vmm/devices.h"
#include "vmm/disk_option.h"
#include "vmm/log.h"
#include "vmm/loop.h"
#include "vmm/machine.h"
#include "vmm/plug.h"

#define DEVICES_MAX (CONFIG_DISKS_MAX + CONFIG_NETS_MAX + 2)

struct disk {
	struct blk *blk;
	struct virtio_blk *dev;
};

struct devices {
	struct machine *machine;
	struct pci_host host;
	unsigned n_plugs;
	struct plug *plug[DEVICES_MAX];
	unsigned n_disks;
	struct disk disk[CONFIG_DISKS_MAX];
};

/* Puts @dev into the next free slot. */
static int plug_in(struct devices *d, struct virtio_dev *dev)
{
	unsigned n = d->n_plugs++;

	return plug_create(d->machine, &d->host, n + 1, dev, &d->plug[n]);
}

static int create_disk(struct devices *d, const char *text)
{
	struct disk *disk = &d->disk[d->n_disks++];
	struct disk_option option;
	struct raw_params raw = {.path = option.path};
	struct virtio_blk_params blk = {.mem = &d->machine->mem, .queue_size = 256};
	int r = disk_option_parse(text, &option);

	if (r < 0)
		return r;
	raw.read_only = option.read_only;
	raw.direct = option.direct;
	r = raw_open(d->machine->loop, &raw, &disk->blk);
	if (r < 0)
		return r;
	blk.disk = disk->blk;
	blk.serial = option.serial[0] ? option.serial : NULL;
	blk.queues = option.queues ? option.queues : 1;
	r = virtio_blk_create(&disk->dev, &blk);
	return r == 0 ? plug_in(d, virtio_blk_dev(disk->dev)) : r;
}

int devices_create(struct machine *m, struct devices **out)
{
	struct pci_host_params params = {.io = &m->pio, .mem = &m->mmio, .ram = &m->mem};
	struct devices *d = calloc(1, sizeof(*d));
	int r;

	if (!d)
		return log_fail(-ENOMEM, "devices: out of memory");
	*out = d;
	d->machine = m;
	arch_pci_params(m, &params);
	r = pci_host_init(&d->host, &params);
	for (unsigned i = 0; i < m->config->n_disks && r == 0; i++)
		r = create_disk(d, m->config->disk[i]);
	return r;
}

/* Runs the loop until every device's old work is over; the vCPUs have stopped. */
static void settle(struct devices *d)
{
	for (unsigned i = 0; i < d->n_plugs; i++)
		while (d->plug[i] && !plug_is_reset(d->plug[i]))
			loop_run_once(d->machine->loop);
}

void devices_reset(struct devices *d)
{
	loop_lock(d->machine->loop);
	for (unsigned i = 0; i < d->n_plugs; i++)
		plug_reset(d->plug[i]);
	pci_host_reset(&d->host);
	loop_unlock(d->machine->loop);
	settle(d);
}

void devices_destroy(struct devices *d)
{
	if (!d)
		return;
	for (unsigned i = 0; i < d->n_plugs; i++)
		if (d->plug[i])
			plug_reset(d->plug[i]);
	settle(d);
	for (unsigned i = 0; i < d->n_plugs; i++)
		plug_destroy(d->plug[i]);
	for (unsigned i = 0; i < d->n_disks; i++) {
		if (d->disk[i].dev)
			virtio_blk_destroy(d->disk[i].dev);
		if (d->disk[i].blk)
			d->disk[i].blk->ops->close(d->disk[i].blk);
	}
	free(d);
}

void devices_print_stats(const struct devices *d)
{
	for (unsigned i = 0; i < d->n_plugs; i++) {
		const struct virtio_pci *vp = plug_pci(d->plug[i]);

		fprintf(stderr,
			"stats: slot %u %s kicks=%" PRIu64 " interrupts=%" PRIu64 " chains=%" PRIu64
			" notify_exits=%" PRIu64 "\n",
			i + 1, vp->dev->ops->name, vp->dev->kicks, vp->dev->interrupts,
			vp->dev->chains, vp->notify_exits);
	}
	fprintf(stderr, "stats: pci config accesses=%" PRIu64 "\n", d->host.accesses);
}
