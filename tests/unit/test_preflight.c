/* SPDX-License-Identifier: BSD-2-Clause */
/* What is said before a guest starts that would hang: a table of machines, and what each is told.
 */
#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "tests/lib/cases.h"
#include "vmm/log.h"
#include "vmm/preflight.h"

#define MIB  (1ull << 20)
#define UUID "6e4ffcfa-6d4c-4a6f-8f21-1b5b3c3d4e5f"
#define PART "0aa1bb2c-3dd4-4ee5-8ff6-a7a8b9c0d1e2"
#define OK   "root=LABEL=cloudimg-rootfs ro console=tty1 console=ttyS0"

static char errors[4096], warnings[4096];
static unsigned n_errors, n_warnings;

static void hear(void *arg, enum log_level level, const char *line)
{
	char *to = level == LOG_ERROR ? errors : warnings;

	(void)arg;
	*(level == LOG_ERROR ? &n_errors : &n_warnings) += 1;
	strncat(to, line, sizeof(errors) - strlen(to) - 2);
	strncat(to, "\n", 2);
}

/* A file in memory of @size bytes that begins with @head. */
static int file_of(const void *head, size_t len, uint64_t size)
{
	int fd = memfd_create("f", MFD_CLOEXEC);

	if (fd < 0 || ftruncate(fd, (off_t)size) || pwrite(fd, head, len, 0) != (ssize_t)len)
		return -1;
	return fd;
}

/* A bzImage that needs @mib MiB. */
static int bzimage(uint32_t mib)
{
	uint8_t head[1024] = {0};
	uint32_t size = mib << 20;

	head[0x1fe] = 0x55;
	head[0x1ff] = 0xaa;
	memcpy(head + 0x202, "HdrS", 4);
	head[0x206] = 0x0f;
	head[0x207] = 0x02;
	memcpy(head + 0x260, &size, 4);
	return file_of(head, sizeof(head), 8 * MIB);
}

static struct image_boot image;

static void make_image(const char *drivers)
{
	image = (struct image_boot){.n_parts = 3};
	memcpy(image.driver, drivers, IMAGE_BOOT_DRIVERS);
	image.part[0] = (struct image_boot_part){.number = 1,
						 .type = "ext4",
						 .label = "cloudimg-rootfs",
						 .uuid = UUID,
						 .partuuid = PART,
						 .name = "root"};
	image.part[1] = (struct image_boot_part){.number = 15, .type = "vfat", .uuid = "1234-ABCD"};
	image.part[2] = (struct image_boot_part){.number = 14};
}

enum { HAS_INITRD = 1, NO_IMAGE = 2, MORE_DISKS = 4, ARM64 = 8, LVM = 16, BTRFS = 32 };

