/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The directories of machines. Main thread, at the start and at the end. Knows files and their
 * names; what is on the disk, and when it is made, is others' to know.
 *
 * A directory's name may come to mean another one at any time, so all but what is said goes through
 * its descriptor, and only files with the names that we give are removed. Directories come and go
 * under the lock of the one they are in: who has that sees no half-made one.
 *
 * System calls: mkdir, openat, flock, fstat, fstatat, read, write, fsync, renameat, unlinkat,
 * nanosleep.
 */
#include "vmm/machine_dir.h"

#include <assert.h>
#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "loader/image_store.h"
#include "vmm/log.h"
#include "vmm/uuid.h"

#define EPHEMERAL      "ephemeral-"
#define LOCK           "lock"
#define HOME_LOCK      ".lock"
#define DISK           "disk.qcow2"
#define NEW            ".new"
#define PASSWORD       "password" /* a line of `user`, where there is one */
#define TRIES          20         /* to lock a machine */
#define PAUSE_NS       10000000
#define IMAGE_TEXT_MAX (PATH_MAX + 64 + MACHINE_IMAGE_NAME_SIZE)

_Static_assert(MACHINE_IMAGE_NAME_SIZE >= IMAGE_STORE_NAME_MAX, "a name fits");

/*
 * Ours to remove beside the lock, in this order: without `image` it is no machine any more. The
 * keys, and those being made, are written by login_keys_find().
 */
static const char *const own_files[] = {
	"image",
	DISK,
	"uuid",
	"user",
	NEW,
	"id_ed25519",
	"id_ed25519.pub",
	".id_ed25519.new",
	".id_ed25519.new.pub",
};

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

static int failed(const struct machine_dir *d, int r, const char *what, const char *file)
{
	return log_fail(r, "machine %s: cannot %s %s%s%s: %s", d->name, what, d->path,
			*file ? "/" : "", file, strerror(-r));
}

/* The text of a small file. 0; -EFBIG if it does not fit; or -errno; silent. */
static int read_text(const struct machine_dir *d, const char *file, char *text, size_t size)
{
	/* O_NONBLOCK: a FIFO is not waited for. */
	int fd = openat(d->dir_fd, file, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY);
	ssize_t n;
	int r;

	if (fd < 0)
		return -errno;
	n = read(fd, text, size);
	r = n < 0 ? -errno : (size_t)n == size ? -EFBIG : 0;
	close(fd);
	if (r == 0)
		text[n] = '\0';
	return r;
}

