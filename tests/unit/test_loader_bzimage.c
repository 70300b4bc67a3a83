/* SPDX-License-Identifier: BSD-2-Clause */
/* Drives loader/bzimage.h through load_kernel(): synthetic bzImages, right and wrong. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "loader/le.h"
#include "loader/load.h"
#include "tests/lib/kernel_image.h"
#include "tests/lib/said.h"

#define RAM (64u << 20)

/* splitmix64: a fixed sequence per seed. */
static uint64_t sequence(void *arg)
{
	uint64_t *s = arg, z = *s += 0x9e3779b97f4a7c15;

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
	z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
	return z ^ (z >> 31);
}

struct guest {
	struct mem mem;
	struct image img;
	uint64_t seed;
	struct load_params p;
};

static void start(struct guest *g, uint64_t ram)
{
	struct mem_range range = {0, ram};

	memset(g, 0, sizeof(*g));
	assert_int_equal(mem_create(&g->mem, &range, 1), 0);
	g->p = (struct load_params){.path = "vmlinuz", .random = sequence, .random_arg = &g->seed};
	said_clear();
}

static int load(struct guest *g, const struct kernel_bytes *b)
{
	int fd = kernel_fd(b->data, b->len);
	int r = load_kernel(fd, &g->p, &g->mem, &g->img);

	close(fd);
	return r;
}

static int load_spec(struct guest *g, const struct kernel_spec *spec)
{
	struct kernel_bytes b = kernel_bzimage(spec);
	int r = load(g, &b);

	free(b.data);
	return r;
}

/* The virtual distance that was chosen shows in a 64-bit place. */
static uint64_t distance(const struct guest *g)
{
	return le64_get(mem_at(&g->mem, g->img.start + KERNEL_ADD64_OFF, 8)) - KERNEL_ADD64_VALUE;
}

static void assert_zero(const struct mem *mem, gpa_t from, gpa_t to)
{
	const uint8_t *p;

	if (from == to)
		return;
	p = mem_at(mem, from, to - from);
	assert_non_null(p);
	assert_int_equal(p[0], 0);
	assert_memory_equal(p, p + 1, to - from - 1);
}

static void assert_loaded(struct guest *g, const struct kernel_spec *spec, uint64_t moved)
{
	uint8_t *want = kernel_expected(spec, moved);

	assert_int_equal(g->img.kind, IMAGE_LINUX64);
	assert_int_equal(g->img.end, g->img.start + KERNEL_INIT_SIZE);
	assert_int_equal(g->img.entry, g->img.start + KERNEL_ENTRY_OFF);
	assert_int_equal(g->img.start % KERNEL_ALIGN, 0);
	assert_memory_equal(mem_at(&g->mem, g->img.start, KERNEL_INIT_SIZE), want,
			    KERNEL_INIT_SIZE);
	assert_zero(&g->mem, 0, g->img.start);
	assert_zero(&g->mem, g->img.end, mem_size(&g->mem));
	free(want);
}

static void every_payload_format_is_loaded(void **state)
{
	static const enum decompress_format all[] = {
		DECOMPRESS_GZIP, DECOMPRESS_XZ,   DECOMPRESS_LZMA,  DECOMPRESS_LZ4_LEGACY,
		DECOMPRESS_LZ4,  DECOMPRESS_ZSTD, DECOMPRESS_BZIP2,
	};

	(void)state;
	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
		struct kernel_spec spec = {all[i], KERNEL_RELOCS_OLD, KERNEL_LEAD, 0};
		struct guest g;

		start(&g, RAM);
		assert_int_equal(load_spec(&g, &spec), 0);
		assert_int_equal(g.img.start, KERNEL_PREF);
		assert_int_equal(g.img.kaslr, 0);
		assert_loaded(&g, &spec, 0);
		assert_int_equal(said_count(), 0);
		mem_destroy(&g.mem);
	}
}

static void a_lead_that_is_not_2_mib_is_loaded(void **state)
{
	static const uint32_t leads[] = {0x1000, 0x1f0000, 0x1ff000, 0x201000, 0x400000};

	(void)state;
	for (size_t i = 0; i < sizeof(leads) / sizeof(leads[0]); i++) {
		struct kernel_spec spec = {DECOMPRESS_LZ4_LEGACY, KERNEL_RELOCS_NEW, leads[i], 0};
		struct guest g;

		start(&g, RAM);
		g.p.mode = IMAGE_DIRECT;
		g.p.kaslr = 1;
		assert_int_equal(load_spec(&g, &spec), 0);
		assert_int_equal(g.img.kaslr, 1);
		assert_loaded(&g, &spec, distance(&g));
		mem_destroy(&g.mem);
	}
}