static const struct {
	const char *cmdline, *drivers;
	unsigned flags, mib;
	const char *error, *warning; /* words in it; NULL: there is none */
} cases[] = {
	{OK, "mmmmymm", HAS_INITRD, 512, NULL, NULL},
	{OK, "???????", HAS_INITRD, 512, NULL, NULL},
	/* Without an initrd. */
	{"root=/dev/vda1 console=ttyS0", "yyyyymm", 0, 512, NULL, NULL},
	{"root=/dev/vda1 console=ttyS0", "myyyymm", 0, 512, "virtio_pci as a module", NULL},
	{"root=/dev/vda1 console=ttyS0", "ymyyymm", 0, 512, "virtio_blk as a module", NULL},
	{"root=/dev/vda1 console=ttyS0", "yyyymmm", 0, 512, "ext4 as a module", NULL},
	{"root=/dev/vda1 console=ttyS0", "yyyyymm", BTRFS, 512, "btrfs as a module", NULL},
	{"root=/dev/vda1 console=ttyS0", "yyyyyyn", BTRFS, 512, NULL, NULL},
	{"root=/dev/vda1 console=ttyS0", "ynyyymm", HAS_INITRD, 512, "built without virtio_blk",
	 NULL},
	{OK, "yyyyymm", 0, 512, "only an initrd can find", NULL},
	{"root=UUID=" UUID " console=ttyS0", "yyyyymm", 0, 512, "only an initrd can find", NULL},
	{"root=PARTUUID=" PART " console=ttyS0", "yyyyymm", 0, 512, NULL, NULL},
	/* What root= names. */
	{"root=UUID=" UUID " console=ttyS0", "yyyyymm", HAS_INITRD, 512, NULL, NULL},
	{"root=UUID=1234-abcd console=ttyS0", "yyyyymm", HAS_INITRD, 512, NULL, NULL},
	{"root=/dev/disk/by-uuid/" UUID " console=ttyS0", "yyyyymm", HAS_INITRD, 512, NULL, NULL},
	{"root=PARTLABEL=root console=ttyS0", "yyyyymm", HAS_INITRD, 512, NULL, NULL},
	{"root=LABEL=x root=LABEL=cloudimg-rootfs console=ttyS0", "yyyyymm", HAS_INITRD, 512, NULL,
	 NULL},
	{"root=LABEL=x console=ttyS0", "yyyyymm", HAS_INITRD, 512,
	 "root=LABEL=x: no partition of the image answers to that: there is 1 ext4 "
	 "LABEL=cloudimg-rootfs UUID=" UUID " PARTUUID=" PART
	 ", 15 vfat UUID=1234-ABCD, 14 unknown:",
	 NULL},
	{"root=UUID=" PART " console=ttyS0", "yyyyymm", HAS_INITRD, 512, "no partition", NULL},
	{"root=PARTUUID=" UUID " console=ttyS0", "yyyyymm", HAS_INITRD, 512, "no partition", NULL},
	{"root=/dev/vda2 console=ttyS0", "yyyyymm", HAS_INITRD, 512, "no partition", NULL},
	{"root=/dev/vda console=ttyS0", "yyyyymm", HAS_INITRD, 512, "no partition", NULL},
	{"root=/dev/vda15 console=ttyS0", "yyyyymm", HAS_INITRD, 512, NULL, NULL},
	{"root=/dev/vdb1 console=ttyS0", "yyyyymm", HAS_INITRD, 512, NULL, NULL},
	{"root=/dev/mapper/vg-root console=ttyS0", "yyyyymm", HAS_INITRD, 512, NULL, NULL},
	{"root=PARTUUID=" PART "/PARTNROFF=1 console=ttyS0", "yyyyymm", HAS_INITRD, 512, NULL,
	 NULL},
	{"root=UUID=x console=ttyS0", "yyyyymm", HAS_INITRD | MORE_DISKS, 512, NULL, "not among"},
	{"root=UUID=x console=ttyS0", "yyyyymm", HAS_INITRD | LVM, 512, NULL, "not among"},
	{"root=LABEL=/ console=ttyS0", "yyyyymm", HAS_INITRD, 512, "root=LABEL=/: no partition",
	 NULL},
	{"console=ttyS0", "yyyyymm", HAS_INITRD, 512, NULL, "no root="},
	{"noroot=LABEL=x console=ttyS0", "yyyyymm", HAS_INITRD, 512, NULL, "no root="},
	/* The console. */
	{"root=/dev/vda1", "yyyyymm", HAS_INITRD, 512, NULL, "ttyS0 or hvc0"},
	{"root=/dev/vda1 console=tty0", "yyyyymm", HAS_INITRD, 512, NULL, "ttyS0 or hvc0"},
	{"root=/dev/vda1 console=ttyS1", "yyyyymm", HAS_INITRD, 512, NULL, "ttyS0 or hvc0"},
	{"root=/dev/vda1 xconsole=ttyS0", "yyyyymm", HAS_INITRD, 512, NULL, "ttyS0 or hvc0"},
	{"root=/dev/vda1 x=\"a console=ttyS0\"", "yyyyymm", HAS_INITRD, 512, NULL, "ttyS0 or hvc0"},
	{"console=ttyS0,115200n8 root=/dev/vda1", "yyyyymm", HAS_INITRD, 512, NULL, NULL},
	{"root=/dev/vda1 console=hvc0 console=tty0", "yyyyymm", HAS_INITRD, 512, NULL, NULL},
	/* The kernel takes 64 MiB, the initrd 32, and what is in it. */
	{OK, "yyyyymm", HAS_INITRD, 127, "at least 129 MiB", NULL},
	{OK, "yyyyymm", HAS_INITRD, 128, NULL, "may be too little"},
	{OK, "yyyyymm", HAS_INITRD, 224, NULL, NULL},
	{"root=/dev/vda1 console=ttyS0", "yyyyymm", 0, 95, "at least 97 MiB", NULL},
	/* Without an image only what can be known. */
	{"root=LABEL=x console=ttyS0", "nnnnnnn", HAS_INITRD | NO_IMAGE, 512, NULL, NULL},
	{"console=ttyS0", "nnnnnnn", NO_IMAGE, 512, NULL, NULL},
	{"root=LABEL=x console=ttyS0", "nnnnnnn", NO_IMAGE, 512, "only an initrd", NULL},
	{"", "nnnnnnn", NO_IMAGE, 512, NULL, "ttyS0 or hvc0"},
	{"", "nnnnnnn", NO_IMAGE, 32, "at least", "ttyS0 or hvc0"},
};

static int check(const struct preflight *p)
{
	errors[0] = warnings[0] = '\0';
	n_errors = n_warnings = 0;
	return preflight_check(p);
}

