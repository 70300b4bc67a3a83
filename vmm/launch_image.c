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

#define BACKING_MAX 1023 /* of a backing file's name, by qcow2's specification */

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
	return r == 0 ? 0 : r == 130 ? -EINTR : -EIO;
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

static int look_now(const char *name, struct image_entry *entry)
{
	int lock, r = look(name, entry, &lock);

	if (lock >= 0)
		image_store_unlock(lock);
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
			return log_fail(r, "run: %s: was not to be had: see `skiff image ls`",
					name);
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

/* What people have who were given something to unpack or to convert. */
static int is_wrapped(const char *word, const uint8_t *b)
{
	static const struct {
		const char *magic, *what, *how;
		size_t len;
	} wrapped[] = {
		{"\xfd"
		 "7zXZ",
		 "compressed by xz", "unpack it with `xz -d`", 5},
		{"\x1f\x8b", "compressed by gzip", "unpack it with `gunzip`", 2},
		{"\x28\xb5\x2f\xfd", "compressed by zstd", "unpack it with `unzstd`", 4},
		{"PK\3\4", "a zip archive", "unpack it with `unzip`", 4},
		{"KDMV", "a VMDK image", "convert it with `qemu-img convert -O qcow2`", 4},
		{"vhdxfile", "a VHDX image", "convert it with `qemu-img convert -O qcow2`", 8},
	};

	for (unsigned i = 0; i < sizeof(wrapped) / sizeof(wrapped[0]); i++)
		if (!memcmp(b, wrapped[i].magic, wrapped[i].len))
			return log_fail(-EINVAL, "run: %s: is %s: %s first", word, wrapped[i].what,
					wrapped[i].how);
	return 0;
}

static int judge_head(const char *word, const uint8_t *head)
{
	if (is_kernel(head))
		return log_fail(-EINVAL, "run: %s: is a kernel and no image: write `--kernel %s`",
				word, word);
	return is_wrapped(word, head);
}

/* qcow2 notes the path in the machine's disk. */
static int judge_path(const char *path)
{
	if (strlen(path) > BACKING_MAX || strchr(path, '\n'))
		return log_fail(
			-EINVAL,
			"run: %s: its path is longer than %d bytes, or has a newline in it: "
			"move it",
			path, BACKING_MAX);
	return 0;
}

static int find_file(const char *word, const char *format, struct launch_image *out)
{
	uint8_t head[1024] = {0};
	struct stat st;
	int fd = open(word, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	int r;

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
	r = format && format[0] == 'r' ? 0 : judge_head(word, head);
	if (r < 0)
		return r;
	out->qcow2 = format ? format[0] == 'q' : memcmp(head, "QFI\xfb", 4) == 0;
	if (!realpath(word, out->path))
		return log_fail(-errno, "run: %s: %s", word, strerror(errno));
	return judge_path(out->path);
}

static int ask_size(struct launch_image *image)
{
	struct qcow2_info info;
	struct stat st;
	int r;

	if (stat(image->path, &st))
		return log_fail(-errno, "run: %s: %s", image->path, strerror(errno));
	image->file_size = (uint64_t)st.st_size;
	image->mtime_ns = st.st_mtim.tv_sec * 1000000000ll + st.st_mtim.tv_nsec;
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
	if (image->size == 0)
		image->size = image->file_size;
	if (image->size == 0 || image->size % 512)
		return log_fail(
			-EINVAL,
			"run: %s: its size, %llu bytes, is not that of a disk (a multiple of "
			"512): fetch it again",
			image->path, (unsigned long long)image->size);
	return 0;
}

int launch_image_is_file(const char *word)
{
	struct stat st;

	return strchr(word, '/') || (stat(word, &st) == 0 && !S_ISDIR(st.st_mode));
}

int launch_image_is_same(const char *name, const char *other)
{
	struct image_entry a, b;
	int r = look_now(name, &a);

	if (r == 0)
		r = look_now(other, &b);
	return strcmp(name, other) == 0 || (r == 0 && strcmp(a.name, b.name) == 0);
}

int launch_image_again(const char *path, const char *format, struct launch_image *out)
{
	memset(out, 0, sizeof(*out));
	out->lock = -1;
	out->qcow2 = format[0] == 'q';
	snprintf(out->path, sizeof(out->path), "%s", path);
	return ask_size(out);
}

int launch_image_find(const char *word, const char *format, struct launch_image *out)
{
	int r;

	memset(out, 0, sizeof(*out));
	out->lock = -1;
	if (launch_image_is_file(word))
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
