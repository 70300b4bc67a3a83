/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The search for what a disk boots, over disks laid out as distributions publish theirs: made by
 * sgdisk and mke2fs, with files of noise for kernels. Skipped where the tools are not.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "loader/image/find.h"
#include "tests/lib/cases.h"
#include "tests/lib/image_rig.h"

#define ROOT_UUID "6e4ffcfa-6d4c-4a6f-8f21-1b5b3c3d4e5f"
#define ROOT_PART "0aa1bb2c-3dd4-4ee5-8ff6-a7a8b9c0d1e2"
#define KERNEL    300001u
#define INITRD    500003u

static struct reader reader;
static struct found *found;

static int up(void **state)
{
	(void)state;
	image_rig_up();
	found = calloc(1, sizeof(*found));
	return found ? 0 : -1;
}

static void close_disk(void)
{
	found_free(found);
	if (reader.blk)
		reader.blk->ops->close(reader.blk);
	reader.blk = NULL;
}

static int down(void **state)
{
	(void)state;
	close_disk();
	free(found);
	image_rig_down();
	return 0;
}

static int search_image(const char *name, uint64_t image_size)
{
	int fd = open(image_rig_path(name), O_RDONLY | O_CLOEXEC);

	assert_int_equal(reader_open_chain(&(struct reader_file){fd, name, 0}, 1, &reader.blk), 0);
	reader.budget = 64 << 20;
	return find_boot(&reader, image_size, found);
}

static int search(const char *name)
{
	return search_image(name, 0);
}

/* The bytes that image_rig_bytes() made with @seed. */
static void assert_bytes(const struct found_file *f, uint32_t seed, size_t size)
{
	int fd = memfd_create("copy", MFD_CLOEXEC);
	uint8_t *got = malloc(size);

	assert_int_equal(f->file.size, size);
	assert_int_equal(ext4_copy(f->in->fs, &f->file, fd, 0), 0);
	assert_int_equal(pread(fd, got, size, 0), size);
	for (size_t i = 0; i < size; i++) {
		seed = seed * 1664525 + 1013904223;
		assert_int_equal(got[i], seed >> 24);
	}
	free(got);
	close(fd);
}

static void assert_found(const char *kernel, const char *initrd, const char *cmdline,
			 const char *from)
{
	assert_string_equal(found->kernel.file.path, kernel);
	assert_int_equal(found->n_initrds, initrd ? 1 : 0);
	if (initrd)
		assert_string_equal(found->initrd[0].file.path, initrd);
	assert_string_equal(found->cmdline, cmdline);
	assert_string_equal(found->from, from);
	assert_bytes(&found->kernel, 1, KERNEL);
	if (initrd)
		assert_bytes(&found->initrd[0], 2, INITRD);
}

static const struct found_part *part(unsigned number)
{
	for (unsigned i = 0; i < found->n; i++)
		if (found->part[i].part.number == number)
			return &found->part[i];
	fail_msg("no partition %u", number);
	return NULL;
}

/* --- Ubuntu and Debian ----------------------------------------------------------------------- */

#define V "6.8.0-45-generic"

/* Kernel files of one version, and the links to them, in directory @dir. */
static void put_kernel(const char *dir, const char *version, uint32_t seed)
{
	char name[256];

	snprintf(name, sizeof(name), "%s/vmlinuz-%s", dir, version);
	image_rig_bytes(name, seed, KERNEL);
	snprintf(name, sizeof(name), "%s/initrd.img-%s", dir, version);
	image_rig_bytes(name, seed + 1, INITRD);
	snprintf(name, sizeof(name), "%s/config-%s", dir, version);
	image_rig_text(name, "CONFIG_64BIT=y\nCONFIG_VIRTIO_PCI=y\nCONFIG_VIRTIO_BLK=m\n"
			     "# CONFIG_VIRTIO_NET is not set\nCONFIG_EXT4_FS=y\n");
}

