/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Lays out the SMBIOS tables once, before the first vCPU runs. A structure is a formatted area of
 * fixed fields and, behind it, the strings that the fields name by number. Knows guest RAM and the
 * strings that it is given; section numbers are those of DSP0134 3.0.
 */
#include <assert.h>
#include <errno.h>
#include <string.h>

#include "arch/x86_64/layout.h"
#include "arch/x86_64/smbios.h"
#include "vmm/log.h"

#define PACKED       __attribute__((packed))

#define MAKER        "Skiff"
#define RELEASE_DATE "01/01/2026" /* Linux trusts firmware younger than 2008 with PCI windows */
#define KIB          1024
#define MIB          (1024 * 1024)

/* Handles: one of each, except the address ranges. */
enum handle {
	HANDLE_BIOS,
	HANDLE_SYSTEM,
	HANDLE_CHASSIS,
	HANDLE_PROCESSOR,
	HANDLE_OEM,
	HANDLE_ARRAY,
	HANDLE_DEVICE,
	HANDLE_BOOT,
	HANDLE_END,
	HANDLE_MAP, /* and up */
};

struct entry_point { /* §5.2.2 */
	char anchor[5];
	uint8_t checksum, length, major, minor, docrev, revision, reserved;
	uint32_t max_size;
	uint64_t table;
} PACKED;

struct header { /* §6.1.2 */
	uint8_t type, length;
	uint16_t handle;
} PACKED;

struct bios { /* type 0, §7.1 */
	struct header h;
	uint8_t vendor, version;
	uint16_t segment;
	uint8_t release_date, rom_size;
	uint64_t characteristics;
	uint8_t extension[2], major, minor, ec_major, ec_minor;
} PACKED;

#define BIOS_NO_CHARACTERISTICS (1 << 3)
#define BIOS_EXT2_VM            (1 << 4)
#define BIOS_NO_EC              0xff

struct system { /* type 1, §7.2 */
	struct header h;
	uint8_t manufacturer, product, version, serial;
	uint8_t uuid[16];
	uint8_t wake_up, sku, family;
} PACKED;

#define WAKE_UP_POWER_SWITCH 6

struct chassis { /* type 3, §7.4 */
	struct header h;
	uint8_t manufacturer, type, version, serial, asset_tag;
	uint8_t boot_state, power_state, thermal_state, security;
	uint32_t oem;
	uint8_t height, power_cords, elements, element_length, sku;
} PACKED;

#define CHASSIS_OTHER 1
#define STATE_SAFE    3
#define SECURITY_NONE 3

struct processor { /* type 4, §7.5 */
	struct header h;
	uint8_t socket, type, family, manufacturer;
	uint64_t id;
	uint8_t version, voltage;
	uint16_t clock_mhz, max_mhz, current_mhz;
	uint8_t status, upgrade;
	uint16_t l1, l2, l3;
	uint8_t serial, asset_tag, part;
	uint8_t cores, cores_enabled, threads;
	uint16_t characteristics, family2;
	uint16_t cores2, cores_enabled2, threads2;
} PACKED;

#define PROCESSOR_CENTRAL   3
#define PROCESSOR_OTHER     1
#define PROCESSOR_ENABLED   0x41 /* socket populated, CPU enabled */
#define PROCESSOR_64BIT     (1 << 2)
#define PROCESSOR_MULTICORE (1 << 3)
#define NO_CACHE            0xffff

struct oem_strings { /* type 11, §7.12 */
	struct header h;
	uint8_t count;
} PACKED;

struct memory_array { /* type 16, §7.17 */
	struct header h;
	uint8_t location, use, ecc;
	uint32_t capacity_kib;
	uint16_t error_handle, devices;
	uint64_t capacity;
} PACKED;

#define ARRAY_OTHER    1
#define ARRAY_SYSTEM   3
#define ARRAY_NO_ECC   3
#define CAPACITY_BELOW 0x80000000 /* KiB; this value means: see the 64-bit field */
#define NO_ERROR_INFO  0xfffe

struct memory_device { /* type 17, §7.18 */
	struct header h;
	uint16_t array, error_handle, total_width, data_width, size;
	uint8_t form, set, locator, bank, type;
	uint16_t detail, speed;
	uint8_t manufacturer, serial, asset_tag, part, attributes;
	uint32_t size_mib;
	uint16_t configured_speed, min_mv, max_mv, configured_mv;
} PACKED;

#define WIDTH_UNKNOWN 0xffff
#define SIZE_BELOW    0x7fff /* MiB; this value means: see the 32-bit field */
#define FORM_OTHER    1
#define MEMORY_OTHER  1
#define DETAIL_OTHER  2

struct mapped_address { /* type 19, §7.20 */
	struct header h;
	uint32_t start_kib, end_kib;
	uint16_t array;
	uint8_t partition_width;
	uint64_t start, end; /* where the 32-bit fields are all ones */
} PACKED;

