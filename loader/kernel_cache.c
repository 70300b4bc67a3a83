/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The directory of unpacked kernels. Main thread, blocking, before vCPUs run; what is done later,
 * to name a new file or to forget it, is short. Knows files; knows nothing of what is in a kernel.
 *
 * System calls: open, lseek, pread, pwrite, flock, renameat, unlinkat, futimens.
 */
#include "loader/kernel_cache.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

#include "loader/le.h"
#include "vmm/xdg.h"

#define NEW        ".new-"
#define NEW_MAX    (sizeof(NEW) + KERNEL_CACHE_ID_MAX)

/* At the end of each file: what was cut short, or grew, has none that fits. */
#define END_MAGIC  "skiffker"
#define END_LEN    16

/* Zeroes are looked for by so many bytes: smaller holes cost more system calls than they save. */
#define BLOCK      (64u << 10)

#define HUGE_PAGE  (2u << 20)

/* So many bytes are what the ID has a checksum of. */
#define CHECKED    (16u << 10)

/* Within this time a file may change once more and show the same times (a clock's tick, FAT's 2 s).
 */
#define SETTLED_NS 3000000000

static uint64_t ns(const struct timespec *t)
{
	return (uint64_t)t->tv_sec * 1000000000 + (uint64_t)t->tv_nsec;
}

/* This user's, and nobody else writes to it. */
static int is_ours(const struct stat *st)
{
	return st->st_uid == geteuid() && !(st->st_mode & (S_IWGRP | S_IWOTH));
}

/* Reads exactly @len bytes from @off. 0 or -errno. */
static int read_run(int fd, uint8_t *dst, off_t off, size_t len)
{
	while (len > 0) {
		ssize_t n = pread(fd, dst, len, off);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n ? -errno : -ENODATA;
		dst += n;
		off += n;
		len -= (size_t)n;
	}
	return 0;
}

/* Stores the ID of these bytes of @f; "" if they are not kept. */
static void id_of(const struct kernel_cache *c, const struct file *f, uint64_t off, size_t len,
		  char id[KERNEL_CACHE_ID_MAX])
{
	size_t checked = len < CHECKED ? len : CHECKED;
	uint8_t last[CHECKED];
	struct stat st;

	id[0] = '\0';
	if (fstat(f->fd, &st) || !st.st_nlink || (uint64_t)st.st_size != f->size)
		return;
	if (c->now_ns < ns(&st.st_ctim) + SETTLED_NS || c->now_ns < ns(&st.st_mtim) + SETTLED_NS)
		return;
	if (read_run(f->fd, last, (off_t)(off + len - checked), checked))
		return;
	snprintf(id, KERNEL_CACHE_ID_MAX,
		 "%" PRIx64 "-%" PRIx64 "-%" PRIx64 "-%" PRIx64 "-%" PRIx64 "-%" PRIx64
		 "-%zx-%08lx",
		 (uint64_t)st.st_dev, (uint64_t)st.st_ino, f->size, ns(&st.st_mtim),
		 ns(&st.st_ctim), off, len, crc32_z(0, last, checked));
}

