/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Interrupts over a KVM that only remembers what it is told: the routing table as a whole, wires
 * as edges of their OR, and which descriptor stands for which message.
 */
#include <errno.h>
#include <linux/kvm.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "tests/lib/said.h"
#include "vmm/irqchip.h"
#include "vmm/kvm.h"

#define VM_FD      1000
#define ROUTES_MAX 1024

/* --- KVM, as far as this room calls it ------------------------------------------------------- */

static struct {
	int vm_fd;
	unsigned calls;
	unsigned fail_call; /* this call fails with -EINVAL; 0: none */
	unsigned n;
	struct kvm_irq_routing_entry route[ROUTES_MAX];
	unsigned line_calls;
	int level[256];
	struct kvm_irqfd irqfd[16];
	unsigned n_irqfds;
} vm;

int kvm_ioctl(int fd, unsigned long request, void *arg)
{
	assert_int_equal(fd, vm.vm_fd);
	if (++vm.calls == vm.fail_call)
		return -EINVAL;
	if (request == KVM_SET_GSI_ROUTING) {
		const struct kvm_irq_routing *table = arg;

		assert_int_equal(table->flags, 0);
		assert_true(table->nr <= ROUTES_MAX);
		vm.n = table->nr;
		memcpy(vm.route, table->entries, table->nr * sizeof(vm.route[0]));
	} else if (request == KVM_IRQ_LINE) {
		const struct kvm_irq_level *line = arg;

		assert_true(line->irq < 256);
		vm.level[line->irq] = (int)line->level;
		vm.line_calls++;
	} else {
		assert_int_equal(request, KVM_IRQFD);
		assert_true(vm.n_irqfds < 16);
		vm.irqfd[vm.n_irqfds++] = *(struct kvm_irqfd *)arg;
	}
	return 0;
}

static const struct kvm_irq_routing_entry fixed[] = {
	{.gsi = 0, .type = KVM_IRQ_ROUTING_IRQCHIP, .u.irqchip = {KVM_IRQCHIP_IOAPIC, 2}},
	{.gsi = 4, .type = KVM_IRQ_ROUTING_IRQCHIP, .u.irqchip = {KVM_IRQCHIP_IOAPIC, 4}},
};

#define N_FIXED 2

static struct irqchip *chip;

static int attach(int fd, int devid)
{
	memset(&vm, 0, sizeof(vm));
	vm.vm_fd = fd;
	return irqchip_attach(chip, fd, fixed, N_FIXED, devid);
}

static int start(void **state)
{
	(void)state;
	said_start();
	return irqchip_create(&chip) || attach(VM_FD, 0);
}

static int stop(void **state)
{
	(void)state;
	irqchip_destroy(chip);
	return 0;
}

/* The one route of @gsi, or NULL. */
static const struct kvm_irq_routing_entry *route_of(unsigned gsi)
{
	const struct kvm_irq_routing_entry *found = NULL;

	for (unsigned i = 0; i < vm.n; i++) {
		if (vm.route[i].gsi != gsi)
			continue;
		assert_null(found);
		found = &vm.route[i];
	}
	return found;
}

/* How often the descriptor behind @gsi was rung since the last look; -1: KVM knows of none. */
static int rung(unsigned gsi)
{
	for (unsigned i = 0; i < vm.n_irqfds; i++) {
		uint64_t n = 0;

		if (vm.irqfd[i].gsi != gsi)
			continue;
		if (read((int)vm.irqfd[i].fd, &n, sizeof(n)) < 0)
			assert_int_equal(errno, EAGAIN);
		return (int)n;
	}
	return -1;
}

static void test_attach(void **state)
{
	(void)state;
	assert_int_equal(vm.calls, 1);
	assert_int_equal(vm.n, N_FIXED);
	assert_memory_equal(vm.route, fixed, sizeof(fixed));

	memset(&vm, 0, sizeof(vm));
	vm.vm_fd = VM_FD;
	vm.fail_call = 1;
	assert_int_equal(irqchip_attach(chip, VM_FD, fixed, N_FIXED, 0), -EINVAL);
	assert_int_equal(said_count(), 1);
	irqchip_destroy(NULL);
}

