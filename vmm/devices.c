/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The PCI bus and the virtio devices on it, made from the configuration in the order in which the
 * guest finds them: disks, networks, console, entropy, power key. Main thread, which is the loop's.
 * Knows which devices there are; how each is wired is in plug.c.
 */
#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <linux/input-event-codes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "arch/arch.h"
#include "devices/block/qcow2.h"
#include "devices/block/raw.h"
#include "devices/net/socket.h"
#include "devices/net/stream.h"
#include "devices/net/tap.h"
#include "devices/pci/host.h"
#include "devices/virtio/blk.h"
#include "devices/virtio/console.h"
#include "devices/virtio/input.h"
#include "devices/virtio/net.h"
#include "vmm/console.h"
#include "vmm/container_of.h"
#include "vmm/devices.h"
#include "vmm/disk_option.h"
#include "vmm/entropy.h"
#include "vmm/log.h"
#include "vmm/loop.h"
#include "vmm/machine.h"
#include "vmm/net_option.h"
#include "vmm/netd.h"
#include "vmm/plug.h"

#define DEVICES_MAX (CONFIG_DISKS_ALL + CONFIG_NETS_MAX + 3)

struct disk {
	struct blk *blk;
	struct virtio_blk *dev;
};

struct network {
	struct net *wire;
	struct virtio_net *dev;
	struct netd netd; /* pid 0: none */
};

struct devices {
	struct machine *machine;
	struct pci_host host;
	unsigned n_plugs;
	struct plug *plug[DEVICES_MAX];
	unsigned n_disks;
	struct disk disk[CONFIG_DISKS_ALL];
	unsigned n_networks;
	struct network network[CONFIG_NETS_MAX];
	struct virtio_console *console;
	struct entropy *entropy;
	struct virtio_input *power_key;
};

/* Puts @dev into the next free slot. */
static int plug_in(struct devices *d, struct virtio_dev *dev)
{
	unsigned n = d->n_plugs++;

	return plug_create(d->machine, &d->host, n + 1, dev, &d->plug[n]);
}

/* The user said that this image may be laid over that file, or over any. */
static int approve_backing(void *arg, const char *path, const char *format)
{
	const struct disk_option *option = arg;

	(void)format;
	return option->any_backing || !strcmp(path, option->backing);
}

static int open_image(struct loop *loop, struct disk_option *option, struct blk **out)
{
	struct raw_params raw = {
		.path = option->path,
		.has_fd = option->fd >= 0,
		.fd = option->fd,
		.read_only = option->read_only,
		.direct = option->direct,
	};
	struct qcow2_params qcow2 = {
		.path = option->path,
		.has_fd = option->fd >= 0,
		.fd = option->fd,
		.read_only = option->read_only,
		.approve_backing = approve_backing,
		.approve_arg = option,
	};

	return option->qcow2 ? qcow2_open(loop, &qcow2, out) : raw_open(loop, &raw, out);
}

static int create_disk(struct devices *d, const char *text)
{
	struct disk *disk = &d->disk[d->n_disks++];
	struct disk_option option;
	struct virtio_blk_params blk = {.mem = &d->machine->mem, .queue_size = 512};
	int r = disk_option_parse(text, &option);

	if (r == 0)
		r = open_image(d->machine->loop, &option, &disk->blk);
	if (r < 0)
		return r;
	blk.disk = disk->blk;
	blk.serial = option.serial[0] ? option.serial : NULL;
	blk.queues = option.queues ? option.queues : 1;
	r = virtio_blk_create(&disk->dev, &blk);
	return r == 0 ? plug_in(d, virtio_blk_dev(disk->dev)) : r;
}

/* Opens what stands behind a network card; for `user` and `switch` that is another process. */
static int open_wire(struct loop *loop, const struct net_option *option, struct network *n)
{
	int r;

	switch (option->kind) {
	case NET_OPTION_TAP:
		return option->fd >= 0 ? net_tap_open_fd(&n->wire, loop, option->fd)
				       : net_tap_open_name(&n->wire, loop, option->name);
	case NET_OPTION_STREAM:
		return net_stream_open(&n->wire, loop, option->path, option->mtu);
	case NET_OPTION_USER:
	case NET_OPTION_SWITCH:
		break;
	}
	r = netd_start(option, NULL, &n->netd);
	return r == 0 ? net_socket_open(&n->wire, loop, n->netd.fd, n->netd.mtu) : r;
}