/* grub.cfg as update-grub writes it: the newest first, and all in a submenu. */
static void put_grub(const char *name, const char *prefix, const char *args)
{
	char text[2048];

	snprintf(
		text, sizeof(text),
		"if [ \"${next_entry}\" ] ; then\n set default=\"${next_entry}\"\nelse\n"
		" set default=\"0\"\nfi\n"
		"menuentry 'Ubuntu' --class ubuntu $menuentry_id_option 'gnulinux-simple' {\n"
		"\tgfxmode $linux_gfx_mode\n\tsearch --no-floppy --fs-uuid --set=root x\n"
		"\tlinux\t%s/vmlinuz-" V " %s\n\tinitrd\t%s/initrd.img-" V "\n}\n"
		"submenu 'Advanced options' {\n\tmenuentry 'old' {\n"
		"\t\tlinux\t%s/vmlinuz-6.8.0-44-generic %s\n\t\tinitrd\t%s/initrd.img-6.8.0-44-generic\n"
		"\t}\n}\nmenuentry 'UEFI Firmware Settings' {\n\tfwsetup\n}\n",
		prefix, args, prefix, prefix, args, prefix);
	image_rig_text(name, text);
}

#define UBUNTU_ARGS "root=LABEL=cloudimg-rootfs ro  console=tty1 console=ttyS0"
#define UBUNTU_LINE "root=LABEL=cloudimg-rootfs ro console=tty1 console=ttyS0"

static void test_ubuntu_2204(void **state)
{
	static const char *const words[] = {
		"-n",      "14:2048:+4M", "-t",    "14:ef02", "-n",           "15:0:+8M", "-t",
		"15:ef00", "-n",          "1:0:0", "-u",      "1:" ROOT_PART, NULL};

	(void)state;
	put_kernel("r/boot", V, 1);
	put_kernel("r/boot", "6.8.0-44-generic", 9);
	image_rig_link("r/boot/vmlinuz", "vmlinuz-" V);
	image_rig_link("r/boot/initrd.img", "initrd.img-" V);
	put_grub("r/boot/grub/grub.cfg", "/boot", UBUNTU_ARGS);
	image_rig_text("r/usr/lib/os-release",
		       "NAME=\"Ubuntu\"\nPRETTY_NAME=\"Ubuntu 22.04.5 LTS\"\n");
	image_rig_link("r/etc/os-release", "../usr/lib/os-release");
	image_rig_ext("root", "r", 24, "ext4", "cloudimg-rootfs", ROOT_UUID, NULL);
	image_rig_disk("disk", 48, words);
	image_rig_put("disk", 28672 - 2048, "root");
	assert_int_equal(search("disk"), 0);
	assert_found("/boot/vmlinuz-" V, "/boot/initrd.img-" V, UBUNTU_LINE, "/boot/grub/grub.cfg");
	assert_string_equal(found->os, "Ubuntu 22.04.5 LTS");
	assert_int_equal(found->n, 3);
	assert_string_equal(part(1)->mark.type, "ext4");
	assert_string_equal(part(1)->mark.label, "cloudimg-rootfs");
	assert_string_equal(part(1)->mark.uuid, ROOT_UUID);
	assert_string_equal(part(1)->part.partuuid, ROOT_PART);
	assert_memory_equal(found->driver, "ymnnynn", FOUND_DRIVERS);
}

/* /boot is a partition of its own: number 16 in 24.04, 13 since 24.10. */
static void ubuntu_with_boot(const char *number)
{
	char place[32];
	const char *const words[] = {"-n",  "14:2048:+4M", "-n",    "15:0:+8M", "-n",
				     place, "-n",          "1:0:0", NULL};

	snprintf(place, sizeof(place), "%s:0:+16M", number);
	put_kernel("b", V, 1);
	put_kernel("b", "6.8.0-44-generic", 9);
	image_rig_link("b/vmlinuz", "vmlinuz-" V);
	image_rig_link("b/initrd.img", "initrd.img-" V);
	put_grub("b/grub/grub.cfg", "", UBUNTU_ARGS);
	image_rig_text("r/etc/os-release", "PRETTY_NAME='Ubuntu 24.04 LTS'\n");
	image_rig_text("r/boot/.keep", "");
	image_rig_ext("boot", "b", 16, "ext4", "BOOT", NULL, NULL);
	image_rig_ext("root", "r", 8, "ext4", "cloudimg-rootfs", NULL, NULL);
	image_rig_disk("disk", 48, words);
	image_rig_put("disk", 26624, "boot");
	image_rig_put("disk", 26624 + 32768, "root");
	assert_int_equal(search("disk"), 0);
	assert_found("/vmlinuz-" V, "/initrd.img-" V, UBUNTU_LINE, "/grub/grub.cfg");
	assert_string_equal(found->os, "Ubuntu 24.04 LTS");
	assert_int_equal(found->n, 4);
	assert_string_equal(part((unsigned)atoi(number))->mark.label, "BOOT");
	assert_memory_equal(found->driver, "ymnnynn", FOUND_DRIVERS);
}

