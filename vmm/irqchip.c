/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Interrupts over KVM: wires, message vectors and the routing table that names them. Called with
 * the loop's lock held, by any thread. Knows GSIs and messages; knows no device.
 */
#include <assert.h>
#include <errno.h>
#include <linux/kvm.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "vmm/container_of.h"
#include "vmm/irqchip.h"
#include "vmm/kvm.h"
#include "vmm/log.h"

#define FIXED_ROUTES_MAX 160 /* x86: 40; arm64: SPIs that have a wire */
#define GSI_MAX          128 /* wires; messages are numbered from here on */
#define MSI_FIRST_GSI    GSI_MAX
#define MSI_MAX          512

struct wire {
	struct irq_line line;
	struct irqchip *chip;
	unsigned gsi;
	int level;
	struct wire *next;
};

struct vector {
	int fd; /* irqfd; made at the first unmask */
	uint32_t data;
	uint64_t addr;
	uint8_t masked;
	uint8_t attached; /* the VM listens to fd */
};

struct msi {
	struct irq_msi msi;
	struct irqchip *chip;
	unsigned first; /* index into chip->vector */
	uint32_t devid;
	struct msi *next;
};

struct irqchip {
	int vm_fd;
	int msi_devid;
	uint32_t first_line; /* GSI 0, as KVM_IRQ_LINE calls it */
	struct wire *wires;
	uint16_t asserted[GSI_MAX]; /* number of wires that are high */
	struct msi *msis;
	unsigned n_vectors;
	struct vector *vector; /* MSI_MAX of them, touched as handed out */
	unsigned n_fixed;
	struct kvm_irq_routing_entry fixed[FIXED_ROUTES_MAX];
	struct kvm_irq_routing *table; /* room for all; built anew for each call */
};

int irqchip_create(struct irqchip **out)
{
	struct irqchip *chip = calloc(1, sizeof(*chip));

	if (!chip)
		goto fail;
	chip->vm_fd = -1;
	chip->vector = calloc(MSI_MAX, sizeof(*chip->vector));
	chip->table = calloc(1, sizeof(*chip->table) + (FIXED_ROUTES_MAX + MSI_MAX) *
							       sizeof(chip->table->entries[0]));
	if (!chip->vector || !chip->table)
		goto fail;
	*out = chip;
	return 0;
fail:
	irqchip_destroy(chip);
	return log_fail(-ENOMEM, "irqchip: out of memory");
}

void irqchip_destroy(struct irqchip *chip)
{
	if (!chip)
		return;
	for (unsigned i = 0; i < chip->n_vectors; i++)
		if (chip->vector[i].fd >= 0)
			close(chip->vector[i].fd);
	while (chip->wires) {
		struct wire *w = chip->wires;

		chip->wires = w->next;
		free(w);
	}
	while (chip->msis) {
		struct msi *m = chip->msis;

		chip->msis = m->next;
		free(m);
	}
	free(chip->vector);
	free(chip->table);
	free(chip);
}

static void add_msi_routes(const struct irqchip *chip, const struct msi *m)
{
	for (unsigned i = 0; i < m->msi.vectors; i++) {
		const struct vector *v = &chip->vector[m->first + i];
		struct kvm_irq_routing_entry *e = &chip->table->entries[chip->table->nr];

		if (v->masked)
			continue;
		memset(e, 0, sizeof(*e));
		e->gsi = MSI_FIRST_GSI + m->first + i;
		e->type = KVM_IRQ_ROUTING_MSI;
		e->flags = chip->msi_devid ? KVM_MSI_VALID_DEVID : 0;
		e->u.msi.address_lo = (uint32_t)v->addr;
		e->u.msi.address_hi = (uint32_t)(v->addr >> 32);
		e->u.msi.data = v->data;
		e->u.msi.devid = chip->msi_devid ? m->devid : 0;
		chip->table->nr++;
	}
}

static int set_routing(struct irqchip *chip)
{
	memcpy(chip->table->entries, chip->fixed, chip->n_fixed * sizeof(chip->fixed[0]));
	chip->table->nr = chip->n_fixed;
	chip->table->flags = 0;
	for (const struct msi *m = chip->msis; m; m = m->next)
		add_msi_routes(chip, m);
	return kvm_ioctl(chip->vm_fd, KVM_SET_GSI_ROUTING, chip->table);
}

