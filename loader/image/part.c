/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Files that are being fetched. Main thread, blocking. Knows nothing of where the bytes come from.
 *
 * After a crash of the host the end of a file may be of the right length and hold zeros. So a part
 * is believed only as far as KEY.state says, which is written after fdatasync.
 */
#include "loader/image/part.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "loader/image/units.h"
#include "vmm/log.h"

#define STATE_MAX 1024
#define ZERO_RUN  4096 /* bytes that are worth a hole */

static int failed(struct part *p, const char *file)
{
	int r = -errno;

	return log_fail(r, "image pull: %s/parts/%s: %s", p->store->dir, file, strerror(-r));
}

static void state_name(const struct part *p, char out[96], const char *suffix)
{
	snprintf(out, 96, "parts/%s.state%s", p->name, suffix);
}

/* --- what is known of it --------------------------------------------------------------------- */

static void read_state(struct part *p)
{
	char name[96], text[STATE_MAX], *line, *save = NULL;
	ssize_t n = -1;
	int fd;

	state_name(p, name, "");
	fd = openat(p->store->fd, name, O_RDONLY | O_CLOEXEC);
	if (fd >= 0) {
		n = read(fd, text, sizeof(text) - 1);
		close(fd);
	}
	if (n <= 0)
		return;
	text[n] = '\0';
	for (line = strtok_r(text, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
		if (strncmp(line, "have ", 5) == 0)
			p->saved = strtoull(line + 5, NULL, 10);
		else if (strncmp(line, "total ", 6) == 0)
			p->total = strtoull(line + 6, NULL, 10);
		else if (strncmp(line, "validator ", 10) == 0)
			snprintf(p->validator, sizeof(p->validator), "%s", line + 10);
	}
}

static int write_state(struct part *p)
{
	char name[96], tmp[96], text[STATE_MAX];
	int n = snprintf(text, sizeof(text), "have %" PRIu64 "\ntotal %" PRIu64 "\nvalidator %s\n",
			 p->saved, p->total, p->validator);
	int fd, r = 0;

	state_name(p, name, "");
	state_name(p, tmp, ".new");
	fd = openat(p->store->fd, tmp, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	if (fd < 0)
		return failed(p, tmp + strlen("parts/"));
	if (write(fd, text, (size_t)n) != n || fdatasync(fd))
		r = failed(p, tmp + strlen("parts/"));
	close(fd);
	if (!r && renameat(p->store->fd, tmp, p->store->fd, name))
		r = failed(p, name + strlen("parts/"));
	return r;
}

/* --- opening --------------------------------------------------------------------------------- */

/* Whether the file that is open still has its name. */
static int still_there(struct part *p)
{
	char path[96];
	struct stat a, b;

	snprintf(path, sizeof(path), "parts/%s", p->name);
	return fstat(p->fd, &a) == 0 && fstatat(p->store->fd, path, &b, 0) == 0 &&
	       a.st_ino == b.st_ino && a.st_dev == b.st_dev;
}

/* Opens the file and locks it: 0, -EINTR, -errno (said), or 1 if it went away meanwhile. */
static int open_locked(struct part *p, const volatile sig_atomic_t *stop)
{
	char path[96];

	snprintf(path, sizeof(path), "parts/%s", p->name);
	p->fd = openat(p->store->fd, path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	if (p->fd < 0)
		return failed(p, p->name);
	if (flock(p->fd, LOCK_EX | LOCK_NB)) {
		if (errno != EWOULDBLOCK)
			return failed(p, p->name);
		if (!p->waited)
			log_line(LOG_INFO, "image pull: another pull is fetching this image: "
					   "waiting for it");
		p->waited = 1;
		while (flock(p->fd, LOCK_EX)) {
			if (errno != EINTR)
				return failed(p, p->name);
			if (*stop)
				return -EINTR;
		}
	}
	return still_there(p) ? 0 : 1;
}

int part_open(struct part *p, struct image_store *store, const char *key,
	      const volatile sig_atomic_t *stop)
{
	struct stat st;
	int r;

	*p = (struct part){.store = store, .fd = -1};
	snprintf(p->name, sizeof(p->name), "%s", key);
	while ((r = open_locked(p, stop)) == 1)
		close(p->fd);
	if (!r && fstat(p->fd, &st))
		r = failed(p, p->name);
	if (r)
		return r;
	read_state(p);
	if (p->saved > (uint64_t)st.st_size || (p->total && p->saved > p->total))
		p->saved = 0;
	p->have = p->saved;
	if (ftruncate(p->fd, (off_t)p->have) || lseek(p->fd, 0, SEEK_END) < 0)
		return failed(p, p->name);
	return 0;
}

void part_close(struct part *p)
{
	if (p->fd >= 0)
		close(p->fd);
	p->fd = -1;
}

/* --- filling --------------------------------------------------------------------------------- */

static int is_zero(const char *data, size_t len)
{
	return len >= ZERO_RUN && data[0] == 0 && memcmp(data, data + 1, len - 1) == 0;
}

int part_add(struct part *p, const void *data, size_t len)
{
	const char *at = data;

	if (is_zero(data, len)) { /* what lies after the end of a part is a hole */
		if (ftruncate(p->fd, (off_t)(p->have + len)))
			return -errno;
		p->have += len;
		return 0;
	}
	while (len) {
		ssize_t n = pwrite(p->fd, at, len, (off_t)p->have);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n < 0 ? -errno : -EIO;
		at += n;
		len -= (size_t)n;
		p->have += (uint64_t)n;
	}
	return 0;
}

int part_room(const struct part *p, uint64_t all)
{
	struct statvfs fs;

	if (all <= p->have || fstatvfs(p->fd, &fs))
		return 0;
	return (all - p->have) / fs.f_frsize >= fs.f_bavail ? -ENOSPC : 0;
}

int part_no_space(const struct part *p, const char *what, uint64_t all)
{
	char needed[UNITS_TEXT_MAX], is[UNITS_TEXT_MAX];
	struct statvfs fs;
	uint64_t avail = fstatvfs(p->fd, &fs) ? 0 : (uint64_t)fs.f_bavail * fs.f_frsize;

	if (all > p->have)
		return log_fail(-ENOSPC,
				"%s: the disk is full: %s more are needed in %s and %s are free: "
				"make room, or set XDG_DATA_HOME to a larger disk",
				what, units_bytes(all - p->have, needed), p->store->dir,
				units_bytes(avail, is));
	return log_fail(-ENOSPC,
			"%s: the disk is full after %s (the server does not say how much there "
			"is): make room in %s, or set XDG_DATA_HOME to a larger disk",
			what, units_bytes(p->have, needed), p->store->dir);
}

int part_save(struct part *p)
{
	if (fdatasync(p->fd))
		return failed(p, p->name);
	p->saved = p->have;
	return write_state(p);
}

int part_restart(struct part *p)
{
	p->have = p->saved = p->total = 0;
	p->validator[0] = '\0';
	if (ftruncate(p->fd, 0))
		return failed(p, p->name);
	return write_state(p);
}

void part_done(struct part *p)
{
	char name[96];

	state_name(p, name, "");
	unlinkat(p->store->fd, name, 0);
}

void part_drop(struct part *p)
{
	char path[96];

	snprintf(path, sizeof(path), "parts/%s", p->name);
	unlinkat(p->store->fd, path, 0);
	part_done(p);
}

/* A state whose part is gone: a pull died between its last two steps. */
static void drop_lone_state(int dir, const char *name)
{
	char part[80];

	snprintf(part, sizeof(part), "%.*s", (int)strcspn(name, "."), name);
	if (faccessat(dir, part, F_OK, 0))
		unlinkat(dir, name, 0);
}

/* The bytes that a part takes which nobody has; 0 if somebody does. */
static uint64_t left_over(struct image_store *store, int dir, const char *name, int drop)
{
	struct part p = {.store = store, .fd = openat(dir, name, O_RDWR | O_CLOEXEC)};
	uint64_t bytes = 0;
	struct stat st;

	snprintf(p.name, sizeof(p.name), "%.79s", name);
	if (p.fd >= 0 && flock(p.fd, LOCK_EX | LOCK_NB) == 0 && fstat(p.fd, &st) == 0) {
		bytes = (uint64_t)st.st_blocks * 512;
		if (drop)
			part_drop(&p);
	}
	part_close(&p);
	return bytes;
}

uint64_t part_left_over(struct image_store *store, int drop)
{
	int fd = openat(store->fd, "parts", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *dir = fd < 0 ? NULL : fdopendir(fd);
	uint64_t bytes = 0;
	struct dirent *d;

	while (dir && (d = readdir(dir))) {
		if (d->d_name[0] == '.')
			continue;
		if (!strchr(d->d_name, '.'))
			bytes += left_over(store, fd, d->d_name, drop);
		else if (drop)
			drop_lone_state(fd, d->d_name);
	}
	if (dir)
		closedir(dir);
	else if (fd >= 0)
		close(fd);
	return bytes;
}