static void test_ubuntu_2404(void **state)
{
	(void)state;
	ubuntu_with_boot("16");
}

static void test_ubuntu_2410(void **state)
{
	(void)state;
	ubuntu_with_boot("13");
}

/* No label; all that identifies the root is in grub.cfg. With a copy of the table at the end only.
 */
static void test_debian_12_with_a_damaged_table(void **state)
{
	static const char *const words[] = {"-n",          "14:2048:+3M",  "-n",
					    "15:8192:+8M", "-n",           "1:0:0",
					    "-u",          "1:" ROOT_PART, NULL};

	(void)state;
	put_kernel("r/boot", V, 1);
	put_grub("r/boot/grub/grub.cfg", "/boot",
		 "root=PARTUUID=" ROOT_PART " ro console=tty0 console=ttyS0,115200 "
		 "earlyprintk=ttyS0,115200 consoleblank=0");
	image_rig_text("r/etc/os-release", "PRETTY_NAME=\"Debian GNU/Linux 12 (bookworm)\"\n");
	image_rig_ext("root", "r", 24, "ext4", "", ROOT_UUID, NULL);
	image_rig_disk("disk", 48, words);
	image_rig_put("disk", 8192 + 16384, "root");
	image_rig_poke("disk", 512 + 60, "x", 1);
	assert_int_equal(search("disk"), 0);
	assert_true(found->table_from_backup);
	assert_found("/boot/vmlinuz-" V, "/boot/initrd.img-" V,
		     "root=PARTUUID=" ROOT_PART " ro console=tty0 console=ttyS0,115200 "
		     "earlyprintk=ttyS0,115200 consoleblank=0",
		     "/boot/grub/grub.cfg");
}

/* --- Fedora and Alpine ----------------------------------------------------------------------- */

static void put_bls(const char *name, const char *version, const char *title)
{
	char text[1024];

	snprintf(text, sizeof(text),
		 "title %s\nversion %s\nlinux /vmlinuz-%s\ninitrd /initramfs-%s.img $tuned_initrd\n"
		 "options root=UUID=" ROOT_UUID " rootflags=subvol=root $kernelopts\n"
		 "grub_class fedora\n",
		 title, version, version, version);
	image_rig_text(name, text);
}