static void kaslr_moves_by_either_form_of_table(void **state)
{
	(void)state;
	for (int form = KERNEL_RELOCS_NEW; form <= KERNEL_RELOCS_OLD; form++) {
		struct kernel_spec spec = {DECOMPRESS_ZSTD, form, KERNEL_LEAD, 0};
		struct kernel_bytes b = kernel_bzimage(&spec);
		uint64_t seen_bases = 0, seen_distances = 0;

		for (uint64_t seed = 0; seed < 12; seed++) {
			struct guest g;
			uint64_t d;

			start(&g, RAM);
			g.seed = seed;
			g.p.kaslr = 1;
			assert_int_equal(load(&g, &b), 0);
			d = distance(&g);
			assert_int_equal(g.img.kaslr, 1);
			assert_int_equal(d % KERNEL_ALIGN, 0);
			assert_true(KERNEL_PREF + d + KERNEL_INIT_SIZE <= 1u << 30);
			assert_true(g.img.start >= KERNEL_PREF && g.img.end <= RAM);
			assert_loaded(&g, &spec, d);
			seen_bases |= 1ull << (g.img.start / KERNEL_ALIGN % 64);
			seen_distances |= 1ull << (d / KERNEL_ALIGN % 64);
			mem_destroy(&g.mem);
		}
		assert_true(__builtin_popcountll(seen_bases) > 4);
		assert_true(__builtin_popcountll(seen_distances) > 4);
		free(b.data);
	}
}

static void a_kernel_without_a_table_keeps_its_virtual_address(void **state)
{
	struct kernel_spec spec = {DECOMPRESS_GZIP, KERNEL_RELOCS_NONE, KERNEL_LEAD, 0};
	struct guest g;

	(void)state;
	start(&g, RAM);
	g.p.kaslr = 1;
	assert_int_equal(load_spec(&g, &spec), 0);
	assert_int_equal(g.img.kaslr, 0);
	assert_loaded(&g, &spec, 0);
	mem_destroy(&g.mem);
}

static void kaslr_leaves_room_for_the_initrd(void **state)
{
	struct kernel_spec spec = {DECOMPRESS_LZ4_LEGACY, KERNEL_RELOCS_NEW, KERNEL_LEAD, 0};
	struct kernel_bytes b = kernel_bzimage(&spec);
	uint64_t room = RAM - KERNEL_PREF - KERNEL_INIT_SIZE;

	(void)state;
	for (uint64_t seed = 0; seed < 8; seed++) {
		struct guest g;

		start(&g, RAM);
		g.seed = seed;
		g.p.kaslr = 1;
		g.p.initrd_len = room - KERNEL_ALIGN - 1;
		assert_int_equal(load(&g, &b), 0);
		assert_true(g.img.end + g.p.initrd_len <= RAM);
		mem_destroy(&g.mem);

		start(&g, RAM);
		g.seed = seed;
		g.p.kaslr = 1;
		g.p.initrd_len = seed % 2 ? room + 1 : UINT64_MAX; /* no base has room for that */
		assert_int_equal(load(&g, &b), 0);
		assert_int_equal(g.img.start, KERNEL_PREF);
		assert_int_equal(g.img.kaslr, 1);
		mem_destroy(&g.mem);
	}
	free(b.data);
}

static void a_kernel_that_is_not_relocatable_stays(void **state)
{
	struct kernel_spec spec = {DECOMPRESS_LZ4_LEGACY, KERNEL_RELOCS_NONE, KERNEL_LEAD, 0};
	struct kernel_bytes b = kernel_bzimage(&spec);
	struct guest g;

	(void)state;
	b.data[0x234] = 0;
	start(&g, RAM);
	g.p.kaslr = 1;
	assert_int_equal(load(&g, &b), 0);
	assert_int_equal(g.img.start, KERNEL_PREF);
	assert_int_equal(g.img.kaslr, 0);
	assert_loaded(&g, &spec, 0);
	mem_destroy(&g.mem);
	free(b.data);
}