static void test_machines(void **state)
{
	int kernel = bzimage(64), initrd = file_of("070701", 6, 32 * MIB);

	(void)state;
	for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		unsigned flags = cases[i].flags;
		struct preflight p = {
			.image = flags & NO_IMAGE ? NULL : &image,
			.more_disks = !!(flags & MORE_DISKS),
			.memory = cases[i].mib * MIB,
			.cmdline = cases[i].cmdline,
			.kernel = "vmlinuz",
			.kernel_fd = kernel,
			.initrd = "initrd.img",
			.initrd_fd = flags & HAS_INITRD ? initrd : -1,
		};
		int r;

		case_begin("%u: %s, drivers %s, flags %u", i, cases[i].cmdline, cases[i].drivers,
			   flags);
		make_image(cases[i].drivers);
		if (flags & LVM)
			memcpy(image.part[2].type, "LVM2_member", 12);
		if (flags & BTRFS)
			memcpy(image.part[0].type, "btrfs", 6);
		r = check(&p);
		if (r != (cases[i].error ? -EINVAL : 0) || n_errors != (cases[i].error != NULL) ||
		    n_warnings != (cases[i].warning != NULL))
			fail_msg("%s: %d, errors: %s, warnings: %s", case_name(), r, errors,
				 warnings);
		CHECK(!cases[i].error || strstr(errors, cases[i].error));
		CHECK(!cases[i].warning || strstr(warnings, cases[i].warning));
	}
	close(kernel);
	close(initrd);
}

/* All of it is said at once. */
static void test_everything_is_said(void **state)
{
	int kernel = bzimage(64);
	struct preflight p = {.image = &image,
			      .memory = 32 * MIB,
			      .cmdline = "root=LABEL=none",
			      .kernel = "vmlinuz",
			      .kernel_fd = kernel,
			      .initrd_fd = -1};

	(void)state;
	make_image("mmmmmmm");
	assert_int_equal(check(&p), -EINVAL);
	assert_int_equal(n_errors, 4);
	assert_int_equal(n_warnings, 1);
	close(kernel);
}

static int arm64_file(const char *payload)
{
	uint8_t head[128] = {0};

	memcpy(head, "MZ\0\0zimg", 8);
	head[8] = 100;
	head[12] = 28;
	memcpy(head + 100, payload, 8);
	return file_of(head, sizeof(head), sizeof(head));
}

static int arm64_check(int kernel)
{
	struct preflight p = {.arch = IMAGE_ARCH_ARM64,
			      .memory = 512 * MIB,
			      .cmdline = "console=ttyAMA0",
			      .kernel = "vmlinuz",
			      .kernel_fd = kernel,
			      .initrd_fd = -1};
	int r = check(&p);

	close(kernel);
	return r;
}

static void test_arm64_kernels(void **state)
{
	uint8_t raw[64] = {0};

	(void)state;
	memcpy(raw + 56, "ARM\x64", 4);
	raw[18] = 0x80; /* image_size: 8 MiB */
	assert_int_equal(arm64_check(file_of(raw, 64, 64)), 0);
	raw[19] = 0x3f; /* 1016 MiB, in a guest of 512 */
	assert_int_equal(arm64_check(file_of(raw, 64, 64)), -EINVAL);
	assert_int_equal(arm64_check(arm64_file("\x1f\x8b\x08\0\0\0\0\0")), 0);
	assert_int_equal(arm64_check(arm64_file("\x28\xb5\x2f\xfd\0\0\0\0")), 0);
	assert_int_equal(n_warnings, 0);
	assert_int_equal(arm64_check(arm64_file("\x89LZO\0\r\n\x1a")), -EINVAL);
	assert_non_null(strstr(errors, "LZO"));
	assert_int_equal(arm64_check(arm64_file("nonsense")), -EINVAL);
	assert_int_equal(arm64_check(file_of("\x89LZO\0\r\n\x1a", 8, 64)), -EINVAL);
	assert_int_equal(arm64_check(file_of("\x1f\x8b\x08", 3, 64)), 0);
	/* Its serial port has another name. */
	assert_int_equal(check(&(struct preflight){.arch = IMAGE_ARCH_ARM64,
						   .memory = 512 * MIB,
						   .cmdline = "console=ttyS0",
						   .kernel = "x",
						   .kernel_fd = -1,
						   .initrd_fd = -1}),
			 0);
	assert_non_null(strstr(warnings, "ttyAMA0"));
}

static int group_up(void **state)
{
	(void)state;
	log_set_sink(hear, NULL);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_machines),
		cmocka_unit_test(test_everything_is_said),
		cmocka_unit_test(test_arm64_kernels),
	};

	return cases_report(cmocka_run_group_tests(tests, group_up, NULL));
}
