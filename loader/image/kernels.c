/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What can be told from the names of files: kernels and initrds that no configuration speaks of,
 * the configuration that a kernel was built with, the name of the system. On the only thread of
 * skiff-image.
 */
#include "loader/image/kernels.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define OS_RELEASE_MAX    65536u
#define KERNEL_CONFIG_MAX (2u << 20)

const char *const found_driver_name[FOUND_DRIVERS] = {
	"VIRTIO_PCI", "VIRTIO_BLK", "VIRTIO_NET", "VIRTIO_CONSOLE", "EXT4_FS", "BTRFS_FS", "XFS_FS",
};

/* --- the name of the system ------------------------------------------------------------------ */

/* The value of @key in lines of KEY="value", without its quotes. 1 if it is there. */
static int value_of(const char *text, const char *key, char *out, size_t size)
{
	size_t key_len = strlen(key);

	for (; *text; text += strcspn(text, "\n"), text += *text == '\n') {
		const char *value = text + key_len;
		size_t len;

		if (strncmp(text, key, key_len) != 0)
			continue;
		if (*value == '"' || *value == '\'') {
			char quote[] = {*value++, '\n', '\0'};

			len = strcspn(value, quote);
		} else {
			len = strcspn(value, "\n");
		}
		len = len < size ? len : size - 1;
		memcpy(out, value, len);
		out[len] = '\0';
		return 1;
	}
	return 0;
}

static char *os_release(const struct found_part *p)
{
	int err;
	char *text = ext4_read_text(p->fs, "/etc/os-release", OS_RELEASE_MAX, &err);

	return text ? text : ext4_read_text(p->fs, "/usr/lib/os-release", OS_RELEASE_MAX, &err);
}

void kernels_read_os(struct found *f)
{
	for (unsigned i = 0; i < f->n && !f->os[0]; i++) {
		char *text = f->part[i].fs ? os_release(&f->part[i]) : NULL;

		if (text)
			value_of(text, "PRETTY_NAME=", f->os, sizeof(f->os));
		free(text);
	}
}

/* --- the command line ------------------------------------------------------------------------ */

/* The one with a system in it, else the largest that Linux may have its root on. */
static const struct found_part *root_part(const struct found *f)
{
	static const char *const types[] = {"ext2",  "ext3", "ext4", "xfs",
					    "btrfs", "f2fs", "erofs"};
	const struct found_part *best = NULL;

	for (unsigned i = 0; i < f->n; i++) {
		const struct found_part *p = &f->part[i];
		char *text = p->fs ? os_release(p) : NULL;
		int has_system = text != NULL;

		free(text);
		if (has_system)
			return p;
		for (unsigned k = 0; k < sizeof(types) / sizeof(types[0]); k++)
			if (!strcmp(p->mark.type, types[k]) &&
			    (!best || p->part.len > best->part.len))
				best = p;
	}
	return best;
}

static int label_is_usable(const struct found *f, const char *label)
{
	unsigned n = 0;

	for (unsigned i = 0; i < f->n; i++)
		n += !strcmp(f->part[i].mark.label, label);
	return *label && n == 1 && !label[strcspn(label, " \t\"\\?")];
}

/* LABEL= and UUID= are understood by an initrd alone, PARTUUID= by the kernel, too. */
static void make_cmdline(struct found *f)
{
	const struct found_part *root = root_part(f);
	size_t size = sizeof(f->cmdline);

	f->cmdline[0] = '\0';
	if (!root)
		return;
	if (!f->n_initrds && root->part.partuuid[0])
		snprintf(f->cmdline, size, "root=PARTUUID=%s ro", root->part.partuuid);
	else if (!f->n_initrds) /* %.0u: nothing at all for the whole disk's 0 */
		snprintf(f->cmdline, size, "root=/dev/vda%.0u ro", root->part.number);
	else if (label_is_usable(f, root->mark.label))
		snprintf(f->cmdline, size, "root=LABEL=%s ro", root->mark.label);
	else if (root->mark.uuid[0])
		snprintf(f->cmdline, size, "root=UUID=%s ro", root->mark.uuid);
}

/* --- kernels --------------------------------------------------------------------------------- */

static void take(struct found *f, const struct found_part *p, const struct ext4_file *kernel,
		 const struct ext4_file *initrd, const char *from)
{
	f->kernel = (struct found_file){p, *kernel};
	f->n_initrds = initrd != NULL;
	if (initrd)
		f->initrd[0] = (struct found_file){p, *initrd};
	text_cut(f->from, sizeof(f->from), from);
	make_cmdline(f);
}

static int try_links(struct found *f, const struct found_part *p)
{
	static const char *const places[][2] = {
		{"/vmlinuz", "/initrd.img"},
		{"/boot/vmlinuz", "/boot/initrd.img"},
	};
	struct ext4_file kernel, initrd;

	for (unsigned i = 0; i < 2; i++) {
		if (ext4_find(p->fs, places[i][0], &kernel) == 0 &&
		    ext4_find(p->fs, places[i][1], &initrd) == 0) {
			take(f, p, &kernel, &initrd, "links");
			return 0;
		}
	}
	return -ENOENT;
}

