/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef VMM_IRQ_H
#define VMM_IRQ_H

#include <stdint.h>

/*
 * How a device reaches the guest's interrupt controller without knowing what that is. The machine
 * hands these out over KVM; tests hand out counters.
 *
 * A line is a wire with a level: a device sets it to what its registers say and may set the same
 * level again. A message vector is an edge.
 */
struct irq_line {
	void (*set)(struct irq_line *line, int level);
};

static inline void irq_set(struct irq_line *line, int level)
{
	if (line)
		line->set(line, level);
}

/*
 * Message-signalled interrupts of one device: a handful of vectors, numbered from 0.
 * route() says where vector @vec goes (the MSI-X table entry's address and data), or that it is
 * masked; nothing takes effect before commit(), which changes the routing of all of them in one
 * call. If that is refused (-errno), none of them has a route any more. raise() sends the message:
 * never for a vector that is masked.
 */
struct irq_msi {
	const struct irq_msi_ops *ops;
	unsigned vectors;
};

struct irq_msi_ops {
	void (*route)(struct irq_msi *msi, unsigned vec, uint64_t addr, uint32_t data, int masked);
	int (*commit)(struct irq_msi *msi);
	void (*raise)(struct irq_msi *msi, unsigned vec);
};

#endif