static void bzimage_mode_leaves_it_to_the_guest(void **state)
{
	struct kernel_spec spec = {DECOMPRESS_XZ, KERNEL_RELOCS_OLD, KERNEL_LEAD, 0};
	struct kernel_bytes b = kernel_bzimage(&spec);
	size_t code = 512 * (b.data[0x1f1] + 1u);
	struct guest g;

	(void)state;
	start(&g, RAM);
	g.p.mode = IMAGE_BZIMAGE;
	g.p.kaslr = 1;
	assert_int_equal(load(&g, &b), 0);
	assert_int_equal(g.img.kind, IMAGE_LINUX64);
	assert_int_equal(g.img.start, KERNEL_PREF);
	assert_int_equal(g.img.end, KERNEL_PREF + KERNEL_INIT_SIZE);
	assert_int_equal(g.img.entry, KERNEL_PREF + 0x200);
	assert_int_equal(g.img.kaslr, 0);
	assert_memory_equal(mem_at(&g.mem, KERNEL_PREF, b.len - code), b.data + code, b.len - code);
	assert_zero(&g.mem, KERNEL_PREF + b.len - code, RAM);
	mem_destroy(&g.mem);
	free(b.data);
}

/* boot.rst: the header ends at 0x202 plus the byte at 0x201. */
static void the_setup_header_is_handed_on(void **state)
{
	struct kernel_spec spec = {DECOMPRESS_LZ4_LEGACY, KERNEL_RELOCS_NONE, KERNEL_LEAD, 0};
	struct kernel_bytes b = kernel_bzimage(&spec);
	struct guest g;

	(void)state;
	start(&g, RAM);
	assert_int_equal(load(&g, &b), 0);
	assert_int_equal(g.img.setup_len, 0x202 + 0x6a - 0x1f1);
	assert_memory_equal(g.img.setup, b.data + 0x1f1, g.img.setup_len);
	assert_int_equal(g.img.cmdline_max, KERNEL_CMDLINE);
	assert_true(g.img.initrd_max == 0xffffffff); /* XLF_CAN_BE_LOADED_ABOVE_4G */
	b.data[0x201] = 0xff;
	b.data[0x236] = 1;
	assert_int_equal(load(&g, &b), 0);
	assert_int_equal(g.img.setup_len, IMAGE_SETUP_HEADER_MAX);
	assert_true(g.img.initrd_max == 0x7fffffff);
	mem_destroy(&g.mem);
	free(b.data);
}

static void wrong_setup_headers_are_named(void **state)
{
	static const struct {
		unsigned off, len;
		uint64_t value;
		const char *sentence;
	} cases[] = {
		{0x206, 2, 0x20b, "boot protocol 2.11"},
		{0x206, 2, 0x200, "boot protocol 2.00"},
		{0x211, 1, 0, "zImage"},
		{0x236, 2, 0x7e, "32-bit kernel"},
		{0x1f4, 4, 0, "syssize"},
		{0x1f4, 4, 0xffffffff, "cut short"},
		{0x1f1, 1, 0xff, "cut short"},
		{0x248, 4, 0xffffffff, "payload_length"},
		{0x24c, 4, 0xffffffff, "payload_length"},
		{0x230, 4, 0x300000, "kernel_alignment"},
		{0x230, 4, 0x80000000, "kernel_alignment"},
		{0x258, 8, 0, "pref_address"},
		{0x258, 8, 0x1000001, "pref_address"},
		{0x258, 8, 0xffffffffffe00000, "pref_address"},
		{0x258, 8, 0xc0000000, "more memory"},
		{0x260, 4, 0, "init_size"},
		{0x260, 4, 0xffffffff, "more memory"},
		{0x260, 4, 0x40000, "init_size"},
		{0x238, 4, 0, "cmdline_size"},
	};
	struct kernel_spec spec = {DECOMPRESS_LZ4_LEGACY, KERNEL_RELOCS_NEW, KERNEL_LEAD, 0};
	struct kernel_bytes good = kernel_bzimage(&spec);
	struct guest g;

	(void)state;
	start(&g, RAM);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		uint8_t saved[8], value[8];

		le64_put(value, cases[i].value);
		memcpy(saved, good.data + cases[i].off, 8);
		memcpy(good.data + cases[i].off, value, cases[i].len);
		for (int mode = IMAGE_AUTO; mode <= IMAGE_BZIMAGE; mode++) {
			said_clear();
			g.p.mode = mode;
			g.p.kaslr = 1;
			/* How far it unpacks is found out only by unpacking. */
			if (cases[i].value == 0x40000 && mode == IMAGE_BZIMAGE)
				continue;
			assert_true(load(&g, &good) < 0);
			assert_int_equal(said_count(), 1);
			assert_non_null(strstr(said(), "kernel vmlinuz: "));
			assert_non_null(strstr(said(), cases[i].sentence));
		}
		memcpy(good.data + cases[i].off, saved, 8);
	}
	mem_destroy(&g.mem);
	free(good.data);
}