void kernel_cache_open(struct kernel_cache *c, const char *dir, uint64_t now_ns)
{
	char path[PATH_MAX];
	struct stat st;

	*c = (struct kernel_cache){.now_ns = now_ns, .dir_fd = -1, .new_fd = -1};
	if (!dir) {
		if (xdg_path(XDG_CACHE, "kernels", path, sizeof(path)))
			return;
		dir = path;
	}
	if (xdg_make_dirs(dir))
		return;
	c->dir_fd = open(dir, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (c->dir_fd >= 0 && (fstat(c->dir_fd, &st) || !is_ours(&st)))
		kernel_cache_close(c);
}

void kernel_cache_close(struct kernel_cache *c)
{
	kernel_cache_forget(c);
	if (c->dir_fd >= 0)
		close(c->dir_fd);
	c->dir_fd = -1;
}

/* --- reading --------------------------------------------------------------------------------- */

/*
 * Writes to each huge page in [@from, @to), which is zeroes. What a guest reads before it writes to
 * it would be the page of zeroes that all share, and then be made of small pages.
 */
static void touch(uint8_t *from, uint8_t *to)
{
	uintptr_t first = ((uintptr_t)from + HUGE_PAGE - 1) & ~(uintptr_t)(HUGE_PAGE - 1);

	for (uintptr_t at = first; at < (uintptr_t)to; at += HUGE_PAGE)
		*(volatile uint8_t *)at = 0;
}

/* Reads all that is not a hole. */
static int read_sparse(int fd, uint8_t *dst, off_t size)
{
	for (off_t end = 0, at; end < size;) {
		int r;

		at = lseek(fd, end, SEEK_DATA);
		if (at < 0 && errno == ENXIO) /* a hole to the end */
			at = size;
		touch(dst + end, dst + (at < 0 ? end : at < size ? at : size));
		if (at >= size)
			return 0;
		end = at < 0 ? -1 : lseek(fd, at, SEEK_HOLE);
		if (end < 0)
			return -errno;
		if (end > size)
			end = size;
		r = read_run(fd, dst + at, at, (size_t)(end - at));
		if (r < 0)
			return r;
	}
	return 0;
}

/* How many bytes of a kernel the file holds, or 0 if it is none that counts. */
static size_t size_of(int fd)
{
	uint8_t end[END_LEN];
	struct stat st;

	if (fstat(fd, &st) || !S_ISREG(st.st_mode) || !is_ours(&st) || st.st_size <= END_LEN)
		return 0;
	if (read_run(fd, end, st.st_size - END_LEN, END_LEN) || memcmp(end, END_MAGIC, 8) != 0 ||
	    le64_get(end + 8) != (uint64_t)st.st_size - END_LEN)
		return 0;
	return (size_t)st.st_size - END_LEN;
}

int kernel_cache_get(struct kernel_cache *c, const struct file *f, uint64_t off, size_t len,
		     void *dst, size_t cap, size_t *size)
{
	static const struct timespec now[2] = {{.tv_nsec = UTIME_NOW}, {.tv_nsec = UTIME_NOW}};
	int fd, r = -ENOENT;
	size_t have;

	if (!c || c->dir_fd < 0)
		return -ENOENT;
	c->used = 0;
	id_of(c, f, off, len, c->id);
	if (!c->id[0])
		return -ENOENT;
	fd = openat(c->dir_fd, c->id, O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK);
	if (fd < 0)
		return -ENOENT;
	have = size_of(fd);
	if (have > 0 && have <= cap) {
		r = read_sparse(fd, dst, (off_t)have);
		if (r < 0)
			memset(dst, 0, have);
	}
	if (r == 0) {
		*size = have;
		c->used = 1;
		futimens(fd, now); /* or it counts as used earlier */
	}
	close(fd);
	return r == 0 ? 0 : -ENOENT;
}

/* --- room for a new one ---------------------------------------------------------------------- */

static int is_id(const char *name)
{
	size_t len = strlen(name);

	return len < KERNEL_CACHE_ID_MAX && strspn(name, "0123456789abcdef-") == len;
}

/*
 * Opens the new file @path and locks it, if no process is writing it. A descriptor or -1. Whoever
 * had the lock until now may have renamed or removed the file that was opened; then it is not
 * locked.
 */
static int lock_new(const struct kernel_cache *c, const char *path, int flags)
{
	int fd =
		openat(c->dir_fd, path, flags | O_RDWR | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC, 0600);
	struct stat st, named;

	if (fd < 0)
		return -1;
	if (flock(fd, LOCK_EX | LOCK_NB) == 0 && fstat(fd, &st) == 0 && S_ISREG(st.st_mode) &&
	    fstatat(c->dir_fd, path, &named, AT_SYMLINK_NOFOLLOW) == 0 && st.st_ino == named.st_ino)
		return fd;
	close(fd);
	return -1;
}

/* A new file whose process is gone has no lock. */
static void remove_left_over(const struct kernel_cache *c, const char *path)
{
	int fd = lock_new(c, path, 0);

	if (fd < 0)
		return;
	unlinkat(c->dir_fd, path, 0);
	close(fd);
}

/*
 * Takes away what killed ones have left, and the kernel that was used longest ago, if there is no
 * room for one more. 1 if there may be more to take.
 */
static int make_room(const struct kernel_cache *c)
{
	int fd = openat(c->dir_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *d = fd < 0 ? NULL : fdopendir(fd);
	char oldest[KERNEL_CACHE_ID_MAX] = "";
	uint64_t oldest_ns = UINT64_MAX;
	const struct dirent *e;
	unsigned n = 0;
	struct stat st;

	if (!d && fd >= 0)
		close(fd);
	while (d && (e = readdir(d))) {
		if (strncmp(e->d_name, NEW, strlen(NEW)) == 0)
			remove_left_over(c, e->d_name);
		if (!is_id(e->d_name) || fstatat(c->dir_fd, e->d_name, &st, AT_SYMLINK_NOFOLLOW))
			continue;
		n++;
		if (ns(&st.st_mtim) < oldest_ns) {
			oldest_ns = ns(&st.st_mtim);
			memcpy(oldest, e->d_name, strlen(e->d_name) + 1);
		}
	}
	if (d)
		closedir(d);
	return n >= KERNEL_CACHE_MAX && unlinkat(c->dir_fd, oldest, 0) == 0;
}

/* --- writing --------------------------------------------------------------------------------- */

static void path_of_new(const struct kernel_cache *c, char path[NEW_MAX])
{
	snprintf(path, NEW_MAX, NEW "%s", c->new_id);
}

static void close_new(struct kernel_cache *c)
{
	if (c->new_fd >= 0)
		close(c->new_fd);
	c->new_fd = -1;
}

static int open_new(const struct kernel_cache *c)
{
	char path[NEW_MAX];
	int fd;

	path_of_new(c, path);
	fd = lock_new(c, path, O_CREAT);
	if (fd >= 0 && ftruncate(fd, 0)) {
		close(fd);
		return -1;
	}
	return fd;
}

static int is_zero(const uint8_t *p, size_t len)
{
	return p[0] == 0 && memcmp(p, p + 1, len - 1) == 0;
}

static int write_run(int fd, const uint8_t *data, size_t len, size_t off)
{
	while (len > 0) {
		ssize_t n = pwrite(fd, data, len, (off_t)off);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n ? -errno : -EIO;
		data += n;
		off += (size_t)n;
		len -= (size_t)n;
	}
	return 0;
}

static int write_sparse(int fd, const uint8_t *data, size_t size)
{
	uint8_t end[END_LEN] = END_MAGIC;
	int r = 0;

	for (size_t at = 0; at < size && r == 0; at += BLOCK) {
		size_t len = size - at < BLOCK ? size - at : BLOCK;

		if (!is_zero(data + at, len))
			r = write_run(fd, data + at, len, at);
	}
	le64_put(end + 8, size);
	return r < 0 ? r : write_run(fd, end, END_LEN, size);
}

void kernel_cache_put(struct kernel_cache *c, const struct file *f, uint64_t off, size_t len,
		      const void *data, size_t size)
{
	if (!c)
		return;
	c->used = 0;
	if (c->dir_fd < 0 || c->new_fd >= 0)
		return;
	id_of(c, f, off, len, c->new_id);
	if (!c->new_id[0] || strcmp(c->new_id, c->id) != 0)
		return;
	while (make_room(c))
		;
	c->new_fd = open_new(c);
	if (c->new_fd >= 0 && write_sparse(c->new_fd, data, size))
		kernel_cache_forget(c);
}

void kernel_cache_name(struct kernel_cache *c)
{
	char path[NEW_MAX];

	if (c->new_fd < 0)
		return;
	path_of_new(c, path);
	if (renameat(c->dir_fd, path, c->dir_fd, c->new_id))
		kernel_cache_forget(c);
	close_new(c);
}

void kernel_cache_forget(struct kernel_cache *c)
{
	char path[NEW_MAX];

	if (!c || c->new_fd < 0)
		return;
	path_of_new(c, path);
	unlinkat(c->dir_fd, path, 0);
	close_new(c);
}
