/* SPDX-License-Identifier: BSD-2-Clause */
/* The bench of pci_rig.h. */
#include "tests/lib/pci_rig.h"

#include <limits.h>
#include <string.h>

#include "tests/lib/said.h"

struct pci_rig rig;

void rig_plug(uint16_t type, int has_io, unsigned vectors)
{
	memset(&rig, 0, sizeof(rig));
	rig.b = board_create();
	rig.fn = test_calloc(1, sizeof(*rig.fn));
	echo_init(&rig.echo, &rig.b->mem, RIG_QUEUES, RIG_SIZE, type);
	board_plug(rig.b, rig.fn, &rig.echo.dev, RIG_SLOT, has_io, vectors);
	said_start();
}

int rig_up(void **state)
{
	(void)state;
	rig_plug(VIRTIO_ID_BLOCK, 1, RIG_QUEUES + 1);
	return 0;
}

int rig_down(void **state)
{
	(void)state;
	assert_true(board_is_sound(rig.b));
	assert_int_equal(rig.echo.wrong_calls, 0);
	assert_int_equal(rig.fn->msi.wrong, 0);
	echo_destroy(&rig.echo);
	test_free(rig.fn);
	board_destroy(rig.b);
	return 0;
}

int rig_start(enum driver_pci_way way, int msix)
{
	int r = driver_attach_pci(&rig.drv, &rig.pci, rig.fn, RIG_SLOT, way, msix);

	if (r)
		return r;
	return driver_start(&rig.drv, DRIVER_ALL, way == DRIVER_PCI_LEGACY ? DRIVER_LEGACY : 0);
}

int rig_works(unsigned q)
{
	struct driver *drv = &rig.drv;
	struct driver_used used;
	gpa_t in;
	int head = driver_add_request(drv, q, "abc", 3, 8, &in);

	driver_kick(drv, q);
	return head >= 0 && driver_take(drv, q, &used) == 1 && used.head == head && used.len == 3 &&
	       !memcmp(driver_ptr(drv, in, 4), "abc", 4);
}

void rig_revive(void)
{
	virtio_set_status(&rig.echo.dev, 0);
	echo_finish(&rig.echo, UINT_MAX);
	pci_host_reset(&rig.b->host);
	rig.echo.slow = 0;
	CHECK(rig_start(DRIVER_PCI_MODERN, 1) == 0);
	CHECK(rig_works(0) && rig_works(1));
	CHECK(board_is_sound(rig.b));
}

void rig_hold_one(void)
{
	rig.echo.slow = 1;
	driver_add_request(&rig.drv, 0, "abc", 3, 3, NULL);
	driver_kick(&rig.drv, 0);
	assert_int_equal(rig.echo.n_held, 1);
}
