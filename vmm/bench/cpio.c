/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The archive format that the kernel takes as initramfs:
 * Documentation/driver-api/early-userspace/buffer-format.rst. Knows nothing of what is packed.
 */
#include "vmm/bench/cpio.h"

#include <errno.h>
#include <fts.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "vmm/log.h"

static void pad(FILE *f)
{
	while (ftell(f) % 4)
		fputc(0, f);
}

static void header(FILE *f, unsigned ino, unsigned mode, size_t size, const char *name)
{
	fprintf(f, "070701%08X%08X%08X%08X%08X%08X%08zX%08X%08X%08X%08X%08zX%08X", ino, mode, 0, 0,
		1, 0, size, 0, 0, 0, 0, strlen(name) + 1, 0);
	fwrite(name, 1, strlen(name) + 1, f);
	pad(f);
}

static int put_file(FILE *f, const FTSENT *e)
{
	FILE *in = fopen(e->fts_accpath, "re");
	char buf[65536];
	size_t n;
	int bad;

	if (!in)
		return -errno;
	while ((n = fread(buf, 1, sizeof(buf), in)) > 0)
		fwrite(buf, 1, n, f);
	bad = ferror(in);
	fclose(in);
	return bad ? -EIO : 0;
}

static int put_link(FILE *f, const FTSENT *e)
{
	char target[PATH_MAX];
	ssize_t n = readlink(e->fts_accpath, target, sizeof(target));

	if (n < 0)
		return -errno;
	fwrite(target, 1, (size_t)n, f);
	return 0;
}

static int put(FILE *f, const FTSENT *e, const char *name, unsigned ino)
{
	unsigned mode = e->fts_statp->st_mode;
	int r = 0;

	if (S_ISDIR(mode)) {
		header(f, ino, mode, 0, name);
	} else if (S_ISREG(mode)) {
		header(f, ino, mode, (size_t)e->fts_statp->st_size, name);
		r = put_file(f, e);
	} else if (S_ISLNK(mode)) {
		header(f, ino, mode, (size_t)e->fts_statp->st_size, name);
		r = put_link(f, e);
	}
	pad(f);
	return r;
}

int cpio_write(const char *what, const char *dir, const char *out)
{
	char *roots[] = {(char *)dir, NULL};
	FILE *f = fopen(out, "we");
	FTS *tree = f ? fts_open(roots, FTS_PHYSICAL | FTS_NOCHDIR, NULL) : NULL;
	unsigned ino = 1;
	int r = tree ? 0 : -errno;
	FTSENT *e;

	while (r == 0 && (e = fts_read(tree))) {
		const char *name = e->fts_path + strlen(dir);

		if (e->fts_info == FTS_ERR || e->fts_info == FTS_DNR)
			r = -e->fts_errno;
		else if (e->fts_info != FTS_DP && *name == '/')
			r = put(f, e, name + 1, ino++);
	}
	if (r == 0)
		header(f, 0, 0, 0, "TRAILER!!!");
	if (tree)
		fts_close(tree);
	if (f && (ferror(f) | (fclose(f) != 0)) && r == 0)
		r = -ENOSPC;
	return r < 0 ? log_fail(r, "%s: cannot write %s: %s", what, out, strerror(-r)) : 0;
}