/* Steps on three wires, two of which share GSI 10: what the guest's pin shows after each. */
static void test_wires(void **state)
{
	static const struct {
		int wire, level;
		int pin10, pin4;
		unsigned calls;
	} table[] = {
		{0, 0, 0, 0, 0},                  /* low already */
		{0, 1, 1, 0, 1}, {0, 1, 1, 0, 1}, /* no news */
		{0, 5, 1, 0, 1},                  /* any level but 0 is high */
		{1, 1, 1, 0, 1},                  /* the OR is high already */
		{2, 1, 1, 1, 2}, {0, 0, 1, 1, 2}, /* the other holds it */
		{0, 0, 1, 1, 2}, {1, 0, 0, 1, 3}, {2, 0, 0, 0, 4}, {1, 1, 1, 0, 5},
	};
	struct irq_line *wire[] = {irqchip_line(chip, 10), irqchip_line(chip, 10),
				   irqchip_line(chip, 4)};

	(void)state;
	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		irq_set(wire[table[i].wire], table[i].level);
		if (vm.level[10] != table[i].pin10 || vm.level[4] != table[i].pin4 ||
		    vm.line_calls != table[i].calls)
			fail_msg("step %zu: %d %d, %u calls", i, vm.level[10], vm.level[4],
				 vm.line_calls);
	}
	/* A new VM: the pin is low, and the wire's next rise reaches it. */
	assert_int_equal(attach(VM_FD + 1, 0), 0);
	irq_set(wire[1], 0);
	assert_int_equal(vm.line_calls, 0);
	irq_set(wire[0], 1);
	irq_set(wire[1], 1);
	assert_int_equal(vm.level[10], 1);
	assert_int_equal(vm.line_calls, 1);
	irq_set(NULL, 1); /* a device without a wire */
}

/* arm64: KVM_IRQ_LINE has numbers of its own (api.rst §4.25); no route is fixed. */
static void test_numbered_lines(void **state)
{
	struct irq_line *wire = irqchip_line(chip, 5);

	(void)state;
	irqchip_number_lines(chip, 32);
	irq_set(wire, 1);
	assert_int_equal(vm.level[32 + 5], 1);
	assert_int_equal(vm.level[5], 0);
	memset(&vm, 0, sizeof(vm));
	vm.vm_fd = VM_FD + 1;
	assert_int_equal(irqchip_attach(chip, VM_FD + 1, NULL, 0, 1), 0);
	assert_int_equal(vm.n, 0);
	irq_set(wire, 1);
	assert_int_equal(vm.level[32 + 5], 1);
}

static void test_messages(void **state)
{
	struct irq_msi *a = irqchip_msi(chip, 3, 0x18), *b = irqchip_msi(chip, 2, 0x20);
	const struct kvm_irq_routing_entry *e;

	(void)state;
	assert_int_equal(a->vectors, 3);
	/* Nothing takes effect before the commit. */
	a->ops->route(a, 1, 0x1fee01000, 0x4041, 0);
	assert_int_equal(vm.calls, 1);
	a->ops->raise(a, 1);
	assert_int_equal(a->ops->commit(a), 0);
	assert_int_equal(vm.n, N_FIXED + 1);
	assert_memory_equal(vm.route, fixed, sizeof(fixed));
	e = &vm.route[N_FIXED];
	assert_int_equal(e->type, KVM_IRQ_ROUTING_MSI);
	assert_int_equal(e->flags, 0);
	assert_int_equal(e->u.msi.address_lo, 0xfee01000);
	assert_int_equal(e->u.msi.address_hi, 1);
	assert_int_equal(e->u.msi.data, 0x4041);
	assert_int_equal(e->u.msi.devid, 0);
	assert_int_equal(vm.n_irqfds, 1);
	assert_int_equal(vm.irqfd[0].gsi, e->gsi);
	assert_int_equal(vm.irqfd[0].flags, 0);
	assert_true(e->gsi > fixed[1].gsi);

	assert_int_equal(rung(e->gsi), 0);
	a->ops->raise(a, 1);
	assert_int_equal(rung(e->gsi), 1);
	a->ops->raise(a, 0); /* never unmasked: nobody listens */
	assert_int_equal(rung(e->gsi), 0);

	/* The second device's vectors are others, and the first one's stay. */
	b->ops->route(b, 0, 0xfee00000, 1, 0);
	b->ops->route(b, 1, 0xfee00000, 2, 0);
	assert_int_equal(b->ops->commit(b), 0);
	assert_int_equal(vm.n, N_FIXED + 3);
	assert_int_equal(vm.n_irqfds, 3);
	for (unsigned i = 0; i < 3; i++) {
		e = route_of(vm.irqfd[i].gsi);
		assert_non_null(e);
		assert_int_equal(e->u.msi.data, i == 0 ? 0x4041 : i);
		for (unsigned k = 0; k < i; k++)
			assert_true(vm.irqfd[k].fd != vm.irqfd[i].fd);
	}
	b->ops->raise(b, 1);
	assert_int_equal(rung(vm.irqfd[0].gsi), 0);
	assert_int_equal(rung(vm.irqfd[1].gsi), 0);
	assert_int_equal(rung(vm.irqfd[2].gsi), 1);
}

static void test_masking_keeps_the_descriptor(void **state)
{
	struct irq_msi *a = irqchip_msi(chip, 1, 0);
	unsigned gsi;

	(void)state;
	a->ops->route(a, 0, 0xfee00000, 7, 0);
	assert_int_equal(a->ops->commit(a), 0);
	gsi = vm.irqfd[0].gsi;
	a->ops->route(a, 0, 0xfee00000, 7, 1);
	assert_int_equal(a->ops->commit(a), 0);
	assert_null(route_of(gsi));
	a->ops->route(a, 0, 0xfee02000, 8, 0);
	assert_int_equal(a->ops->commit(a), 0);
	assert_int_equal(route_of(gsi)->u.msi.data, 8);
	assert_int_equal(vm.n_irqfds, 1); /* KVM listens to it already */
}

