/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Looks at a machine that is about to start the way an experienced person would. Runs at start-up,
 * on the main thread, before guest memory is made. Changes nothing.
 *
 * What is sure to fail is an error; what may be meant is a warning.
 */
#include "vmm/preflight.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

#include "loader/arm64.h"
#include "loader/bzimage.h"
#include "loader/cmdline.h"
#include "loader/decompress.h"
#include "loader/le.h"
#include "vmm/log.h"

#define MIB             (1ull << 20)
#define HEAD_LEN        1024
#define SETUP_INIT_SIZE 0x260 /* boot.rst: memory the kernel needs until it knows its own */
#define ZBOOT_PAYLOAD   8
#define ZBOOT_LEN       12
#define KERNEL_NEEDS    (32 * MIB) /* to get as far as to unpack an initrd, its own image aside */
#define UNPACKED_TIMES  3          /* what an initrd unpacks to, as a rule of thumb */

/* --- drivers --------------------------------------------------------------------------------- */

/* The file system that root= leads to, or NULL. */
static const struct image_boot_part *root_part(const struct preflight *p);

static int check_driver(const struct preflight *p, enum image_boot_driver which, const char *name,
			const char *what)
{
	char how = p->image->driver[which];

	if (how == 'n')
		return log_fail(-EINVAL,
				"preflight: %s: is built without %s and cannot reach %s: give "
				"another --kernel",
				p->kernel, name, what);
	if (how == 'm' && p->initrd_fd < 0)
		return log_fail(-EINVAL,
				"preflight: %s: has %s as a module, which an initrd has to load "
				"before %s can be reached: give --initrd",
				p->kernel, name, what);
	return 0;
}

static int check_drivers(const struct preflight *p)
{
	const struct image_boot_part *root = p->image ? root_part(p) : NULL;
	int r = 0;

	if (!p->image)
		return 0;
	r |= check_driver(p, IMAGE_BOOT_VIRTIO_PCI, "virtio_pci", "its disk");
	r |= check_driver(p, IMAGE_BOOT_VIRTIO_BLK, "virtio_blk", "its disk");
	if (root && !strncmp(root->type, "ext", 3))
		r |= check_driver(p, IMAGE_BOOT_EXT4, "ext4", "the root file system");
	else if (root && !strcmp(root->type, "btrfs"))
		r |= check_driver(p, IMAGE_BOOT_BTRFS, "btrfs", "the root file system");
	else if (root && !strcmp(root->type, "xfs"))
		r |= check_driver(p, IMAGE_BOOT_XFS, "xfs", "the root file system");
	return r ? -EINVAL : 0;
}

/* --- root= ----------------------------------------------------------------------------------- */

enum root_by { BY_NOTHING, BY_LABEL, BY_UUID, BY_PARTUUID, BY_PARTLABEL, BY_NUMBER };

struct root {
	enum root_by by;
	char value[256]; /* what comes after the prefix */
	char word[256];  /* all of it */
};

static void read_root(const char *cmdline, struct root *root)
{
	static const struct {
		const char *prefix;
		enum root_by by;
	} ways[] = {
		{"LABEL=", BY_LABEL},
		{"UUID=", BY_UUID},
		{"PARTUUID=", BY_PARTUUID},
		{"PARTLABEL=", BY_PARTLABEL},
		{"/dev/disk/by-label/", BY_LABEL},
		{"/dev/disk/by-uuid/", BY_UUID},
		{"/dev/disk/by-partuuid/", BY_PARTUUID},
		{"/dev/disk/by-partlabel/", BY_PARTLABEL},
		{"/dev/vda", BY_NUMBER},
	};
	size_t len;
	const char *value = cmdline_value(cmdline, "root", &len);

	*root = (struct root){0};
	if (!value || len >= sizeof(root->word))
		return;
	memcpy(root->word, value, len);
	for (unsigned i = 0; i < sizeof(ways) / sizeof(ways[0]) && !root->by; i++) {
		size_t n = strlen(ways[i].prefix);

		if (strncmp(root->word, ways[i].prefix, n) != 0)
			continue;
		root->by = ways[i].by;
		memcpy(root->value, root->word + n, len - n + 1);
	}
	/* The start of a quoted word, or an offset from a partition: not followed here. */
	if (strpbrk(root->value, root->by == BY_LABEL ? "\"\\" : "/\"\\"))
		root->by = BY_NOTHING;
}