static void too_little_ram_is_named(void **state)
{
	struct kernel_spec spec = {DECOMPRESS_LZ4_LEGACY, KERNEL_RELOCS_NEW, KERNEL_LEAD, 0};
	static const unsigned mib[] = {1, 16, 23};

	(void)state;
	for (size_t i = 0; i < 3; i++) {
		struct guest g;

		start(&g, mib[i] << 20);
		g.p.kaslr = 1;
		assert_int_equal(load_spec(&g, &spec), -EINVAL);
		assert_non_null(strstr(said(), "needs 24 MiB of RAM to start"));
		mem_destroy(&g.mem);
	}
}

static void it_fits_into_ram_that_ends_with_it(void **state)
{
	struct kernel_spec spec = {DECOMPRESS_LZ4_LEGACY, KERNEL_RELOCS_NEW, 0x1000, 0};
	struct guest g;

	(void)state;
	start(&g, 24 << 20);
	g.p.kaslr = 1;
	assert_int_equal(load_spec(&g, &spec), 0);
	assert_int_equal(g.img.start, KERNEL_PREF);
	assert_loaded(&g, &spec, distance(&g));
	mem_destroy(&g.mem);
}

/* No room below the base: the file is unpacked where it shall lie. */
static void it_fits_into_ram_that_starts_with_it(void **state)
{
	struct kernel_spec spec = {DECOMPRESS_LZ4_LEGACY, KERNEL_RELOCS_OLD, KERNEL_LEAD, 0};
	struct mem_range ranges[] = {{0, 1 << 20}, {KERNEL_PREF, KERNEL_INIT_SIZE}};
	uint8_t *want = kernel_expected(&spec, 0);
	struct guest g;

	(void)state;
	start(&g, RAM);
	mem_destroy(&g.mem);
	assert_int_equal(mem_create(&g.mem, ranges, 2), 0);
	assert_int_equal(load_spec(&g, &spec), 0);
	assert_memory_equal(mem_at(&g.mem, KERNEL_PREF, KERNEL_INIT_SIZE), want, KERNEL_INIT_SIZE);
	mem_destroy(&g.mem);
	free(want);
}

static void cut_anywhere_it_is_refused(void **state)
{
	struct kernel_spec spec = {DECOMPRESS_LZ4_LEGACY, KERNEL_RELOCS_NEW, KERNEL_LEAD, 0};
	struct kernel_bytes good = kernel_bzimage(&spec);
	struct guest g;

	(void)state;
	start(&g, RAM);
	for (size_t len = 1; len < good.len; len += len < 1024 ? 61 : 4096) {
		struct kernel_bytes cut = {good.data, len};

		for (int mode = IMAGE_AUTO; mode <= IMAGE_BZIMAGE; mode++) {
			said_clear();
			g.p.mode = mode;
			assert_true(load(&g, &cut) < 0);
			assert_int_equal(said_count(), 1);
		}
	}
	mem_destroy(&g.mem);
	free(good.data);
}