static void test_device_id(void **state)
{
	struct irq_msi *a = irqchip_msi(chip, 1, 0x18);

	(void)state;
	assert_int_equal(attach(VM_FD, 1), 0);
	a->ops->route(a, 0, 0x8090040, 3, 0);
	assert_int_equal(a->ops->commit(a), 0);
	assert_int_equal(vm.route[N_FIXED].flags, KVM_MSI_VALID_DEVID);
	assert_int_equal(vm.route[N_FIXED].u.msi.devid, 0x18);
}

/* A new VM hears nothing of the old one: no route, no descriptor, no interrupt that was left. */
static void test_reattach(void **state)
{
	struct irq_msi *a = irqchip_msi(chip, 2, 0);

	(void)state;
	a->ops->route(a, 0, 0xfee00000, 1, 0);
	assert_int_equal(a->ops->commit(a), 0);
	a->ops->raise(a, 0); /* and the VM is gone before it listens */
	assert_int_equal(attach(VM_FD + 1, 0), 0);
	assert_int_equal(vm.n, N_FIXED);
	assert_int_equal(vm.n_irqfds, 0);
	a->ops->raise(a, 0); /* masked: dropped */
	a->ops->route(a, 0, 0xfee00000, 2, 0);
	assert_int_equal(a->ops->commit(a), 0);
	assert_int_equal(vm.n_irqfds, 1);
	assert_int_equal(rung(vm.irqfd[0].gsi), 0);
	a->ops->raise(a, 0);
	assert_int_equal(rung(vm.irqfd[0].gsi), 1);
}

/* KVM refuses: the device is told, others keep their routes, and the next try makes good. */
static void test_commit_fails(void **state)
{
	struct irq_msi *a = irqchip_msi(chip, 2, 0);

	(void)state;
	a->ops->route(a, 0, 0xfee00000, 1, 0);
	a->ops->route(a, 1, 0xfee00000, 2, 0);
	for (unsigned k = 1; k <= 3; k++) {
		assert_int_equal(attach(VM_FD, 0), 0);
		a->ops->route(a, 0, 0xfee00000, 1, 0);
		a->ops->route(a, 1, 0xfee00000, 2, 0);
		vm.fail_call = vm.calls + k; /* the table, then one descriptor, then the other */
		assert_int_equal(a->ops->commit(a), -EINVAL);
		a->ops->raise(a, 0);
		a->ops->raise(a, 1);
		assert_int_equal(vm.n_irqfds, k > 1 ? k - 2 : 0);
		/* A refused table is replaced by one without this device's messages. */
		assert_int_equal(vm.n, k > 1 ? N_FIXED + 2 : N_FIXED);
		a->ops->route(a, 0, 0xfee00000, 1, 0);
		a->ops->route(a, 1, 0xfee00000, 2, 0);
		assert_int_equal(a->ops->commit(a), 0);
		assert_int_equal(vm.n_irqfds, 2);
		assert_true(vm.irqfd[0].gsi != vm.irqfd[1].gsi);
	}
}

/* A guest that never takes its interrupts: the counter fills up and nothing breaks. */
static void test_counter_full(void **state)
{
	struct irq_msi *a = irqchip_msi(chip, 1, 0);
	uint64_t most = UINT64_MAX - 1;

	(void)state;
	a->ops->route(a, 0, 0xfee00000, 1, 0);
	assert_int_equal(a->ops->commit(a), 0);
	assert_int_equal(write((int)vm.irqfd[0].fd, &most, sizeof(most)), sizeof(most));
	a->ops->raise(a, 0);
	a->ops->raise(a, 0);
}

static void test_vectors_run_out(void **state)
{
	unsigned n = 0;

	(void)state;
	while (irqchip_msi(chip, 100, 0))
		assert_true(++n < 100);
	assert_true(n >= 3);
	assert_null(irqchip_msi(chip, UINT32_MAX, 0));
	while (irqchip_msi(chip, 1, 0))
		assert_true(++n < 200);
}

#define CHIP_TEST(f) cmocka_unit_test_setup_teardown(f, start, stop)

int main(void)
{
	static const struct CMUnitTest tests[] = {
		CHIP_TEST(test_attach),
		CHIP_TEST(test_wires),
		CHIP_TEST(test_numbered_lines),
		CHIP_TEST(test_messages),
		CHIP_TEST(test_masking_keeps_the_descriptor),
		CHIP_TEST(test_device_id),
		CHIP_TEST(test_reattach),
		CHIP_TEST(test_commit_fails),
		CHIP_TEST(test_counter_full),
		CHIP_TEST(test_vectors_run_out),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
