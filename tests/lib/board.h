/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef TESTS_LIB_BOARD_H
#define TESTS_LIB_BOARD_H

#include <stdint.h>

#include "devices/pci/host.h"
#include "devices/virtio/pci.h"
#include "tests/lib/driver.h"
#include "vmm/bus.h"
#include "vmm/mem.h"

/*
 * A machine with a PCI bus and without KVM: buses, RAM, interrupts that are counted, doorbells
 * that ring. A test is the vCPU: board_out() and its like are what the guest's instructions
 * would do, doorbells first as in KVM.
 *
 * A struct board is big and points at itself: allocate it, do not copy it.
 */
#define BOARD_RAM       (16u << 20)
#define BOARD_IO        0x1000ull /* I/O window and its length */
#define BOARD_IO_LEN    0xe000ull
#define BOARD_MEM32     0xe0000000ull
#define BOARD_MEM32_LEN 0x10000000ull
#define BOARD_MEM64     0x4000000000ull
#define BOARD_MEM64_LEN 0x40000000ull
#define BOARD_PORTS     0xcf8ull
#define BOARD_ECAM      0xb0000000ull
#define BOARD_VECTORS   8

/* Interrupts of one function, counted. */
struct board_msi {
	struct irq_msi msi;
	struct {
		uint64_t addr;
		uint32_t data;
		int masked;
		unsigned raised;
	} vec[BOARD_VECTORS];
	unsigned routes, commits;
	unsigned wrong; /* raised while masked, or routed without a commit */
	int dirty;      /* routed since the last commit */
	int fail;       /* the next commits fail with this errno */
};

struct board_line {
	struct irq_line line;
	int level;
	unsigned changes, sets;
};

struct board_bell {
	struct virtio_pci *vp;
	unsigned q;
	struct virtio_doorbell bell;
};
#define BOARD_BELLS 64

/* A virtio function on the board. */
struct board_function {
	struct virtio_pci vp;
	struct board *board;
	struct board_msi msi;
	struct board_line line;
	struct driver *drv; /* who is told of interrupts; may be NULL */
	int later;
	unsigned resets_done, waits;
	void (*wait)(struct board_function *fn); /* plays wait_reset; may be NULL */
};

struct board {
	struct bus io, mmio;
	struct mem mem;
	struct pci_host host;
	struct board_bell bell[BOARD_BELLS];
	unsigned n_bells, bell_asks, bells_rung;
	unsigned wrong_bells; /* added twice, or removed without being there */
	int bells_fail;       /* doorbells are refused with this errno */
	unsigned exits;       /* register accesses that a vCPU would have left the guest for */
};

/* Aborts the test if it cannot be built. board_create() frees what board_destroy() takes. */
struct board *board_create(void);
void board_destroy(struct board *b);

void board_msi_init(struct board_msi *msi, unsigned vectors);
void board_line_init(struct board_line *line);

/* Plugs @dev into @slot with interrupts of its own. @vectors 0: no MSI-X. Aborts on failure. */
void board_plug(struct board *b, struct board_function *fn, struct virtio_dev *dev, unsigned slot,
		int has_io, unsigned vectors);

/* What the guest's instructions do. @size 1, 2, 4 (or 8 for memory). */
uint32_t board_in(struct board *b, uint16_t port, unsigned size);
void board_out(struct board *b, uint16_t port, unsigned size, uint32_t value);
uint64_t board_load(struct board *b, uint64_t addr, unsigned size);
void board_store(struct board *b, uint64_t addr, unsigned size, uint64_t value);

/* Configuration space of @slot through ports CF8 and CFC..CFF, and through ECAM. */
uint32_t board_config_read(struct board *b, unsigned slot, unsigned off, unsigned size);
void board_config_write(struct board *b, unsigned slot, unsigned off, unsigned size, uint32_t v);
uint32_t board_ecam_read(struct board *b, unsigned slot, unsigned off, unsigned size);
void board_ecam_write(struct board *b, unsigned slot, unsigned off, unsigned size, uint32_t v);

/* Plays the end of the turn for one function until it rests. */
void board_pump(struct board_function *fn);

/*
 * True if the board is sound: ranges on the buses ascend and do not overlap, each decoded BAR is
 * where its register says, enabled, inside a window and outside RAM, each doorbell lies in a
 * decoded BAR of its function, and no interrupt was raised that should not have been.
 */
int board_is_sound(const struct board *b);

/* --- a driver that speaks to the registers ----------------------------------------------- */

enum driver_pci_way {
	DRIVER_PCI_MODERN,     /* as Linux: the first capability of each type */
	DRIVER_PCI_MODERN_MEM, /* never a notify area in I/O space */
	DRIVER_PCI_WINDOW,     /* all through the PCI access capability (§4.1.4.9) */
	DRIVER_PCI_LEGACY,     /* start with DRIVER_LEGACY */
};

struct driver_pci_area {
	uint8_t bar;
	uint32_t off, len;
	int there;
};

struct driver_pci {
	struct board *b;
	unsigned slot;
	enum driver_pci_way way;
	int msix; /* use MSI-X: vector 0 for configuration, q + 1 for queue q */
	uint64_t bar[PCI_BARS];
	uint8_t bar_is_io[PCI_BARS];
	struct driver_pci_area common, isr, notify, config, window;
	uint32_t multiplier;
	uint64_t notify_at[VIRTIO_QUEUES_MAX];
};

/*
 * Finds the device in @slot by its configuration space, enables its BARs, and MSI-X if @msix, and
 * makes @drv a driver for it (see driver.h). 0, or -ENODEV if it is not a virtio function or
 * lacks what @way needs. @pci is the transport's state and lives as long as @drv.
 */
int driver_attach_pci(struct driver *drv, struct driver_pci *pci, struct board_function *fn,
		      unsigned slot, enum driver_pci_way way, int msix);

/* Register access as the driver does it, @off from the start of the structure. */
uint64_t driver_pci_read(struct driver *drv, const struct driver_pci_area *area, uint32_t off,
			 unsigned size);
void driver_pci_write(struct driver *drv, const struct driver_pci_area *area, uint32_t off,
		      unsigned size, uint64_t v);

#endif