/* gzip and xz check a sum: damage is named. LZ4 does not: there memory must stay safe. */
static void a_damaged_payload_is_named_or_harmless(void **state)
{
	static const enum decompress_format formats[] = {DECOMPRESS_GZIP, DECOMPRESS_XZ,
							 DECOMPRESS_LZ4_LEGACY};
	const struct mem_range range = {0, RAM};

	(void)state;
	for (size_t f = 0; f < 3; f++) {
		struct kernel_spec spec = {formats[f], KERNEL_RELOCS_OLD, 0x1000, 0};
		struct kernel_bytes b = kernel_bzimage(&spec);
		size_t payload = 512 * (b.data[0x1f1] + 1u) + le32_get(b.data + 0x248);
		size_t end = payload + le32_get(b.data + 0x24c);
		struct guest g;

		start(&g, RAM);
		g.p.mode = IMAGE_DIRECT;
		g.p.kaslr = 1;
		for (size_t at = payload + 20; at < end; at += (end - payload) / 40) {
			int r;

			said_clear();
			b.data[at] ^= 0x10;
			r = load(&g, &b);
			b.data[at] ^= 0x10;
			if (formats[f] == DECOMPRESS_LZ4_LEGACY)
				continue;
			if (r == 0) { /* the same zeros, told another way */
				assert_loaded(&g, &spec, distance(&g));
				mem_destroy(&g.mem);
				assert_int_equal(mem_create(&g.mem, &range, 1), 0);
				continue;
			}
			assert_int_equal(said_count(), 1);
			assert_zero(&g.mem, 0, RAM);
		}
		mem_destroy(&g.mem);
		free(b.data);
	}
}

/* Loads a bzImage around an ELF file in which one field was overwritten. */
static int load_patched(struct guest *g, size_t off, unsigned len, uint64_t value)
{
	struct kernel_spec spec = {0, KERNEL_RELOCS_OLD, KERNEL_LEAD, 0};
	struct kernel_bytes elf = kernel_elf_relocs(&spec), b;
	uint8_t bytes[8];
	int r;

	le64_put(bytes, value);
	memcpy(elf.data + off, bytes, len);
	b = kernel_bzimage_of(DECOMPRESS_LZ4_LEGACY, elf.data, elf.len);
	r = load(g, &b);
	free(elf.data);
	free(b.data);
	return r;
}

#define PHDR(n, field) (64 + (n)*56 + (field))
#define SHDR           (KERNEL_LEAD + 0x48000)
#define P_OFFSET       8
#define P_PADDR        24
#define P_FILESZ       32
#define P_MEMSZ        40

static void a_hostile_elf_inside_is_refused(void **state)
{
	static const struct {
		size_t off;
		unsigned len;
		uint64_t value;
		int err; /* -ENOTSUP: the guest might still unpack it */
		const char *sentence;
	} cases[] = {
		{0, 4, 0x464c457e, -EBADMSG, "not an ELF"},
		{4, 1, 1, -EBADMSG, "32-bit ELF"},
		{18, 2, 183, -EBADMSG, "arm64"},
		{24, 8, 0, -EBADMSG, "ELF entry"},
		{24, 8, KERNEL_PREF + 0x18000, -EBADMSG, "ELF entry"},
		{32, 8, UINT64_MAX - 8, -EBADMSG, "outside the file"},
		{40, 8, UINT64_MAX - 8, -EBADMSG, "section headers outside"},
		{56, 2, 0, -EBADMSG, "no ELF program headers"},
		{56, 2, 65, -EBADMSG, "more than 64"},
		{PHDR(0, P_OFFSET), 8, UINT64_MAX, -EBADMSG, "outside the file"},
		{PHDR(0, P_PADDR), 8, 0, -EBADMSG, "outside its init_size"},
		{PHDR(0, P_PADDR), 8, UINT64_MAX - 8, -EBADMSG, "wraps"},
		{PHDR(3, P_PADDR), 8, KERNEL_PREF + KERNEL_INIT_SIZE - 8, -EBADMSG,
		 "outside its init_size"},
		{PHDR(3, P_MEMSZ), 8, KERNEL_INIT_SIZE, -EBADMSG, "outside its init_size"},
		{PHDR(1, P_FILESZ), 8, 0x8001, -EBADMSG, "larger in the file"},
		{PHDR(1, P_PADDR), 8, KERNEL_PREF, -EBADMSG, "overlap in memory"},
		{PHDR(0, P_PADDR), 8, KERNEL_PREF + 0x100000, -ENOTSUP, "unusual order"},
		{PHDR(1, P_OFFSET), 8, KERNEL_LEAD + 0x10000, -ENOTSUP, "overwrite each other"},
		{SHDR + 24, 8, UINT64_MAX - 8, -EBADMSG, "ELF section outside"},
		{SHDR + 32, 8, UINT64_MAX - 8, -EBADMSG, "ELF section outside"},
		{58, 2, 32, -EBADMSG, "section headers of a strange size"},
		{PHDR(3, P_PADDR), 8, KERNEL_PREF + 0x48000, -ENOTSUP, "overwrite its end"},
		{SHDR + 64, 4, 5, -ENOTSUP, "relocation table"},
		{SHDR + 68, 4, 5, -EBADMSG, "relocation outside"},
		{SHDR + 68, 4, 0x81037ffd, -EBADMSG, "relocation outside"},
	};
	struct guest g;

	(void)state;
	start(&g, RAM);
	g.p.kaslr = 1;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		g.p.mode = IMAGE_DIRECT;
		said_clear();
		assert_int_equal(load_patched(&g, cases[i].off, cases[i].len, cases[i].value),
				 cases[i].err);
		assert_int_equal(said_count(), 1);
		assert_non_null(strstr(said(), cases[i].sentence));

		g.p.mode = IMAGE_AUTO;
		said_clear();
		assert_int_equal(load_patched(&g, cases[i].off, cases[i].len, cases[i].value),
				 cases[i].err == -ENOTSUP ? 0 : cases[i].err);
		assert_int_equal(said_count(), 1);
		if (cases[i].err == -ENOTSUP) {
			assert_non_null(strstr(said(), "the guest unpacks it"));
			assert_int_equal(g.img.entry, KERNEL_PREF + 0x200);
			assert_zero(&g.mem, 0, KERNEL_PREF);
		}
	}
	mem_destroy(&g.mem);
}