static void put_fedora(const char *saved)
{
	static const char *const words[] = {"-n",       "1:2048:+2M", "-n",    "2:0:+8M", "-n",
					    "3:0:+16M", "-n",         "4:0:0", NULL};
	char env[256];

	image_rig_bytes("b/vmlinuz-6.17.1", 1, KERNEL);
	image_rig_bytes("b/initramfs-6.17.1.img", 2, INITRD);
	image_rig_bytes("b/vmlinuz-6.9.9", 1, KERNEL);
	image_rig_bytes("b/initramfs-6.9.9.img", 2, INITRD);
	image_rig_bytes("b/vmlinuz-0-rescue-4f", 8, 1000);
	image_rig_bytes("b/initramfs-0-rescue-4f.img", 8, 1000);
	put_bls("b/loader/entries/4f-6.9.9.conf", "6.9.9", "Fedora Linux (6.9.9)");
	put_bls("b/loader/entries/4f-6.17.1.conf", "6.17.1", "Fedora Linux (6.17.1) 43");
	put_bls("b/loader/entries/4f-0-rescue.conf", "0-rescue-4f", "Fedora Linux (rescue)");
	/* One whose kernel is gone is not taken, however new. */
	put_bls("b/loader/entries/4f-9.conf", "9", "Fedora of the future");
	image_rig_text("b/grub2/grub.cfg", "set default=\"${saved_entry}\"\ninsmod blscfg\nblscfg\n"
					   "menuentry 'UEFI Firmware Settings' {\n\tfwsetup\n}\n");
	snprintf(env, sizeof(env),
		 "# GRUB Environment Block\nsaved_entry=%s\nkernelopts=console=ttyS0,115200n8\n###",
		 saved);
	image_rig_text("b/grub2/grubenv", env);
	image_rig_ext("boot", "b", 16, "ext4", "", NULL, NULL);
	image_rig_disk("disk", 64, words);
	image_rig_put("disk", 2048 + 4096 + 16384, "boot");
	/* A btrfs, as far as anyone can tell. */
	image_rig_poke("disk", (2048ull + 4096 + 16384 + 32768) * 512 + 65600, "_BHRfS_M", 8);
}

#define FEDORA_LINE "root=UUID=" ROOT_UUID " rootflags=subvol=root console=ttyS0,115200n8"

static void test_fedora(void **state)
{
	(void)state;
	put_fedora("");
	assert_int_equal(search("disk"), 0);
	assert_found("/vmlinuz-6.17.1", "/initramfs-6.17.1.img", FEDORA_LINE,
		     "/loader/entries/4f-6.17.1.conf");
	/* Its root is not read; the entry's title says what it is. */
	assert_string_equal(found->os, "Fedora Linux (6.17.1) 43");
	assert_string_equal(part(4)->mark.type, "btrfs");
	assert_int_equal(found->driver[0], '?');
}

static void test_fedora_with_a_saved_entry(void **state)
{
	(void)state;
	put_fedora("4f-6.9.9");
	assert_int_equal(search("disk"), 0);
	assert_found("/vmlinuz-6.9.9", "/initramfs-6.9.9.img", FEDORA_LINE,
		     "/loader/entries/4f-6.9.9.conf");
}

/* No partitions, no versions. */
static void test_alpine(void **state)
{
	(void)state;
	image_rig_bytes("r/boot/vmlinuz-virt", 1, KERNEL);
	image_rig_bytes("r/boot/initramfs-virt", 2, INITRD);
	image_rig_text("r/boot/config-6.12.1-0-virt", "CONFIG_VIRTIO_PCI=y\nCONFIG_VIRTIO_BLK=m\n");
	image_rig_text(
		"r/boot/extlinux.conf",
		"DEFAULT menu.c32\nLABEL virt\n  MENU DEFAULT\n  LINUX vmlinuz-virt\n"
		"  INITRD initramfs-virt\n  APPEND root=LABEL=/ modules=ext4 console=ttyS0\n");
	image_rig_text("r/etc/os-release", "PRETTY_NAME=\"Alpine Linux v3.22\"\n");
	image_rig_ext("disk", "r", 16, "ext4", "/", NULL, "^64bit");
	assert_int_equal(search("disk"), 0);
	assert_found("/boot/vmlinuz-virt", "/boot/initramfs-virt",
		     "root=LABEL=/ modules=ext4 console=ttyS0", "/boot/extlinux.conf");
	assert_int_equal(found->n, 1);
	assert_int_equal(found->part[0].part.number, 0);
	assert_string_equal(found->part[0].mark.label, "/");
	assert_memory_equal(found->driver, "ymnnnnn", FOUND_DRIVERS);
}

/* --- without a configuration ----------------------------------------------------------------- */

static void put_on_mbr(void)
{
	/* One Linux partition from sector 2048 on. */
	static const uint8_t mbr[72] = {
		[0] = 0xef, [1] = 0xbe, [2] = 0xad,  [3] = 0xde,  [6] = 0x80,  [10] = 0x83,
		[14] = 0,   [15] = 8,   [19] = 0x80, [70] = 0x55, [71] = 0xaa,
	};

	image_rig_disk("disk", 20, (const char *const[]){"-o", NULL});
	image_rig_run("sgdisk", "-Z", image_rig_path("disk"), NULL);
	image_rig_poke("disk", 440, mbr, sizeof(mbr));
	image_rig_put("disk", 2048, "root");
}

