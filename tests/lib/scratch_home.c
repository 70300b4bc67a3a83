/* SPDX-License-Identifier: BSD-2-Clause */
/* Homes of tests, under TMPDIR. One at a time. */
#include "tests/lib/scratch_home.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static char home[PATH_MAX / 2];

static void insist(int ok, const char *what)
{
	if (ok)
		return;
	perror(what);
	abort();
}

const char *scratch_home_path(const char *path)
{
	static char out[4][PATH_MAX];
	static unsigned turn;
	char *p = out[turn++ % 4];

	snprintf(p, PATH_MAX, "%s/%s", home, path);
	return p;
}

int scratch_home_make(void **state)
{
	static const char *const proxies[] = {"http_proxy", "https_proxy", "all_proxy",
					      "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"};
	const char *tmp = getenv("TMPDIR");

	(void)state;
	snprintf(home, sizeof(home), "%s/skiff-test-XXXXXX", tmp ? tmp : "/tmp");
	insist(mkdtemp(home) != NULL, home);
	setenv("HOME", home, 1);
	setenv("XDG_DATA_HOME", scratch_home_path("data"), 1);
	setenv("XDG_CONFIG_HOME", scratch_home_path("config"), 1);
	setenv("XDG_CACHE_HOME", scratch_home_path("cache"), 1);
	for (size_t i = 0; i < sizeof(proxies) / sizeof(proxies[0]); i++)
		unsetenv(proxies[i]);
	return 0;
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st;
	(void)type;
	(void)ftw;
	return remove(path);
}

int scratch_home_remove(void **state)
{
	(void)state;
	return nftw(home, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

void scratch_home_write(const char *path, const void *data, size_t len)
{
	char *full = strdup(scratch_home_path(path));
	int fd;

	for (char *p = full + strlen(home) + 1; *p; p++) {
		if (*p != '/')
			continue;
		*p = '\0';
		insist(mkdir(full, 0777) == 0 || errno == EEXIST, full);
		*p = '/';
	}
	fd = open(full, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
	insist(fd >= 0 && write(fd, data, len) == (ssize_t)len, full);
	close(fd);
	free(full);
}

unsigned scratch_home_count(const char *path)
{
	DIR *dir = opendir(scratch_home_path(path));
	struct dirent *d;
	unsigned n = 0;

	while (dir && (d = readdir(dir)))
		n += strcmp(d->d_name, ".") != 0 && strcmp(d->d_name, "..") != 0;
	if (dir)
		closedir(dir);
	return n;
}