static int answers(const struct image_boot_part *part, const struct root *root)
{
	char number[16] = "";

	switch (root->by) {
	case BY_LABEL:
		return !strcmp(part->label, root->value);
	case BY_UUID:
		return part->uuid[0] && !strcasecmp(part->uuid, root->value);
	case BY_PARTUUID:
		return part->partuuid[0] && !strcasecmp(part->partuuid, root->value);
	case BY_PARTLABEL:
		return !strcmp(part->name, root->value);
	case BY_NUMBER:
		if (part->number)
			snprintf(number, sizeof(number), "%u", part->number);
		return !strcmp(number, root->value);
	case BY_NOTHING:
		break;
	}
	return 0;
}

static const struct image_boot_part *root_part(const struct preflight *p)
{
	struct root root;

	read_root(p->cmdline, &root);
	for (unsigned i = 0; i < p->image->n_parts; i++)
		if (root.by && answers(&p->image->part[i], &root))
			return &p->image->part[i];
	return NULL;
}

/* `1 ext4 LABEL=x UUID=..., 15 vfat ...` */
static void list_parts(const struct image_boot *image, char *out, size_t size)
{
	size_t n = 0;

	snprintf(out, size, "no partition");
	for (unsigned i = 0; i < image->n_parts && n < size; i++) {
		const struct image_boot_part *part = &image->part[i];

		n += (size_t)snprintf(out + n, size - n, "%s%u %s%s%s%s%s%s%s", i ? ", " : "",
				      part->number, part->type[0] ? part->type : "unknown",
				      part->label[0] ? " LABEL=" : "", part->label,
				      part->uuid[0] ? " UUID=" : "", part->uuid,
				      part->partuuid[0] ? " PARTUUID=" : "", part->partuuid);
	}
}

/* Other file systems may be inside. */
static int has_container(const struct image_boot *image)
{
	for (unsigned i = 0; i < image->n_parts; i++)
		if (!strcmp(image->part[i].type, "LVM2_member") ||
		    !strcmp(image->part[i].type, "crypto_LUKS"))
			return 1;
	return 0;
}

static int check_root(const struct preflight *p)
{
	char parts[700];
	struct root root;

	read_root(p->cmdline, &root);
	if ((root.by == BY_LABEL || root.by == BY_UUID) && p->initrd_fd < 0)
		return log_fail(-EINVAL,
				"preflight: root=%s: only an initrd can find a root by that: give "
				"--initrd, or root=PARTUUID=... or root=/dev/vdaN",
				root.word);
	if (!p->image)
		return 0;
	if (!root.word[0]) {
		log_line(LOG_WARN, "preflight: the command line has no root=: the guest may not "
				   "find its root file system; give --append root=...");
		return 0;
	}
	if (!root.by || root_part(p))
		return 0;
	list_parts(p->image, parts, sizeof(parts));
	if (p->more_disks || has_container(p->image)) {
		log_line(LOG_WARN,
			 "preflight: root=%s: not among the partitions that were looked at: %s",
			 root.word, parts);
		return 0;
	}
	return log_fail(-EINVAL,
			"preflight: root=%s: no partition of the image answers to that: there is "
			"%s: give one of these with --append root=...",
			root.word, parts);
}

/* --- console= -------------------------------------------------------------------------------- */

static int is_console(const char *value, size_t len, const char *name)
{
	size_t n = strlen(name);

	return len >= n && !memcmp(value, name, n) && (len == n || value[n] == ',');
}

static void check_console(const struct preflight *p)
{
	const char *serial = p->arch == IMAGE_ARCH_ARM64 ? "ttyAMA0" : "ttyS0";
	int in_quotes = 0;

	for (const char *c = p->cmdline; *c; c++) {
		size_t len = strcspn(c, " \t\n");

		if (*c == '"')
			in_quotes = !in_quotes;
		if (in_quotes || (c > p->cmdline && c[-1] != ' ' && c[-1] != '\t') ||
		    strncmp(c, "console=", 8) != 0)
			continue;
		if (is_console(c + 8, len - 8, serial) || is_console(c + 8, len - 8, "hvc0"))
			return;
	}
	log_line(LOG_WARN,
		 "preflight: no console= of the command line reaches %s or hvc0: the guest will "
		 "say nothing here; give --append console=%s",
		 serial, serial);
}