static void test_links(void **state)
{
	(void)state;
	put_kernel("r/boot", V, 1);
	put_kernel("r/boot", "9.0", 7);
	image_rig_link("r/vmlinuz", "boot/vmlinuz-" V);
	image_rig_link("r/initrd.img", "boot/initrd.img-" V);
	image_rig_ext("root", "r", 16, "ext3", "my-root", ROOT_UUID, NULL);
	put_on_mbr();
	assert_int_equal(search("disk"), 0);
	assert_int_equal(found->table, PARTTABLE_MBR);
	assert_found("/boot/vmlinuz-" V, "/boot/initrd.img-" V, "root=LABEL=my-root ro", "links");
}

static void test_the_newest_by_name(void **state)
{
	(void)state;
	put_kernel("r/boot", "6.8.0-45-generic", 1);
	put_kernel("r/boot", "6.8.0-9-generic", 7);
	image_rig_bytes("r/boot/vmlinuz-0-rescue-f", 7, 100);
	image_rig_bytes("r/boot/vmlinuz-7.0.old", 7, 100);
	image_rig_link("r/boot/vmlinuz-8-leads-nowhere", "nowhere");
	image_rig_text("r/etc/os-release", "ID=x\n");
	image_rig_ext("root", "r", 16, "ext4", "a label", ROOT_UUID, NULL);
	put_on_mbr();
	assert_int_equal(search("disk"), 0);
	/* Such a label does not fit into a command line. */
	assert_found("/boot/vmlinuz-" V, "/boot/initrd.img-" V, "root=UUID=" ROOT_UUID " ro",
		     "names");
}

static void test_a_kernel_without_an_initrd(void **state)
{
	(void)state;
	image_rig_bytes("r/boot/vmlinuz-1", 1, KERNEL);
	image_rig_ext("root", "r", 16, "ext2", "label", ROOT_UUID, NULL);
	put_on_mbr();
	assert_int_equal(search("disk"), 0);
	assert_found("/boot/vmlinuz-1", NULL, "root=PARTUUID=deadbeef-01 ro", "names");
}

/* What a configuration names is gone: on with the next way. */
static void test_a_configuration_that_lies(void **state)
{
	(void)state;
	put_kernel("r/boot", V, 1);
	put_grub("r/boot/grub/grub.cfg", "/elsewhere", "root=LABEL=x");
	image_rig_text("r/extlinux.conf", "label x\nkernel /boot\ninitrd /boot/grub\n");
	image_rig_ext("root", "r", 16, "ext4", "r", NULL, NULL);
	put_on_mbr();
	assert_int_equal(search("disk"), 0);
	assert_found("/boot/vmlinuz-" V, "/boot/initrd.img-" V, "root=LABEL=r ro", "names");
}

static void test_several_initrds(void **state)
{
	(void)state;
	image_rig_bytes("r/k", 1, KERNEL);
	image_rig_bytes("r/ucode", 3, 33);
	image_rig_bytes("r/i", 2, INITRD);
	image_rig_text("r/grub/grub.cfg",
		       "menuentry x {\nlinux /k root=/dev/vda1\ninitrd /ucode /i\n}\n");
	image_rig_ext("root", "r", 16, "ext4", "r", NULL, NULL);
	put_on_mbr();
	assert_int_equal(search("disk"), 0);
	assert_int_equal(found->n_initrds, 2);
	assert_bytes(&found->initrd[0], 3, 33);
	assert_bytes(&found->initrd[1], 2, INITRD);
}

/* --- a file system over the whole disk, and a table beside it -------------------------------- */

#define TABLE 446