struct boot_info { /* type 32, §7.33 */
	struct header h;
	uint8_t reserved[6], status;
} PACKED;

_Static_assert(sizeof(struct bios) == 0x18 && sizeof(struct system) == 0x1b &&
		       sizeof(struct chassis) == 0x16 && sizeof(struct processor) == 0x30 &&
		       sizeof(struct memory_array) == 0x17 &&
		       sizeof(struct memory_device) == 0x28 &&
		       sizeof(struct mapped_address) == 0x1f && sizeof(struct boot_info) == 0xb,
	       "lengths of SMBIOS 3.0");

/* The structure that is being written. What does not fit is dropped and remembered. */
struct table {
	uint8_t *host;
	size_t used, max;
	uint8_t strings; /* of the current structure */
	int too_big;
};

static void put(struct table *t, const void *bytes, size_t len)
{
	if (t->too_big || len > t->max - t->used) {
		t->too_big = 1;
		return;
	}
	memcpy(t->host + t->used, bytes, len);
	t->used += len;
}

/*
 * Writes a structure: first the formatted area, in which the caller numbers its strings from 1 as
 * they follow in the NULL-terminated list. Two zero bytes end a structure that has none (§6.1.3).
 */
static void add(struct table *t, struct header *h, uint8_t type, enum handle handle, size_t len)
{
	h->type = type;
	h->length = (uint8_t)len;
	h->handle = (uint16_t)handle;
	put(t, h, len);
	t->strings = 0;
}

static void add_string(struct table *t, const char *s)
{
	put(t, s, strlen(s) + 1);
	t->strings++;
}

static void end_strings(struct table *t)
{
	put(t, "\0", t->strings ? 1 : 2);
}

static void add_bios(struct table *t, const struct smbios_params *p)
{
	struct bios b = {
		.vendor = 1,
		.version = 2,
		.release_date = 3,
		.characteristics = BIOS_NO_CHARACTERISTICS,
		.extension = {0, BIOS_EXT2_VM},
		.ec_major = BIOS_NO_EC,
		.ec_minor = BIOS_NO_EC,
	};

	add(t, &b.h, 0, HANDLE_BIOS, sizeof(b));
	add_string(t, MAKER);
	add_string(t, p->version);
	add_string(t, RELEASE_DATE);
	end_strings(t);
}

static void add_system(struct table *t, const struct smbios_params *p)
{
	/* §7.2.1: the first three fields of the UUID are little-endian. */
	static const uint8_t order[16] = {3, 2, 1, 0, 5, 4, 7, 6, 8, 9, 10, 11, 12, 13, 14, 15};
	int has_serial = p->serial && p->serial[0];
	struct system s = {
		.manufacturer = 1,
		.product = 2,
		.version = 3,
		.serial = has_serial ? 4 : 0,
		.wake_up = WAKE_UP_POWER_SWITCH,
	};

	for (unsigned i = 0; i < 16; i++)
		s.uuid[i] = p->uuid[order[i]];
	add(t, &s.h, 1, HANDLE_SYSTEM, sizeof(s));
	add_string(t, MAKER);
	add_string(t, "Skiff VM");
	add_string(t, p->version);
	if (has_serial)
		add_string(t, p->serial);
	end_strings(t);
}

static void add_chassis(struct table *t)
{
	struct chassis c = {
		.manufacturer = 1,
		.type = CHASSIS_OTHER,
		.boot_state = STATE_SAFE,
		.power_state = STATE_SAFE,
		.thermal_state = STATE_SAFE,
		.security = SECURITY_NONE,
	};

	add(t, &c.h, 3, HANDLE_CHASSIS, sizeof(c));
	add_string(t, MAKER);
	end_strings(t);
}

static void add_processor(struct table *t, const struct smbios_params *p)
{
	uint8_t few = p->cpus < 255 ? (uint8_t)p->cpus : 255; /* 255: see the 16-bit field */
	struct processor c = {
		.socket = 1,
		.type = PROCESSOR_CENTRAL,
		.family = PROCESSOR_OTHER,
		.manufacturer = 2,
		.status = PROCESSOR_ENABLED,
		.upgrade = PROCESSOR_OTHER,
		.l1 = NO_CACHE,
		.l2 = NO_CACHE,
		.l3 = NO_CACHE,
		.cores = few,
		.cores_enabled = few,
		.threads = few,
		.characteristics = PROCESSOR_64BIT | (p->cpus > 1 ? PROCESSOR_MULTICORE : 0),
		.family2 = PROCESSOR_OTHER,
		.cores2 = (uint16_t)p->cpus,
		.cores_enabled2 = (uint16_t)p->cpus,
		.threads2 = (uint16_t)p->cpus,
	};

	add(t, &c.h, 4, HANDLE_PROCESSOR, sizeof(c));
	add_string(t, "CPU 0");
	add_string(t, MAKER);
	end_strings(t);
}