int irqchip_attach(struct irqchip *chip, int vm_fd, const struct kvm_irq_routing_entry *fixed,
		   unsigned n, int msi_devid)
{
	int r;

	assert(n <= FIXED_ROUTES_MAX);
	chip->vm_fd = vm_fd;
	chip->msi_devid = msi_devid;
	chip->n_fixed = n;
	if (n)
		memcpy(chip->fixed, fixed, n * sizeof(*fixed));
	memset(chip->asserted, 0, sizeof(chip->asserted));
	for (struct wire *w = chip->wires; w; w = w->next)
		w->level = 0;
	for (unsigned i = 0; i < chip->n_vectors; i++) {
		uint64_t raised;

		chip->vector[i].masked = 1;
		chip->vector[i].attached = 0;
		/* What the old VM did not take is not the new one's. EAGAIN: nothing was left. */
		if (chip->vector[i].fd >= 0 &&
		    read(chip->vector[i].fd, &raised, sizeof(raised)) < 0)
			assert(errno == EAGAIN);
	}
	r = set_routing(chip);
	if (r < 0)
		return log_fail(r, "kvm: cannot set the interrupt routing: %s", strerror(-r));
	return 0;
}

static void wire_set(struct irq_line *line, int level)
{
	struct wire *w = container_of(line, struct wire, line);
	struct irqchip *chip = w->chip;
	struct kvm_irq_level arg = {.irq = chip->first_line + w->gsi, .level = 1};
	unsigned before = chip->asserted[w->gsi];

	level = !!level;
	if (level == w->level)
		return;
	w->level = level;
	chip->asserted[w->gsi] = (uint16_t)(level ? before + 1 : before - 1);
	arg.level = chip->asserted[w->gsi] != 0;
	/* Only an edge of the OR is news; the call cannot fail on a VM with an irqchip. */
	if (arg.level != (before != 0))
		kvm_ioctl(chip->vm_fd, KVM_IRQ_LINE, &arg);
}

void irqchip_number_lines(struct irqchip *chip, uint32_t first)
{
	chip->first_line = first;
}

struct irq_line *irqchip_line(struct irqchip *chip, unsigned gsi)
{
	struct wire *w = calloc(1, sizeof(*w));

	assert(gsi < GSI_MAX);
	if (!w)
		return NULL;
	w->line.set = wire_set;
	w->chip = chip;
	w->gsi = gsi;
	w->next = chip->wires;
	chip->wires = w;
	return &w->line;
}

static struct vector *vector_of(struct msi *m, unsigned vec)
{
	assert(vec < m->msi.vectors);
	return &m->chip->vector[m->first + vec];
}

static void msi_route(struct irq_msi *msi, unsigned vec, uint64_t addr, uint32_t data, int masked)
{
	struct vector *v = vector_of(container_of(msi, struct msi, msi), vec);

	v->addr = addr;
	v->data = data;
	v->masked = (uint8_t) !!masked;
}

/* Makes the eventfd of a vector and has the VM listen to it. */
static int attach_vector(struct irqchip *chip, struct vector *v, unsigned gsi)
{
	struct kvm_irqfd arg = {.gsi = gsi};
	int r;

	if (v->fd < 0)
		v->fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (v->fd < 0)
		return -errno;
	arg.fd = (uint32_t)v->fd;
	r = kvm_ioctl(chip->vm_fd, KVM_IRQFD, &arg);
	v->attached = r == 0;
	return r;
}

static int msi_commit(struct irq_msi *msi)
{
	struct msi *m = container_of(msi, struct msi, msi);
	int r = set_routing(m->chip);

	if (r < 0) {
		/* A message that KVM does not take must not keep other devices from theirs. */
		for (unsigned i = 0; i < msi->vectors; i++)
			vector_of(m, i)->masked = 1;
		set_routing(m->chip);
		return r;
	}
	for (unsigned i = 0; i < msi->vectors && r == 0; i++) {
		struct vector *v = vector_of(m, i);

		if (!v->masked && !v->attached)
			r = attach_vector(m->chip, v, MSI_FIRST_GSI + m->first + i);
	}
	return r;
}

static void msi_raise(struct irq_msi *msi, unsigned vec)
{
	struct vector *v = vector_of(container_of(msi, struct msi, msi), vec);
	uint64_t one = 1;

	/* EAGAIN: the counter is full, so the interrupt is pending anyway. */
	if (v->attached && write(v->fd, &one, sizeof(one)) < 0)
		assert(errno == EAGAIN);
}

static const struct irq_msi_ops msi_ops = {msi_route, msi_commit, msi_raise};

struct irq_msi *irqchip_msi(struct irqchip *chip, unsigned vectors, uint32_t devid)
{
	struct msi *m;

	if (vectors > MSI_MAX - chip->n_vectors)
		return NULL;
	m = calloc(1, sizeof(*m));
	if (!m)
		return NULL;
	m->msi.ops = &msi_ops;
	m->msi.vectors = vectors;
	m->chip = chip;
	m->first = chip->n_vectors;
	m->devid = devid;
	for (unsigned i = 0; i < vectors; i++)
		chip->vector[m->first + i] = (struct vector){.fd = -1, .masked = 1};
	chip->n_vectors += vectors;
	m->next = chip->msis;
	chip->msis = m;
	return &m->msi;
}