/* The superblock of a file system of @mib MiB that was here once. */
static void put_stale_super(unsigned mib)
{
	uint8_t super[1024];
	int fd;

	image_rig_text("old/x", "y");
	image_rig_ext("stale", "old", mib, "ext4", "stale", NULL, NULL);
	fd = open(image_rig_path("stale"), O_RDONLY | O_CLOEXEC);
	assert_int_equal(pread(fd, super, sizeof(super), 1024), sizeof(super));
	close(fd);
	image_rig_poke("disk", 1024, super, sizeof(super));
}

/* A table's one entry, from sector @first on. */
static void put_mbr_entry(uint32_t first, uint32_t n)
{
	uint8_t entry[66] = {[4] = 0x83, [64] = 0x55, [65] = 0xaa};

	memcpy(entry + 8, &first, 4);
	memcpy(entry + 12, &n, 4);
	image_rig_poke("disk", TABLE, entry, sizeof(entry));
}

static void test_a_table_over_a_stale_file_system(void **state)
{
	/* With the table of entries behind the superblock, and where that lies over it. */
	static const char *const gpt[][5] = {{"-j", "64", "-n", "1:2048:0", NULL},
					     {"-n", "1:2048:0", NULL}};

	(void)state;
	put_kernel("r/boot", V, 1);
	image_rig_ext("root", "r", 16, "ext4", "right", NULL, NULL);
	put_on_mbr();
	put_stale_super(12);
	assert_int_equal(search("disk"), 0);
	assert_int_equal(found->table, PARTTABLE_MBR);
	assert_found("/boot/vmlinuz-" V, "/boot/initrd.img-" V, "root=LABEL=right ro", "names");
	for (unsigned i = 0; i < 2; i++) {
		close_disk();
		image_rig_disk("disk", 20, gpt[i]);
		image_rig_put("disk", 2048, "root");
		put_stale_super(100);
		assert_int_equal(search("disk"), 0);
		assert_int_equal(found->table, PARTTABLE_GPT);
		assert_int_equal(found->table_from_backup, i);
		assert_string_equal(found->part[0].mark.label, "right");
	}
}

/* A disk of @mib MiB with a file system of 16 from its first sector on is looked at as such. */
static void assert_whole(unsigned mib)
{
	assert_int_equal(truncate(image_rig_path("disk"), (off_t)mib << 20), 0);
	assert_int_equal(search("disk"), 0);
	assert_int_equal(found->n, 1);
	assert_int_equal(found->part[0].part.number, 0);
	assert_found("/boot/vmlinuz-" V, "/boot/initrd.img-" V, "root=LABEL=whole ro", "names");
	close_disk();
}

static void test_a_file_system_over_a_stale_table(void **state)
{
	(void)state;
	put_kernel("r/boot", V, 1);
	image_rig_ext("disk", "r", 16, "ext4", "whole", NULL, NULL);
	assert_whole(16);
	assert_whole(64);
	/* Nothing lies in its partition: also on a disk that was made larger. */
	image_rig_ext("disk", "r", 16, "ext4", "whole", NULL, NULL);
	put_mbr_entry(30000, 2000);
	assert_whole(16);
	assert_whole(64);
	/* Or something does, but the file system is as large as the disk. */
	image_rig_ext("disk", "r", 16, "ext4", "whole", NULL, NULL);
	put_mbr_entry(30000, 2000);
	image_rig_poke("disk", 30000ull * 512 + 65600, "_BHRfS_M", 8);
	assert_whole(16);
}

/* --- an image that was cut short, under a disk that is larger -------------------------------- */

/* All that `disk` needs is @bytes; without the last sector of it, it was cut short. */
static void assert_needs(const char *what, uint64_t bytes)
{
	static const struct {
		int more, r;
	} sizes[] = {{512, 0}, {0, 0}, {-512, -ENODATA}, {-(1 << 20), -ENODATA}};

	for (unsigned i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		case_begin("%s, %d bytes more than it needs", what, sizes[i].more);
		CHECK(search_image("disk", bytes + (uint64_t)(int64_t)sizes[i].more) == sizes[i].r);
		CHECK(found->reach == bytes);
		close_disk();
	}
}

