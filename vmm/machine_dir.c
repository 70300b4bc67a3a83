/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The directories of machines. Main thread, at the start and at the end. Knows files and their
 * names; what is on the disk, and when it is made, is others' to know.
 *
 * System calls: mkdir, open, flock, read, write, fsync, rename, unlink, rmdir.
 */
#include "vmm/machine_dir.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "loader/image_store.h"
#include "vmm/log.h"
#include "vmm/uuid.h"

#define EPHEMERAL "ephemeral-"

/* --- names ----------------------------------------------------------------------------------- */

void machine_dir_name(const char *image, char name[MACHINE_NAME_MAX + 1])
{
	const char *base = strrchr(image, '/');
	size_t n = 0, end;

	base = base ? base + 1 : image;
	end = strlen(base);
	/* A file's ending says nothing of the machine. */
	for (const char *const *e = (const char *const[]){".img", ".qcow2", ".raw", NULL}; *e;
	     e++) {
		size_t len = strlen(*e);

		if (end > len && !strcmp(base + end - len, *e)) {
			end -= len;
			break;
		}
	}
	for (size_t i = 0; i < end && n < MACHINE_NAME_MAX; i++) {
		char c = (char)tolower((unsigned char)base[i]);

		if ((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9'))
			name[n++] = c;
		else if (n > 0 && name[n - 1] != '-')
			name[n++] = '-';
	}
	while (n > 0 && name[n - 1] == '-')
		n--;
	name[n] = '\0';
	if (n == 0)
		memcpy(name, "machine", sizeof("machine"));
}

/* RFC 1123 §2.1, one label. */
static int is_host_name(const char *name)
{
	size_t len = strlen(name);

	if (len == 0 || len > MACHINE_NAME_MAX || name[0] == '-' || name[len - 1] == '-')
		return 0;
	for (; *name; name++)
		if (!isalnum((unsigned char)*name) && *name != '-')
			return 0;
	return 1;
}

/* --- small files ----------------------------------------------------------------------------- */

static void file_path(const struct machine_dir *d, const char *file, char path[PATH_MAX])
{
	snprintf(path, PATH_MAX, "%.*s/%s", PATH_MAX - 32, d->path, file);
}

/* The text of a small file, without what is after its last newline's place. 0 or -errno, silent. */
static int read_text(const struct machine_dir *d, const char *file, char *text, size_t size)
{
	char path[PATH_MAX];
	ssize_t n;
	int fd;

	file_path(d, file, path);
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	if (fd < 0)
		return -errno;
	n = read(fd, text, size - 1);
	close(fd);
	if (n < 0)
		return -EIO;
	text[n] = '\0';
	return 0;
}

/* All of it or nothing, also when the power goes. 0 or -errno, said. */
static int write_text(const struct machine_dir *d, const char *file, const char *text)
{
	char path[PATH_MAX], temp[PATH_MAX];
	size_t len = strlen(text);
	int fd, r = 0;

	file_path(d, file, path);
	file_path(d, ".new", temp);
	fd = open(temp, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0)
		return log_fail(-errno, "machine %s: cannot write %s: %s", d->name, temp,
				strerror(errno));
	if (write(fd, text, len) != (ssize_t)len || fsync(fd) || rename(temp, path))
		r = log_fail(errno ? -errno : -EIO, "machine %s: cannot write %s: %s", d->name,
			     path, strerror(errno));
	close(fd);
	return r;
}

/* --- the machine's uuid ---------------------------------------------------------------------- */

static int load_uuid(struct machine_dir *d)
{
	char text[64] = "";
	unsigned byte;
	int r = read_text(d, "uuid", text, sizeof(text));

	if (r == 0) {
		for (unsigned i = 0; i < 16; i++) {
			if (sscanf(text + 2 * i, "%2x", &byte) != 1)
				return log_fail(-EINVAL,
						"machine %s: %s/uuid is not 32 hexadecimal digits: "
						"remove it, and the guest takes itself for new",
						d->name, d->path);
			d->uuid[i] = (uint8_t)byte;
		}
		return 0;
	}
	uuid_make(d->uuid);
	for (unsigned i = 0; i < 16; i++)
		snprintf(text + 2 * i, 4, "%02x%s", d->uuid[i], i == 15 ? "\n" : "");
	return write_text(d, "uuid", text);
}

/* --- opening --------------------------------------------------------------------------------- */

static int make_dirs(const char *path)
{
	char part[PATH_MAX];

	snprintf(part, sizeof(part), "%s", path);
	for (char *p = part + 1; *p; p++) {
		if (*p != '/')
			continue;
		*p = '\0';
		if (mkdir(part, 0700) && errno != EEXIST)
			return log_fail(-errno, "machine: cannot make %s: %s", part,
					strerror(errno));
		*p = '/';
	}
	if (mkdir(part, 0700) && errno != EEXIST)
		return log_fail(-errno, "machine: cannot make %s: %s", part, strerror(errno));
	return 0;
}

/* The lock, or -EWOULDBLOCK if somebody has it; silent. */
static int try_lock(const char *dir)
{
	char path[PATH_MAX];
	int fd;

	snprintf(path, sizeof(path), "%.*s/lock", PATH_MAX - 8, dir);
	fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0)
		return -errno;
	if (flock(fd, LOCK_EX | LOCK_NB)) {
		int r = -errno;

		close(fd);
		return r;
	}
	return fd;
}

/* A machine's directory holds files only. */
static void remove_dir(const char *dir)
{
	DIR *list = opendir(dir);
	struct dirent *e;

	while (list && (e = readdir(list)))
		if (strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0)
			unlinkat(dirfd(list), e->d_name, 0);
	if (list)
		closedir(list);
	rmdir(dir);
}

/* What ephemeral machines have left that could not clean up themselves: their lock is free. */
static void sweep(const char *home)
{
	DIR *list = opendir(home);
	struct dirent *e;

	while (list && (e = readdir(list))) {
		char path[PATH_MAX];
		int lock;

		if (strncmp(e->d_name, EPHEMERAL, strlen(EPHEMERAL)) != 0)
			continue;
		snprintf(path, sizeof(path), "%.*s/%s", PATH_MAX - 300, home, e->d_name);
		lock = try_lock(path);
		if (lock < 0)
			continue;
		remove_dir(path);
		close(lock);
	}
	if (list)
		closedir(list);
}

static int open_kept(struct machine_dir *d, const char *home)
{
	int r;

	snprintf(d->path, sizeof(d->path), "%.*s/%s", PATH_MAX - 80, home, d->name);
	if (mkdir(d->path, 0700) && errno != EEXIST)
		return log_fail(-errno, "machine %s: cannot make %s: %s", d->name, d->path,
				strerror(errno));
	r = try_lock(d->path);
	if (r == -EWOULDBLOCK)
		return log_fail(-EBUSY,
				"machine %s: runs already: end that one, or give another --name",
				d->name);
	if (r < 0)
		return log_fail(r, "machine %s: cannot lock %s: %s", d->name, d->path,
				strerror(-r));
	d->lock_fd = r;
	return 0;
}

static int open_ephemeral(struct machine_dir *d, const char *home)
{
	int r;

	sweep(home);
	snprintf(d->path, sizeof(d->path), "%.*s/" EPHEMERAL "XXXXXX", PATH_MAX - 80, home);
	if (!mkdtemp(d->path))
		return log_fail(-errno, "machine %s: cannot make %s: %s", d->name, d->path,
				strerror(errno));
	r = try_lock(d->path);
	if (r < 0)
		return log_fail(r, "machine %s: cannot lock %s: %s", d->name, d->path,
				strerror(-r));
	d->lock_fd = r;
	return 0;
}

/* `image`: its path, a newline, its format. */
static int load_image(struct machine_dir *d)
{
	char text[PATH_MAX + 16], *format;
	int r = read_text(d, "image", text, sizeof(text));

	d->is_new = r == -ENOENT;
	if (r == -ENOENT)
		return 0;
	format = r == 0 ? strchr(text, '\n') : NULL;
	if (!format || text[0] != '/' || (size_t)(format - text) >= sizeof(d->image))
		return log_fail(
			-EINVAL,
			"machine %s: %s/image does not name an image and its format: remove "
			"that directory, and the machine with it",
			d->name, d->path);
	*format++ = '\0';
	format[strcspn(format, "\n")] = '\0';
	memcpy(d->image, text, strlen(text) + 1);
	snprintf(d->image_format, sizeof(d->image_format), "%.7s", format);
	return 0;
}

int machine_dir_open(struct machine_dir *d, const char *name, int ephemeral)
{
	char home[PATH_MAX];
	int r;

	memset(d, 0, sizeof(*d));
	d->lock_fd = -1;
	if (!is_host_name(name) || !strncmp(name, EPHEMERAL, strlen(EPHEMERAL)))
		return log_fail(
			-EINVAL,
			"--name: %s: give letters, digits and dashes, at most %d: it becomes "
			"the guest's host name",
			name, MACHINE_NAME_MAX);
	snprintf(d->name, sizeof(d->name), "%s", name);
	d->ephemeral = ephemeral != 0;
	r = image_store_home("machines", home, sizeof(home));
	if (r == 0)
		r = make_dirs(home);
	if (r == 0)
		r = ephemeral ? open_ephemeral(d, home) : open_kept(d, home);
	if (r < 0)
		return r;
	file_path(d, "disk.qcow2", d->disk);
	r = load_image(d);
	if (r == 0)
		r = load_uuid(d);
	if (r == 0 && d->is_new && unlink(d->disk) && errno != ENOENT)
		r = log_fail(-errno, "machine %s: cannot remove %s: %s", d->name, d->disk,
			     strerror(errno));
	return r;
}

int machine_dir_keep(struct machine_dir *d, const char *image, const char *format)
{
	char text[PATH_MAX + 16];
	int r;

	if (strchr(image, '\n'))
		return log_fail(-EINVAL, "%s: a newline in an image's path: rename it", image);
	snprintf(text, sizeof(text), "%s\n%s\n", image, format);
	r = write_text(d, "image", text);
	if (r < 0)
		return r;
	d->is_new = 0;
	snprintf(d->image, sizeof(d->image), "%s", image);
	snprintf(d->image_format, sizeof(d->image_format), "%s", format);
	return 0;
}

void machine_dir_close(struct machine_dir *d)
{
	if (d->lock_fd < 0 || !d->path[0])
		return;
	if (d->ephemeral || d->is_new)
		remove_dir(d->path);
	close(d->lock_fd);
	d->lock_fd = -1;
}
