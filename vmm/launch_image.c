/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Finds the image that a machine is started from. Main thread, at the start. Knows the store and
 * files; fetching is skiff-image's.
 */
#include "vmm/launch_image.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "devices/block/qcow2.h"
#include "loader/image_store.h"
#include "vmm/companion.h"
#include "vmm/log.h"

static int pull(const char *name)
{
	char program[PATH_MAX];
	char *argv[] = {(char *)"skiff-image", (char *)"pull", (char *)name, NULL};
	pid_t pid;
	int r = companion_find("run", "skiff-image", program, sizeof(program));

	if (r == 0)
		r = companion_start("run", program, argv, NULL, 0, &pid);
	if (r == 0)
		r = companion_wait(pid);
	/* It has said what was wrong. */
	return r == 0 ? 0 : r == 130 ? -EINTR : -ENOENT;
}

/* By name, with the store's lock held, so that it is not removed before a machine needs it. */
static int look(const char *name, struct image_entry *entry, int *lock)
{
	struct image_store store;
	int r = image_store_open(&store, 1);

	*lock = -1;
	if (r == 0)
		r = *lock = image_store_lock(&store);
	if (r >= 0)
		r = image_store_look(&store, name, NULL, entry);
	image_store_close(&store);
	if (r < 0 && *lock >= 0) {
		image_store_unlock(*lock);
		*lock = -1;
	}
	return r;
}

static int find_name(const char *name, struct launch_image *out)
{
	struct image_entry entry;
	int r;

	if (!image_store_name_is_good(name))
		return log_fail(
			-EINVAL,
			"run: %s: neither a file nor a name of an image: see `skiff image ls "
			"--available`",
			name);
	r = look(name, &entry, &out->lock);
	if (r == -ENOENT) {
		r = pull(name);
		if (r == 0)
			r = look(name, &entry, &out->lock);
		if (r == -ENOENT)
			return r;
	}
	if (r < 0)
		return r;
	snprintf(out->path, sizeof(out->path), "%s", entry.path);
	out->qcow2 = strcmp(entry.format, "qcow2") == 0;
	return 0;
}

/* The first bytes of kernels: "MZ" and "HdrS" of a bzImage, "ARM\x64" of an Image, ELF. */
static int is_kernel(const uint8_t *b)
{
	return memcmp(b + 0x202, "HdrS", 4) == 0 || memcmp(b + 56, "ARM\x64", 4) == 0 ||
	       memcmp(b, "\177ELF", 4) == 0;
}

static int find_file(const char *word, const char *format, struct launch_image *out)
{
	uint8_t head[1024] = {0};
	struct stat st;
	int fd = open(word, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);

	if (fd < 0)
		return log_fail(-errno, "run: cannot open %s: %s", word, strerror(errno));
	if (fstat(fd, &st) || !(S_ISREG(st.st_mode) || S_ISBLK(st.st_mode))) {
		close(fd);
		return log_fail(-EINVAL,
				"run: %s: neither a file nor a block device: name an image", word);
	}
	if (pread(fd, head, sizeof(head), 0) < 0)
		head[0] = 0;
	out->size = S_ISBLK(st.st_mode) ? (uint64_t)lseek(fd, 0, SEEK_END) : (uint64_t)st.st_size;
	close(fd);
	if (is_kernel(head))
		return log_fail(-EINVAL, "run: %s: is a kernel and no image: write `--kernel %s`",
				word, word);
	out->qcow2 = format ? format[0] == 'q' : memcmp(head, "QFI\xfb", 4) == 0;
	if (!realpath(word, out->path))
		return log_fail(-errno, "run: %s: %s", word, strerror(errno));
	return 0;
}

static int ask_size(struct launch_image *image)
{
	struct qcow2_info info;
	struct stat st;
	int r;

	if (image->qcow2) {
		r = qcow2_info(image->path, &info);
		if (r == 0 && info.backing[0])
			return log_fail(-EACCES,
					"run: %s: is laid over another file, %s: a published image "
					"is not; merge them with `qemu-img convert`",
					image->path, info.backing);
		image->size = info.size;
		return r;
	}
	if (image->size == 0 && stat(image->path, &st) == 0)
		image->size = (uint64_t)st.st_size;
	if (image->size == 0 || image->size % 512)
		return log_fail(
			-EINVAL,
			"run: %s: its size, %llu bytes, is not that of a disk (a multiple of "
			"512): fetch it again",
			image->path, (unsigned long long)image->size);
	return 0;
}

int launch_image_find(const char *word, const char *format, struct launch_image *out)
{
	int r;

	memset(out, 0, sizeof(*out));
	out->lock = -1;
	if (strchr(word, '/') || access(word, F_OK) == 0)
		r = find_file(word, format, out);
	else
		r = find_name(word, out);
	if (r == 0)
		r = ask_size(out);
	if (r < 0)
		launch_image_settle(out);
	return r;
}

void launch_image_settle(struct launch_image *image)
{
	if (image->lock >= 0)
		image_store_unlock(image->lock);
	image->lock = -1;
}
