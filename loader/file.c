/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Reads the files that the user names, each byte once, and says in one sentence why one cannot be
 * read. Runs on the main thread before any vCPU does. Knows nothing of what the bytes mean.
 */
#include "loader/file.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "vmm/log.h"

int file_init(struct file *f, int fd, const char *what, const char *path)
{
	struct stat st;

	if (fstat(fd, &st) != 0)
		return log_fail(-errno, "%s %s: cannot be looked at: %s", what, path,
				strerror(errno));
	if (S_ISDIR(st.st_mode))
		return log_fail(-EISDIR, "%s %s: is a directory; name a file in it", what, path);
	if (!S_ISREG(st.st_mode))
		return log_fail(-EINVAL, "%s %s: is not a regular file; copy it into one", what,
				path);
	if (st.st_size == 0)
		return log_fail(-EINVAL, "%s %s: is empty; fetch or build it again", what, path);
	f->fd = fd;
	f->what = what;
	f->path = path;
	f->size = (uint64_t)st.st_size;
	return 0;
}

int file_read(const struct file *f, uint64_t off, void *dst, size_t len)
{
	uint8_t *to = dst;

	while (len > 0) {
		ssize_t n = pread(f->fd, to, len, (off_t)off);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return log_fail(-errno, "%s %s: cannot be read: %s", f->what, f->path,
					strerror(errno));
		if (n == 0)
			return log_fail(-ENODATA,
					"%s %s: ends at byte %llu, before its own header says so; "
					"fetch or build it again",
					f->what, f->path, (unsigned long long)off);
		to += n;
		off += (uint64_t)n;
		len -= (size_t)n;
	}
	return 0;
}

int file_slurp(const struct file *f, uint64_t off, size_t len, struct file_bytes *bytes)
{
	int r;

	bytes->data = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (bytes->data == MAP_FAILED) {
		r = -errno;
		bytes->data = NULL;
		return log_fail(r, "%s %s: no memory for %zu bytes of it: %s", f->what, f->path,
				len, strerror(-r));
	}
	bytes->len = len;
	/* Fewer page faults where the host allows it; nothing depends on it. */
	madvise(bytes->data, len, MADV_HUGEPAGE);
	r = file_read(f, off, bytes->data, len);
	if (r < 0)
		file_free(bytes);
	return r;
}

void file_free(struct file_bytes *bytes)
{
	if (bytes->data != NULL)
		munmap(bytes->data, bytes->len);
	bytes->data = NULL;
	bytes->len = 0;
}