/* "" if the name is no kernel's. */
static const char *version_of(const char *name)
{
	static const char *const begins[] = {"vmlinuz-", "vmlinux-", "Image-", "kernel-"};

	for (unsigned i = 0; i < sizeof(begins) / sizeof(begins[0]); i++)
		if (!strncmp(name, begins[i], strlen(begins[i])))
			return name + strlen(begins[i]);
	return "";
}

struct newest {
	const struct found_part *p;
	const char *dir;
	char name[ENTRY_PATH];
	struct ext4_file file;
};

static int keep_newest(void *arg, const char *name)
{
	struct newest *best = arg;
	const char *version = version_of(name);
	char path[2 * ENTRY_PATH];
	size_t len = strlen(version);
	struct ext4_file file;

	/* What Debian and Fedora keep for bad days is no candidate. */
	if (!len || !strncmp(version, "0-rescue", 8) ||
	    (len > 4 && !strcmp(version + len - 4, ".old")))
		return 0;
	if (best->name[0] && version_compare(version, version_of(best->name)) <= 0)
		return 0;
	snprintf(path, sizeof(path), "%s/%s", best->dir, name);
	if (ext4_find(best->p->fs, path, &file) < 0)
		return 0;
	text_cut(best->name, sizeof(best->name), name);
	best->file = file;
	return 0;
}

/* The initrd of a version, under the names that distributions give it. */
static int find_initrd(const struct found_part *p, const char *dir, const char *version,
		       struct ext4_file *out)
{
	static const char *const patterns[][2] = {
		{"initrd.img-", ""}, {"initramfs-", ".img"}, {"initramfs-", ""},
		{"initrd-", ""},     {"initrd-", ".img"},
	};
	char path[2 * ENTRY_PATH + 32];

	for (unsigned i = 0; i < sizeof(patterns) / sizeof(patterns[0]); i++) {
		snprintf(path, sizeof(path), "%s/%s%s%s", dir, patterns[i][0], version,
			 patterns[i][1]);
		if (ext4_find(p->fs, path, out) == 0)
			return 0;
	}
	return -ENOENT;
}

static int try_names(struct found *f, const struct found_part *p)
{
	static const char *const dirs[] = {"/boot", ""};
	struct ext4_file initrd;

	for (unsigned i = 0; i < 2; i++) {
		struct newest best = {.p = p, .dir = dirs[i]};
		int r = ext4_list(p->fs, dirs[i][0] ? dirs[i] : "/", keep_newest, &best);

		if (r < 0 || !best.name[0])
			continue;
		r = find_initrd(p, dirs[i], version_of(best.name), &initrd);
		take(f, p, &best.file, r == 0 ? &initrd : NULL, "names");
		return 0;
	}
	return -ENOENT;
}

int kernels_without_configuration(struct found *f)
{
	for (unsigned i = 0; i < f->n; i++)
		if (f->part[i].fs && try_links(f, &f->part[i]) == 0)
			return 0;
	for (unsigned i = 0; i < f->n; i++)
		if (f->part[i].fs && try_names(f, &f->part[i]) == 0)
			return 0;
	return -ENOENT;
}

/* --- its configuration ----------------------------------------------------------------------- */

struct only {
	char name[ENTRY_PATH];
	unsigned n;
};

static int count_configs(void *arg, const char *name)
{
	struct only *only = arg;

	if (strncmp(name, "config-", 7) != 0)
		return 0;
	text_cut(only->name, sizeof(only->name), name);
	return ++only->n > 1;
}

/* config-VERSION beside the kernel; Alpine's kernel has no version, and one configuration. */
static char *kernel_config(const struct found_part *p, const char *kernel)
{
	const char *name = strrchr(kernel, '/');
	int dir = name ? (int)(name - kernel) : 0, err;
	char path[2 * ENTRY_PATH + 16];
	struct only only = {0};
	char *text;

	name = name ? name + 1 : kernel;
	snprintf(path, sizeof(path), "%.*s/config-%s", dir, kernel, version_of(name));
	text = ext4_read_text(p->fs, path, KERNEL_CONFIG_MAX, &err);
	if (text)
		return text;
	snprintf(path, sizeof(path), "%.*s/", dir, kernel);
	if (ext4_list(p->fs, path, count_configs, &only) < 0 || only.n != 1)
		return NULL;
	snprintf(path, sizeof(path), "%.*s/%s", dir, kernel, only.name);
	return ext4_read_text(p->fs, path, KERNEL_CONFIG_MAX, &err);
}

void kernels_read_drivers(struct found *f)
{
	char *text = kernel_config(f->kernel.in, f->kernel.file.path);

	for (unsigned i = 0; text && i < FOUND_DRIVERS; i++) {
		char key[48], value[8] = "n";

		snprintf(key, sizeof(key), "CONFIG_%s=", found_driver_name[i]);
		value_of(text, key, value, sizeof(value));
		f->driver[i] = value[0] == 'y' || value[0] == 'm' ? value[0] : 'n';
	}
	free(text);
}
