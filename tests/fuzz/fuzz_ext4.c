/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The whole search for what a disk boots, over disks that are almost right: mke2fs and sgdisk make
 * two small ones with kernels, links, directories and configurations, and the input changes bytes
 * of what is not empty in them. Without checksums in the file system most changes are followed.
 *
 *   byte 0: which disk, and whether it is judged where its image ends
 *   then    records: a cell that is not empty (2 bytes), a place in it, what is done there, a byte
 *
 * Whatever comes of it: it ends, with an error or with files no longer than they may be; and a disk
 * that was not changed gives what it has.
 */
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "loader/image/find.h"
#include "tests/lib/image_rig.h"

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

#define CELL     32u
#define FILE_MAX (4u << 20) /* longer ones are not copied */
#define BUDGET   (16u << 20)

struct base {
	uint8_t *bytes;
	size_t len;
	uint32_t *cell; /* those that are not empty, by number */
	size_t n;
};

static struct base base[2];
static uint8_t *disk;
static struct found *found;
static int out = -1;

static void insist(int ok, const char *what)
{
	if (ok)
		return;
	fprintf(stderr, "fuzz_ext4: %s\n", what);
	abort();
}

static void submit(struct blk *blk, struct blk_req *req)
{
	uint64_t at = req->off;

	insist(req->op == BLK_READ && req->off <= blk->size && req->len <= blk->size - req->off,
	       "a read outside the disk");
	for (unsigned i = 0; i < req->n; i++) {
		memcpy(req->v[i].iov_base, disk + at, req->v[i].iov_len);
		at += req->v[i].iov_len;
	}
	req->done(req, 0);
}

static void load(const char *name, struct base *b)
{
	static const uint8_t empty[CELL];
	int fd = open(image_rig_path(name), O_RDONLY | O_CLOEXEC);
	off_t size = lseek(fd, 0, SEEK_END);

	insist(fd >= 0 && size > 0, "no image");
	b->len = (size_t)size;
	b->bytes = malloc(b->len);
	b->cell = malloc(b->len / CELL * sizeof(*b->cell));
	insist(b->bytes && b->cell && pread(fd, b->bytes, b->len, 0) == size, "no image");
	close(fd);
	for (size_t i = 0; i < b->len / CELL; i++)
		if (memcmp(b->bytes + i * CELL, empty, CELL) != 0)
			b->cell[b->n++] = (uint32_t)i;
}

/* Small: 1 KiB blocks, a kernel of a few, one that needs a tree of extents, links of both kinds. */
static void make_files(void)
{
	image_rig_text("d/boot/vmlinuz-6.1", "a kernel");
	image_rig_bytes("d/boot/initrd.img-6.1", 2, 3000);
	image_rig_text("d/boot/config-6.1", "CONFIG_VIRTIO_PCI=y\nCONFIG_VIRTIO_BLK=m\n");
	image_rig_link("d/vmlinuz", "boot/vmlinuz-6.1");
	image_rig_link("d/initrd.img", "/boot/../boot/./initrd.img-6.1");
	image_rig_text("d/etc/os-release", "PRETTY_NAME=\"x\"\n");
	image_rig_text("d/boot/grub/grubenv", "saved_entry=b\nkernelopts=quiet\n");
	image_rig_text("d/boot/grub/grub.cfg",
		       "set default=\"${saved_entry}\"\nmenuentry 'a' --id a {\n"
		       " linux /boot/none x\n}\nsubmenu b {\n menuentry c {\n"
		       "  linux /boot/vmlinuz-6.1 root=LABEL=r ro $kernelopts \"a b\"\n"
		       "  initrd /boot/initrd.img-6.1\n }\n}\n");
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	(void)argc;
	(void)argv;
	insist(image_rig_is_there(), "mke2fs and sgdisk are needed");
	image_rig_up();
	make_files();
	image_rig_ext("fs", "d", 1, "ext4", "r", NULL, "^metadata_csum,^has_journal,^resize_inode");
	image_rig_disk("disk", 2, (const char *const[]){"-a", "64", "-n", "1:64:2200", NULL});
	image_rig_put("disk", 64, "fs");
	load("disk", &base[0]);
	/* Whole-disk, block maps, boot loader entries and extlinux in place of GRUB. */
	unlink(image_rig_path("d/boot/grub/grub.cfg"));
	image_rig_text("d/loader/entries/a.conf", "title a\nlinux /gone\n");
	image_rig_text("d/boot/loader/entries/b.conf",
		       "version 1\nlinux /gone\ninitrd /x\noptions $kernelopts\n");
	image_rig_text("d/boot/extlinux.conf",
		       "default b\nlabel b\nlinux vmlinuz-6.1\ninitrd initrd.img-6.1\nappend x\n");
	image_rig_ext("whole", "d", 1, "ext3", "r", NULL, "^has_journal,^resize_inode");
	load("whole", &base[1]);
	image_rig_down();
	found = malloc(sizeof(*found));
	disk = malloc(base[0].len > base[1].len ? base[0].len : base[1].len);
	out = memfd_create("out", MFD_CLOEXEC);
	insist(found && disk && out >= 0, "no memory");
	return 0;
}

static void change(const struct base *b, const uint8_t *data, size_t len)
{
	for (; len >= 5; data += 5, len -= 5) {
		size_t cell = b->cell[(data[0] | (size_t)data[1] << 8) % b->n];
		uint8_t *at = disk + cell * CELL + data[2] % CELL;

		switch (data[3] & 3) {
		case 0:
			*at = data[4];
			break;
		case 1:
			*at ^= (uint8_t)(1u << (data[4] & 7));
			break;
		case 2:
			*at = (uint8_t)(*at + data[4]);
			break;
		case 3:
			memset(at, data[4], CELL - data[2] % CELL);
			break;
		}
	}
}

static int copy(const struct found_file *f)
{
	struct stat st;
	int r;

	if (f->file.size > FILE_MAX)
		return -1;
	r = ext4_copy(f->in->fs, &f->file, out, 0);
	insist(fstat(out, &st) == 0 && (uint64_t)st.st_size <= f->file.size,
	       "more than the file has");
	insist(ftruncate(out, 0) == 0, "truncate");
	return r;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	static const struct blk_ops ops = {.submit = submit};
	const struct base *b = &base[len && data[0] & 1];
	struct blk blk = {.ops = &ops, .size = b->len};
	uint64_t size = len && data[0] & 2 ? b->len : 0;
	struct reader reader = {.blk = &blk, .budget = BUDGET};
	int r;

	memcpy(disk, b->bytes, b->len);
	if (len > 1)
		change(b, data + 1, len - 1);
	r = find_boot(&reader, size, found);
	insist(r != 0 || !size || found->reach <= size, "more than the image has");
	insist(len >= 6 || r == 0, "a disk that is right is not read");
	if (r == 0) {
		r = copy(&found->kernel);
		for (unsigned i = 0; i < found->n_initrds; i++)
			r |= copy(&found->initrd[i]);
		insist(len >= 6 || r == 0, "files that are right are not read");
	}
	found_free(found);
	return 0;
}