/*
 * A card keeps its address from run to run where the machine keeps its first disk: guests remember
 * networks by it. Without a disk there is nobody to remember.
 */
static void default_mac(const struct devices *d, unsigned index, uint8_t mac[6])
{
	char seed[PATH_MAX], uuid[2 * sizeof(d->machine->uuid) + 1];
	struct disk_option option;

	if (d->machine->config->n_disks > 0 &&
	    disk_option_parse(d->machine->config->disk[0], &option) == 0 &&
	    realpath(option.path, seed)) {
		net_option_default_mac(seed, index, mac);
		return;
	}
	for (unsigned i = 0; i < sizeof(d->machine->uuid); i++)
		snprintf(&uuid[2 * i], 3, "%02x", d->machine->uuid[i]);
	net_option_default_mac(uuid, index, mac);
}

static int create_network(struct devices *d, const char *text)
{
	unsigned index = d->n_networks++;
	struct network *n = &d->network[index];
	struct virtio_net_params params = {.mem = &d->machine->mem};
	struct net_option option;
	int r = net_option_parse(text, &option);

	if (r < 0)
		return r;
	r = open_wire(d->machine->loop, &option, n);
	if (r < 0)
		return r;
	params.wire = n->wire;
	if (option.has_mac)
		memcpy(params.mac, option.mac, sizeof(params.mac));
	else
		default_mac(d, index, params.mac);
	r = virtio_net_create(&n->dev, &params);
	return r == 0 ? plug_in(d, virtio_net_dev(n->dev)) : r;
}

static void destroy_network(struct network *n)
{
	if (n->dev)
		virtio_net_destroy(n->dev);
	if (n->wire)
		n->wire->ops->close(n->wire);
	if (n->netd.pid)
		netd_reap(&n->netd);
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

static int create_rng(struct devices *d)
{
	int r = entropy_create(&d->entropy, d->machine->loop, &d->machine->mem);

	return r == 0 ? plug_in(d, entropy_dev(d->entropy)) : r;
}

static int create_power_key(struct devices *d)
{
	struct virtio_input *key = calloc(1, sizeof(*key));

	if (!key)
		return log_fail(-ENOMEM, "devices: out of memory");
	d->power_key = key;
	virtio_input_init(key, &d->machine->mem, "Power Button", KEY_POWER);
	return plug_in(d, &key->dev);
}

void devices_press_power_key(struct devices *d)
{
	virtio_input_press(d->power_key);
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
	for (unsigned i = 0; i < m->config->n_nets && r == 0; i++)
		r = create_network(d, m->config->net[i]);
	if (r == 0 && m->config->virtio_console)
		r = create_console(d);
	if (r == 0 && m->config->rng)
		r = create_rng(d);
	if (r == 0 && arch_wants_power_key)
		r = create_power_key(d);
	return r;
}

/* Runs the loop until every device's old work is over; the vCPUs have stopped. */
static void settle(struct devices *d)
{
	while (d->entropy && !entropy_is_idle(d->entropy))
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

struct flush {
	struct blk_req req;
	int under_way, res;
};

static void flushed(struct blk_req *req, int res)
{
	struct flush *f = container_of(req, struct flush, req);

	f->under_way = 0;
	f->res = res;
}

int devices_flush(struct devices *d)
{
	int r = 0;

	for (unsigned i = 0; i < d->n_disks && r == 0; i++) {
		struct flush f = {.req = {.op = BLK_FLUSH, .done = flushed}, .under_way = 1};
		struct blk *blk = d->disk[i].blk;

		if (blk->read_only)
			continue;
		loop_lock(d->machine->loop);
		blk->ops->submit(blk, &f.req);
		loop_unlock(d->machine->loop);
		while (f.under_way)
			loop_run_once(d->machine->loop);
		r = f.res;
	}
	return r;
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
	for (unsigned i = 0; i < d->n_networks; i++)
		destroy_network(&d->network[i]);
	free(d->console);
	free(d->power_key);
	entropy_destroy(d->entropy);
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
