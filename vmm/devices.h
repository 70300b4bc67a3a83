/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef VMM_DEVICES_H
#define VMM_DEVICES_H

struct devices;
struct machine;

/*
 * The PCI bus of a machine and the virtio devices on it, as the configuration lists them: 0 or
 * -errno after a sentence. devices_reset() is for a reboot: no device touches guest memory when it
 * returns. devices_flush(), after that: what guests have written is in the disks' files, also for
 * who reads them without us; 0 or -errno, silent. devices_destroy() takes NULL.
 */
int devices_create(struct machine *m, struct devices **out);
void devices_reset(struct devices *devices);
int devices_flush(struct devices *devices);
void devices_destroy(struct devices *devices);

/* Presses the key that is the power button where arch_wants_power_key; lock held, any thread. */
void devices_press_power_key(struct devices *devices);

/* A line per device for --stats. */
void devices_print_stats(const struct devices *devices);

#endif
