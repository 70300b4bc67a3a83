/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The PCI bus and the virtio devices on it, made from the configuration in the order in which the
 * guest finds them: disks, networks, console, entropy. Main thread, which is the loop's. Knows
 * which devices there are; how each is wired is in plug.c.
 */
#include <errno.h>
#include <inttypes.h>
#include <linux/time_types.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>

#include "arch/arch.h"
#include "devices/block/raw.h"
#include "devices/pci/host.h"
#include "devices/virtio/blk.h"
#include "devices/virtio/console.h"
#include "devices/virtio/rng.h"
#include "vmm/console.h"
#include "vmm/container_of.h"
#include "vmm/devices.h"
#include "vmm/disk_option.h"
#include "vmm/log.h"
#include "vmm/loop.h"
#include "vmm/machine.h"
#include "vmm/plug.h"

/* How long the guest waits for more entropy once it has had its share. */
#define REFILL_NS   50000000u

#define DEVICES_MAX (CONFIG_DISKS_MAX + CONFIG_NETS_MAX + 2)

struct disk {
	struct blk *blk;
	struct virtio_blk *dev;
};

struct entropy {
	struct virtio_rng rng;
	struct loop *loop;
	struct op refill;
	struct __kernel_timespec ts;
	int timer_runs;
};

struct devices {
	struct machine *machine;
	struct pci_host host;
	unsigned n_plugs;
	struct plug *plug[DEVICES_MAX];
	unsigned n_disks;
	struct disk disk[CONFIG_DISKS_MAX];
	struct virtio_console *console;
	struct entropy *entropy;
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

static void on_console_tx(void *arg)
{
	console_output(arg);
}

static void on_console_room(void *arg)
{
	console_input(arg);
}

static const uint8_t *console_peek(void *dev, size_t *len)
{
	return virtio_console_tx_peek(dev, len);
}

static void console_consume(void *dev, size_t len)
{
	virtio_console_tx_consume(dev, len);
}

static size_t console_put(void *dev, const void *bytes, size_t len)
{
	return virtio_console_rx_put(dev, bytes, len);
}

static void console_resize(void *dev, uint16_t cols, uint16_t rows)
{
	virtio_console_resize(dev, cols, rows);
}

/* hvc0, beside the serial port; what is typed goes here. */
static int create_console(struct devices *d)
{
	struct virtio_console *vc = calloc(1, sizeof(*vc));
	struct console_port port = {vc, console_peek, console_consume, console_put, console_resize};
	int r;

	if (!vc)
		return log_fail(-ENOMEM, "console: out of memory");
	d->console = vc;
	virtio_console_init(vc, &d->machine->mem);
	vc->tx_ready = on_console_tx;
	vc->rx_room = on_console_room;
	vc->arg = d->machine;
	r = plug_in(d, &vc->dev);
	if (r == 0)
		console_attach(d->machine, &port, 1);
	return r;
}

static void random_bytes(void *arg, void *dst, size_t len)
{
	uint8_t *to = dst;

	(void)arg;
	while (len > 0) {
		ssize_t n = getrandom(to, len, 0);

		/* Only a signal interrupts it; the pool is ready since the host booted. */
		if (n < 0)
			continue;
		to += n;
		len -= (size_t)n;
	}
}

/* The guest has had its share of entropy: more comes when the timer has run. On the loop. */
static void on_dry(void *arg)
{
	struct entropy *e = arg;

	if (e->timer_runs)
		return;
	e->timer_runs = 1;
	loop_timer(e->loop, &e->refill, &e->ts, REFILL_NS);
}

static void on_refill(struct op *op, int res)
{
	struct entropy *e = container_of(op, struct entropy, refill);

	(void)res;
	e->timer_runs = 0;
	virtio_rng_refill(&e->rng);
}

static int create_rng(struct devices *d)
{
	struct entropy *e = calloc(1, sizeof(*e));

	if (!e)
		return log_fail(-ENOMEM, "rng: out of memory");
	d->entropy = e;
	e->loop = d->machine->loop;
	e->refill.fn = on_refill;
	virtio_rng_init(&e->rng, &d->machine->mem, random_bytes, on_dry, e);
	return plug_in(d, &e->rng.dev);
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
	if (r == 0 && m->config->virtio_console)
		r = create_console(d);
	if (r == 0 && m->config->rng)
		r = create_rng(d);
	return r;
}

/* Runs the loop until every device's old work is over; the vCPUs have stopped. */
static void settle(struct devices *d)
{
	while (d->entropy && d->entropy->timer_runs)
		loop_run_once(d->machine->loop);
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
	free(d->console);
	free(d->entropy);
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