static void a_format_that_is_unknown_is_left_to_the_guest(void **state)
{
	static const uint8_t payload[4096] = {0x89, 'L', 'Z', 'O', 0};
	struct kernel_bytes b = kernel_bzimage_around(payload, sizeof(payload));
	struct guest g;

	(void)state;
	start(&g, RAM);
	assert_int_equal(load(&g, &b), 0);
	assert_int_equal(g.img.entry, KERNEL_PREF + 0x200);
	assert_int_equal(said_count(), 1);
	g.p.mode = IMAGE_DIRECT;
	assert_int_equal(load(&g, &b), -ENOTSUP);
	assert_non_null(strstr(said(), "use mode bzimage"));
	mem_destroy(&g.mem);
	free(b.data);
}

static void a_payload_larger_than_it_says_is_corrupt(void **state)
{
	struct kernel_spec spec = {DECOMPRESS_ZSTD, KERNEL_RELOCS_OLD, 0x1000, 0};
	struct kernel_bytes b = kernel_bzimage(&spec);
	size_t trailer = 512 * (b.data[0x1f1] + 1u) + le32_get(b.data + 0x248) +
			 le32_get(b.data + 0x24c) - 4;
	uint32_t right = le32_get(b.data + trailer);
	const uint32_t wrong[] = {0, 1, right - 1, right + 1, KERNEL_INIT_SIZE + 1, UINT32_MAX};
	struct guest g;

	(void)state;
	start(&g, RAM);
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		le32_put(b.data + trailer, wrong[i]);
		assert_int_equal(load(&g, &b), -EBADMSG);
		assert_zero(&g.mem, 0, RAM);
	}
	mem_destroy(&g.mem);
	free(b.data);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_payload_format_is_loaded),
		cmocka_unit_test(a_lead_that_is_not_2_mib_is_loaded),
		cmocka_unit_test(kaslr_moves_by_either_form_of_table),
		cmocka_unit_test(a_kernel_without_a_table_keeps_its_virtual_address),
		cmocka_unit_test(kaslr_leaves_room_for_the_initrd),
		cmocka_unit_test(a_kernel_that_is_not_relocatable_stays),
		cmocka_unit_test(bzimage_mode_leaves_it_to_the_guest),
		cmocka_unit_test(the_setup_header_is_handed_on),
		cmocka_unit_test(wrong_setup_headers_are_named),
		cmocka_unit_test(too_little_ram_is_named),
		cmocka_unit_test(it_fits_into_ram_that_ends_with_it),
		cmocka_unit_test(it_fits_into_ram_that_starts_with_it),
		cmocka_unit_test(cut_anywhere_it_is_refused),
		cmocka_unit_test(a_damaged_payload_is_named_or_harmless),
		cmocka_unit_test(a_hostile_elf_inside_is_refused),
		cmocka_unit_test(a_format_that_is_unknown_is_left_to_the_guest),
		cmocka_unit_test(a_payload_larger_than_it_says_is_corrupt),
	};

	said_start();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