/* --- the kernel and memory ------------------------------------------------------------------- */

static uint64_t size_of(int fd)
{
	struct stat st;

	return fd >= 0 && !fstat(fd, &st) && st.st_size > 0 ? (uint64_t)st.st_size : 0;
}

/* The payload of a zboot image, or the whole file. */
static int check_arm64(const struct preflight *p, const uint8_t *head, size_t len)
{
	enum decompress_format packed = decompress_probe(head, len);
	uint8_t payload[64];
	ssize_t n;

	if (arm64_probe(head, len))
		return 0;
	if (arm64_probe_zboot(head, len)) {
		n = pread(p->kernel_fd, payload, sizeof(payload),
			  (off_t)le32_get(head + ZBOOT_PAYLOAD));
		packed = n > 0 ? decompress_probe(payload, (size_t)n) : DECOMPRESS_UNKNOWN;
		if (packed == DECOMPRESS_UNKNOWN)
			return log_fail(-EINVAL,
					"preflight: %s: is an EFI program with a kernel that is "
					"compressed in a way not known here: unpack it and give "
					"--kernel",
					p->kernel);
	}
	if (packed == DECOMPRESS_LZO)
		return log_fail(-EINVAL,
				"preflight: %s: is compressed with %s, which is not unpacked here: "
				"unpack it and give --kernel",
				p->kernel, decompress_name(packed));
	return 0;
}

/* RAM that the kernel takes before it looks at anything else; a guess where it is compressed. */
static uint64_t kernel_bytes(const struct preflight *p, const uint8_t *head, size_t len)
{
	uint64_t file = size_of(p->kernel_fd);

	if (p->arch == IMAGE_ARCH_X86_64 && bzimage_probe(head, len) && len >= SETUP_INIT_SIZE + 4)
		return le32_get(head + SETUP_INIT_SIZE);
	if (p->arch == IMAGE_ARCH_ARM64 && arm64_probe(head, len))
		return le64_get(head + 16);
	return file;
}

static int check_memory(const struct preflight *p, const uint8_t *head, size_t len)
{
	uint64_t kernel = kernel_bytes(p, head, len), initrd = size_of(p->initrd_fd);
	uint64_t least = kernel + initrd + KERNEL_NEEDS;
	uint64_t likely = least + UNPACKED_TIMES * initrd;

	/* A header that says more than any kernel has is the loader's to refuse. */
	if (kernel > 1024 * MIB)
		return 0;
	if (p->memory < least)
		return log_fail(-EINVAL,
				"preflight: %s%s%s needs at least %llu MiB to start, and the "
				"guest has %llu MiB: give --memory %lluM",
				p->kernel, p->initrd_fd >= 0 ? " with " : "",
				p->initrd_fd >= 0 ? p->initrd : "",
				(unsigned long long)(least / MIB + 1),
				(unsigned long long)(p->memory / MIB),
				(unsigned long long)(likely / MIB + 1));
	if (p->memory < likely)
		log_line(LOG_WARN,
			 "preflight: %llu MiB of memory may be too little to unpack the initrd of "
			 "%llu MiB: the guest would stop with a panic; give --memory %lluM",
			 (unsigned long long)(p->memory / MIB), (unsigned long long)(initrd / MIB),
			 (unsigned long long)(likely / MIB + 1));
	return 0;
}

int preflight_check(const struct preflight *p)
{
	uint8_t head[HEAD_LEN];
	ssize_t len = pread(p->kernel_fd, head, sizeof(head), 0);
	int r = 0;

	if (len < 0)
		len = 0; /* the loader says so */
	r |= check_drivers(p);
	r |= check_root(p);
	if (p->arch == IMAGE_ARCH_ARM64)
		r |= check_arm64(p, head, (size_t)len);
	r |= check_memory(p, head, (size_t)len);
	check_console(p);
	return r ? -EINVAL : 0;
}