static int add_oem_strings(struct table *t, const struct smbios_params *p)
{
	struct oem_strings o = {.count = (uint8_t)p->oem_count};

	if (p->oem_count == 0)
		return 0;
	if (p->oem_count > 255)
		return log_fail(-E2BIG, "smbios: %u OEM strings: a table holds 255", p->oem_count);
	add(t, &o.h, 11, HANDLE_OEM, sizeof(o));
	for (unsigned i = 0; i < p->oem_count; i++) {
		if (p->oem[i][0] == '\0')
			return log_fail(-EINVAL, "smbios: OEM string %u is empty: leave it out", i);
		add_string(t, p->oem[i]);
	}
	end_strings(t);
	return 0;
}

static void add_memory(struct table *t, const struct mem *mem)
{
	uint64_t bytes = mem_size(mem);
	struct memory_array a = {
		.location = ARRAY_OTHER,
		.use = ARRAY_SYSTEM,
		.ecc = ARRAY_NO_ECC,
		.capacity_kib = bytes / KIB < CAPACITY_BELOW ? bytes / KIB : CAPACITY_BELOW,
		.capacity = bytes / KIB < CAPACITY_BELOW ? 0 : bytes,
		.error_handle = NO_ERROR_INFO,
		.devices = 1,
	};
	struct memory_device d = {
		.array = HANDLE_ARRAY,
		.error_handle = NO_ERROR_INFO,
		.total_width = WIDTH_UNKNOWN,
		.data_width = WIDTH_UNKNOWN,
		.size = bytes / MIB < SIZE_BELOW ? bytes / MIB : SIZE_BELOW,
		.size_mib = bytes / MIB < SIZE_BELOW ? 0 : (uint32_t)(bytes / MIB),
		.form = FORM_OTHER,
		.locator = 1,
		.type = MEMORY_OTHER,
		.detail = DETAIL_OTHER,
		.manufacturer = 2,
	};

	add(t, &a.h, 16, HANDLE_ARRAY, sizeof(a));
	end_strings(t);
	add(t, &d.h, 17, HANDLE_DEVICE, sizeof(d));
	add_string(t, "RAM 0");
	add_string(t, MAKER);
	end_strings(t);
}

static void add_mapped(struct table *t, const struct mem_region *r, unsigned n)
{
	uint64_t last = r->base + (r->len - 1);
	int wide = last / KIB >= UINT32_MAX;
	struct mapped_address m = {
		.start_kib = wide ? UINT32_MAX : (uint32_t)(r->base / KIB),
		.end_kib = wide ? UINT32_MAX : (uint32_t)(last / KIB),
		.array = HANDLE_ARRAY,
		.partition_width = 1,
		.start = wide ? r->base : 0,
		.end = wide ? last : 0,
	};

	add(t, &m.h, 19, HANDLE_MAP + n, sizeof(m));
	end_strings(t);
}

static void add_ends(struct table *t)
{
	struct boot_info b = {.status = 0}; /* no errors detected */
	struct header end;

	add(t, &b.h, 32, HANDLE_BOOT, sizeof(b));
	end_strings(t);
	add(t, &end, 127, HANDLE_END, sizeof(end));
	end_strings(t);
}

static void write_entry_point(struct entry_point *ep, size_t len)
{
	uint8_t sum = 0;

	*ep = (struct entry_point){
		.anchor = {'_', 'S', 'M', '3', '_'},
		.length = sizeof(*ep),
		.major = 3,
		.revision = 1,
		.max_size = (uint32_t)len,
		.table = LAYOUT_SMBIOS + sizeof(*ep),
	};
	for (size_t i = 0; i < sizeof(*ep); i++)
		sum += ((const uint8_t *)ep)[i];
	ep->checksum = (uint8_t)-sum;
}

int smbios_build(struct mem *mem, const struct smbios_params *p)
{
	uint8_t *area = mem_at(mem, LAYOUT_SMBIOS, LAYOUT_SMBIOS_LEN);
	struct table t;
	int r;

	if (!area)
		return log_fail(-EINVAL, "smbios: guest RAM ends below 1 MiB: give the guest more");
	t = (struct table){
		.host = area + sizeof(struct entry_point),
		.max = LAYOUT_SMBIOS_LEN - sizeof(struct entry_point),
	};
	add_bios(&t, p);
	add_system(&t, p);
	add_chassis(&t);
	add_processor(&t, p);
	r = add_oem_strings(&t, p);
	if (r)
		return r;
	add_memory(&t, mem);
	for (unsigned i = 0; i < mem->count; i++)
		add_mapped(&t, &mem->region[i], i);
	add_ends(&t);
	if (t.too_big)
		return log_fail(-E2BIG, "smbios: serial number and OEM strings need more than 64 "
					"KiB: give fewer or shorter ones");
	write_entry_point((struct entry_point *)area, t.used);
	return 0;
}