static int write_all(int fd, const char *text)
{
	for (size_t len = strlen(text); len > 0;) {
		ssize_t n = write(fd, text, len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n < 0 ? -errno : -EIO;
		text += n;
		len -= (size_t)n;
	}
	return 0;
}

/*
 * All of it or nothing, also when the power goes; an ephemeral machine ends with it, and nothing is
 * synced. 0 or -errno, said.
 */
static int write_text(const struct machine_dir *d, const char *file, const char *text)
{
	int fd =
		openat(d->dir_fd, NEW, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
	int r = fd < 0 ? -errno : write_all(fd, text);

	if (r == 0 && !d->ephemeral && fsync(fd))
		r = -errno;
	if (fd >= 0 && close(fd) && r == 0)
		r = -errno;
	if (r == 0 && renameat(d->dir_fd, NEW, d->dir_fd, file))
		r = -errno;
	if (r < 0)
		unlinkat(d->dir_fd, NEW, 0);
	if (r == 0 && !d->ephemeral && fsync(d->dir_fd))
		r = -errno;
	return r < 0 ? failed(d, r, "write", file) : 0;
}

/* --- what they say --------------------------------------------------------------------------- */

/* 32 digits and a newline. */
static int parse_uuid(const char *text, uint8_t uuid[16])
{
	size_t n = strspn(text, "0123456789abcdefABCDEF");
	unsigned byte;

	if (n != 32 || (text[n] && strcmp(text + n, "\n") != 0))
		return -EINVAL;
	for (unsigned i = 0; i < 16; i++) {
		sscanf(text + 2 * i, "%2x", &byte);
		uuid[i] = (uint8_t)byte;
	}
	return 0;
}

/* A kept machine's is never made anew: its guest would take itself for another. */
static int load_uuid(struct machine_dir *d)
{
	char text[64];
	int r = read_text(d, "uuid", text, sizeof(text));

	if (r == 0)
		r = parse_uuid(text, d->uuid);
	if (r == -EINVAL || r == -EFBIG || r == -ENOENT)
		return log_fail(-EINVAL,
				"machine %s: %s/uuid is not 32 hexadecimal digits: put back those "
				"that were there; with others the guest takes itself for new",
				d->name, d->path);
	return r < 0 ? failed(d, r, "read", "uuid") : 0;
}

static int save_uuid(const struct machine_dir *d)
{
	char text[2 * sizeof(d->uuid) + 2];

	for (unsigned i = 0; i < sizeof(d->uuid); i++)
		snprintf(text + 2 * i, 4, "%02x\n", d->uuid[i]);
	return write_text(d, "uuid", text);
}

/* One line, of what names are made of. */
static int is_user(const char *user)
{
	for (const char *c = user; *c; c++)
		if (!isascii(*c) || !isgraph(*c))
			return 0;
	return strlen(user) <= MACHINE_USER_MAX;
}

static int load_user(struct machine_dir *d)
{
	char text[MACHINE_USER_MAX + sizeof(PASSWORD) + 3], *rest = text;
	int r = read_text(d, "user", text, sizeof(text));

	if (r == -ENOENT)
		return 0;
	if (r < 0 && r != -EFBIG)
		return failed(d, r, "read", "user");
	if (r == 0) {
		strsep(&rest, "\n");
		d->has_password = rest && strcmp(rest, PASSWORD "\n") == 0;
	}
	if (r < 0 || !is_user(text) || (rest && *rest && !d->has_password))
		return log_fail(-EINVAL,
				"machine %s: %s/user is not one login name: write into it who the "
				"guest's user is, or remove it",
				d->name, d->path);
	memcpy(d->user, text, strlen(text) + 1);
	return 0;
}

int machine_dir_set_user(struct machine_dir *d, const char *user)
{
	char text[MACHINE_USER_MAX + sizeof(PASSWORD) + 2];
	int r;

	if (!is_user(user))
		return log_fail(-EINVAL, "machine %s: %s: no login name of at most %d characters",
				d->name, user, MACHINE_USER_MAX);
	snprintf(text, sizeof(text), "%s\n%s", user, d->has_password ? PASSWORD "\n" : "");
	r = write_text(d, "user", text);
	if (r == 0)
		snprintf(d->user, sizeof(d->user), "%s", user);
	return r;
}

static int is_format(const char *format)
{
	return strcmp(format, "raw") == 0 || strcmp(format, "qcow2") == 0;
}

/* Lines: its path; its format; its size and time; its name. Older files have fewer of them. */
static int parse_image(struct machine_dir *d, char *text)
{
	char *path = strsep(&text, "\n"), *format = strsep(&text, "\n");
	char *stamp = strsep(&text, "\n"), *name = strsep(&text, "\n"), more;

	if (path[0] != '/' || strlen(path) >= sizeof(d->image) || !format || !is_format(format))
		return -EINVAL;
	if (stamp && *stamp &&
	    sscanf(stamp, "%" SCNu64 " %" SCNd64 "%c", &d->image_size, &d->image_mtime_ns, &more) !=
		    2)
		return -EINVAL;
	if (name && *name && !image_store_name_is_good(name))
		return -EINVAL;
	snprintf(d->image_name, sizeof(d->image_name), "%s", name ? name : "");
	memcpy(d->image, path, strlen(path) + 1);
	memcpy(d->image_format, format, strlen(format) + 1);
	return 0;
}

static int load_image(struct machine_dir *d)
{
	char text[IMAGE_TEXT_MAX];
	int r = read_text(d, "image", text, sizeof(text));

	d->is_new = r == -ENOENT && faccessat(d->dir_fd, "uuid", F_OK, AT_SYMLINK_NOFOLLOW) != 0;
	if (d->is_new)
		return 0;
	if (r == -ENOENT)
		return log_fail(r,
				"machine %s: there is no %s/image, which says what its disk lies "
				"over: put it back, or remove that directory, and the machine with "
				"it",
				d->name, d->path);
	if (r < 0 && r != -EFBIG)
		return failed(d, r, "read", "image");
	if (r == 0)
		r = parse_image(d, text);
	if (r < 0)
		return log_fail(-EINVAL,
				"machine %s: %s/image does not name an image and its format: "
				"remove that directory, and the machine with it",
				d->name, d->path);
	return 0;
}

/* A new machine begins without what an earlier try has left. */
static int begin(struct machine_dir *d)
{
	static const char *const left[] = {DISK, "uuid", "user"};

	for (size_t i = 0; i < sizeof(left) / sizeof(left[0]); i++)
		if (unlinkat(d->dir_fd, left[i], 0) && errno != ENOENT)
			return failed(d, -errno, "remove", left[i]);
	uuid_make(d->uuid);
	return 0;
}

static int load(struct machine_dir *d)
{
	int r = load_image(d);

	if (r == 0 && d->is_new)
		return begin(d);
	if (r == 0)
		r = load_uuid(d);
	return r == 0 ? load_user(d) : r;
}

/* --- the lock of the directory that all of them are in --------------------------------------- */

static int open_home(struct machine_dir *d, char home[PATH_MAX])
{
	int r = image_store_home("machines", home, PATH_MAX);

	if (r == 0)
		r = image_store_make_dirs(home);
	if (r < 0)
		return r;
	d->home_fd = open(home, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (d->home_fd < 0)
		return log_fail(-errno, "machine %s: cannot open %s: %s", d->name, home,
				strerror(errno));
	return 0;
}

/* Waits for it. A descriptor to close, or -errno, said. */
static int lock_home(const struct machine_dir *d)
{
	int fd = openat(d->home_fd, HOME_LOCK, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	int r = fd < 0 ? -errno : 0;

	while (r == 0 && flock(fd, LOCK_EX))
		if (errno != EINTR)
			r = -errno;
	if (r == 0)
		return fd;
	if (fd >= 0)
		close(fd);
	return log_fail(r, "machine %s: cannot lock the directory of machines, by its file %s: %s",
			d->name, HOME_LOCK, strerror(-r));
}

/* --- removing, under that lock --------------------------------------------------------------- */

/* The lock's name goes last, then the directory, unless there is more in it. */
static void remove_dir(int home, const char *name, int dir)
{
	for (size_t i = 0; i < sizeof(own_files) / sizeof(own_files[0]); i++)
		unlinkat(dir, own_files[i], 0);
	unlinkat(dir, LOCK, 0);
	unlinkat(home, name, AT_REMOVEDIR);
}

/* What ephemeral machines have left that could not clean up themselves: their lock is free. */
static void sweep_one(int home, const char *name)
{
	int dir = openat(home, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC), lock;

	if (dir < 0)
		return;
	lock = openat(dir, LOCK, O_RDWR | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY);
	if (lock >= 0 && flock(lock, LOCK_EX | LOCK_NB) == 0)
		remove_dir(home, name, dir);
	else if (lock < 0 && errno == ENOENT) /* its maker was killed first, or it is not ours */
		unlinkat(home, name, AT_REMOVEDIR);
	if (lock >= 0)
		close(lock);
	close(dir);
}

static void sweep(int home)
{
	int fd = openat(home, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *list = fd < 0 ? NULL : fdopendir(fd);
	struct dirent *e;

	while (list && (e = readdir(list)))
		if (strncmp(e->d_name, EPHEMERAL, strlen(EPHEMERAL)) == 0)
			sweep_one(home, e->d_name);
	if (list)
		closedir(list);
	else if (fd >= 0)
		close(fd);
}

/* --- opening --------------------------------------------------------------------------------- */

static const char *entry(const struct machine_dir *d)
{
	return strrchr(d->path, '/') + 1;
}

static int set_paths(struct machine_dir *d, const char *home)
{
	int n = d->ephemeral ? snprintf(d->path, sizeof(d->path), "%s/" EPHEMERAL "XXXXXX", home)
			     : snprintf(d->path, sizeof(d->path), "%s/%s", home, d->name);

	if ((size_t)n >= sizeof(d->path) - sizeof("/" DISK)) {
		d->path[0] = '\0';
		return log_fail(-ENAMETOOLONG,
				"machine %s: %s is too long a path to keep it in: set "
				"XDG_DATA_HOME to a shorter one",
				d->name, home);
	}
	return 0;
}

/* mkdtemp() has put its letters into the path, and set_paths() has left room. */
static void set_disk(struct machine_dir *d)
{
	size_t n = strlen(d->path);

	memcpy(d->disk, d->path, n);
	memcpy(d->disk + n, "/" DISK, sizeof("/" DISK));
}

static int make_dir(struct machine_dir *d)
{
	if (d->ephemeral)
		d->is_new = mkdtemp(d->path) != NULL;
	else
		d->is_new = mkdirat(d->home_fd, entry(d), 0700) == 0;
	if (!d->is_new && (d->ephemeral || errno != EEXIST))
		return failed(d, -errno, "make", "");
	return 0;
}

/* Whether @fd is what is called @name: it may have been removed before it was locked. */
static int is_there(int dir, const char *name, int fd)
{
	struct stat a, b;

	return fstat(fd, &a) == 0 && fstatat(dir, name, &b, AT_SYMLINK_NOFOLLOW) == 0 &&
	       a.st_dev == b.st_dev && a.st_ino == b.st_ino;
}

static int open_dir(struct machine_dir *d)
{
	struct stat st;
	int r;

	d->dir_fd = openat(d->home_fd, entry(d), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (d->dir_fd >= 0)
		return 0;
	r = -errno;
	if (r == -ENOENT)
		return r;
	if (fstatat(d->home_fd, entry(d), &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISLNK(st.st_mode))
		return log_fail(-ELOOP,
				"machine %s: %s is a symbolic link, and those are not followed: "
				"put the directory itself there, or give another --name",
				d->name, d->path);
	return failed(d, r, "open", "");
}

/* 0; 1 if a person removed it meanwhile; a silent -EBUSY if it runs; or another -errno, said. */
static int take(struct machine_dir *d)
{
	int r = open_dir(d);

	if (r < 0)
		return r == -ENOENT ? 1 : r;
	d->lock_fd = openat(d->dir_fd, LOCK, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (d->lock_fd < 0)
		return errno == ENOENT ? 1 : failed(d, -errno, "make", LOCK);
	if (flock(d->lock_fd, LOCK_EX | LOCK_NB))
		return errno == EWOULDBLOCK ? -EBUSY : failed(d, -errno, "lock", LOCK);
	return !is_there(d->dir_fd, LOCK, d->lock_fd) || !is_there(d->home_fd, entry(d), d->dir_fd);
}

static void close_fd(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

static int make_and_take(struct machine_dir *d, const char *home)
{
	int r;

	do {
		close_fd(&d->lock_fd);
		close_fd(&d->dir_fd);
		r = set_paths(d, home);
		if (r == 0)
			r = make_dir(d);
		if (r == 0)
			r = take(d);
	} while (r > 0);
	return r;
}

/* Under the lock of the directory that all are in. As take(). */
static int open_locked(struct machine_dir *d, const char *home)
{
	int lock = lock_home(d), r;

	if (lock < 0)
		return lock;
	sweep(d->home_fd);
	r = make_and_take(d, home);
	close(lock);
	return r;
}

/* Of one that was killed, the kernel ends what was under way before it gives the lock up. */
static int open_soon(struct machine_dir *d, const char *home)
{
	int r = open_locked(d, home);

	for (unsigned tries = 1; r == -EBUSY && tries < TRIES; tries++) {
		nanosleep(&(struct timespec){.tv_nsec = PAUSE_NS}, NULL);
		r = open_locked(d, home);
	}
	return r != -EBUSY ? r
			   : log_fail(r,
				      "machine %s: runs already: end that one, or give another "
				      "--name",
				      d->name);
}

int machine_dir_open(struct machine_dir *d, const char *name, int ephemeral)
{
	char home[PATH_MAX];
	int r;

	memset(d, 0, sizeof(*d));
	d->home_fd = d->dir_fd = d->lock_fd = -1;
	if (!is_host_name(name) || !strncmp(name, EPHEMERAL, strlen(EPHEMERAL)))
		return log_fail(
			-EINVAL,
			"--name: %s: give letters, digits and dashes, at most %d: it becomes "
			"the guest's host name",
			name, MACHINE_NAME_MAX);
	d->is_open = 1;
	snprintf(d->name, sizeof(d->name), "%s", name);
	d->ephemeral = ephemeral != 0;
	r = open_home(d, home);
	if (r == 0)
		r = open_soon(d, home);
	if (r == 0) {
		set_disk(d);
		r = load(d);
	}
	if (r < 0)
		machine_dir_close(d);
	return r;
}

/* --- keeping --------------------------------------------------------------------------------- */

int machine_dir_keep(struct machine_dir *d, const char *image, const char *format, uint64_t size,
		     int64_t mtime_ns)
{
	char text[IMAGE_TEXT_MAX];
	int r = 0;

	assert(d->is_open && image[0] == '/' && is_format(format));
	if (strpbrk(image, "\r\n"))
		return log_fail(-EINVAL, "%s: a line's end in an image's path: rename it", image);
	if (strlen(image) >= sizeof(d->image))
		return log_fail(-ENAMETOOLONG, "%s: is too long a path: move that image", image);
	snprintf(text, sizeof(text), "%s\n%s\n%" PRIu64 " %" PRId64 "\n%s\n", image, format, size,
		 mtime_ns, d->image_name);
	if (d->is_new)
		r = save_uuid(d);
	if (r == 0)
		r = write_text(d, "image", text);
	if (r < 0)
		return r;
	d->is_new = 0;
	snprintf(d->image, sizeof(d->image), "%s", image);
	snprintf(d->image_format, sizeof(d->image_format), "%s", format);
	d->image_size = size;
	d->image_mtime_ns = mtime_ns;
	return 0;
}

/* A file of the store: of the same name it is the same, whenever it was fetched. */
static int is_blob(const char *image)
{
	char store[PATH_MAX];
	size_t n;

	if (image_store_home("images/blobs/", store, sizeof(store)))
		return 0;
	n = strlen(store);
	return strncmp(image, store, n) == 0 && !strchr(image + n, '/');
}

int machine_dir_is_over(const struct machine_dir *d, const char *image, uint64_t size,
			int64_t mtime_ns)
{
	return strcmp(d->image, image) == 0 &&
	       (d->image_size == 0 || is_blob(image) ||
		(d->image_size == size && d->image_mtime_ns == mtime_ns));
}

int machine_dir_is_from(const struct machine_dir *d, const char *name)
{
	return d->image_name[0] ? strcmp(d->image_name, name) == 0 : is_blob(d->image);
}

void machine_dir_close(struct machine_dir *d)
{
	int lock;

	if (!d->is_open)
		return;
	d->is_open = 0;
	if (d->is_new || (d->ephemeral && d->dir_fd >= 0)) {
		lock = lock_home(d);
		if (lock >= 0) {
			remove_dir(d->home_fd, entry(d), d->dir_fd);
			close(lock);
		}
	}
	close_fd(&d->lock_fd);
	close_fd(&d->dir_fd);
	close_fd(&d->home_fd);
}