static void test_images_that_were_cut_short(void **state)
{
	static const char *const copy[] = {"-n", "1:2048:+17M", NULL};

	(void)state;
	put_kernel("r/boot", V, 1);
	image_rig_ext("root", "r", 16, "ext4", "r", NULL, NULL);
	image_rig_disk("disk", 20, copy);
	image_rig_put("disk", 2048, "root");
	assert_int_equal(truncate(image_rig_path("disk"), 64 << 20), 0);
	assert_needs("the copy of a GPT", 20 << 20);
	put_on_mbr();
	assert_int_equal(truncate(image_rig_path("disk"), 64 << 20), 0);
	assert_needs("a partition", 17 << 20);
	/* It is all there, and what lies in it is longer. */
	put_mbr_entry(2048, 2048);
	assert_int_equal(search_image("disk", 16 << 20), -ENODATA);
	assert_int_equal(found->reach, 17 << 20);
	close_disk();
	image_rig_ext("disk", "r", 16, "ext4", "whole", NULL, NULL);
	assert_int_equal(truncate(image_rig_path("disk"), 64 << 20), 0);
	assert_needs("a file system", 16 << 20);
	/* Its table would be code, and reaches as far as code does. */
	put_mbr_entry(2048, 0x7fffffff);
	assert_needs("a file system with code before it", 16 << 20);
}

static void test_nothing_to_boot(void **state)
{
	static const char *const words[] = {"-n", "1:2048:+4M", "-n", "2:0:0", NULL};

	(void)state;
	image_rig_disk("disk", 16, words);
	image_rig_poke("disk", (2048ull + 8192) * 512 + 65600, "_BHRfS_M", 8);
	assert_int_equal(search("disk"), -ENOENT);
	assert_int_equal(found->n, 2);
	assert_string_equal(part(1)->mark.type, "");
	assert_string_equal(part(2)->mark.type, "btrfs");
}

static void test_no_end_to_reading(void **state)
{
	(void)state;
	put_kernel("r/boot", V, 1);
	image_rig_ext("disk", "r", 16, "ext4", "r", NULL, NULL);
	for (uint64_t budget = 0; budget < 300000; budget += 1009) {
		int fd = open(image_rig_path("disk"), O_RDONLY | O_CLOEXEC), r;

		assert_int_equal(
			reader_open_chain(&(struct reader_file){fd, "disk", 0}, 1, &reader.blk), 0);
		reader.budget = budget;
		r = find_boot(&reader, 0, found);
		if (r != 0 && r != -EDQUOT)
			fail_msg("%d with a budget of %llu", r, (unsigned long long)budget);
		close_disk();
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_ubuntu_2204, up, down),
		cmocka_unit_test_setup_teardown(test_ubuntu_2404, up, down),
		cmocka_unit_test_setup_teardown(test_ubuntu_2410, up, down),
		cmocka_unit_test_setup_teardown(test_debian_12_with_a_damaged_table, up, down),
		cmocka_unit_test_setup_teardown(test_fedora, up, down),
		cmocka_unit_test_setup_teardown(test_fedora_with_a_saved_entry, up, down),
		cmocka_unit_test_setup_teardown(test_alpine, up, down),
		cmocka_unit_test_setup_teardown(test_links, up, down),
		cmocka_unit_test_setup_teardown(test_the_newest_by_name, up, down),
		cmocka_unit_test_setup_teardown(test_a_kernel_without_an_initrd, up, down),
		cmocka_unit_test_setup_teardown(test_a_configuration_that_lies, up, down),
		cmocka_unit_test_setup_teardown(test_several_initrds, up, down),
		cmocka_unit_test_setup_teardown(test_a_table_over_a_stale_file_system, up, down),
		cmocka_unit_test_setup_teardown(test_a_file_system_over_a_stale_table, up, down),
		cmocka_unit_test_setup_teardown(test_images_that_were_cut_short, up, down),
		cmocka_unit_test_setup_teardown(test_nothing_to_boot, up, down),
		cmocka_unit_test_setup_teardown(test_no_end_to_reading, up, down),
	};

	if (!image_rig_is_there())
		return 77;
	return cases_report(cmocka_run_group_tests(tests, NULL, NULL));
}
