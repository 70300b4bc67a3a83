/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The directories of a user's files. Any thread before vCPUs run: it reads the environment. Knows
 * nothing of what lies in them.
 */
#include "vmm/xdg.h"

#include <errno.h>
#include <limits.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static const struct {
	const char *variable, *below_home;
} bases[] = {
	[XDG_DATA] = {"XDG_DATA_HOME", ".local/share"},
	[XDG_CONFIG] = {"XDG_CONFIG_HOME", ".config"},
	[XDG_CACHE] = {"XDG_CACHE_HOME", ".cache"},
};

int xdg_path(enum xdg_base base, const char *what, char *path, size_t size)
{
	const char *dir = getenv(bases[base].variable), *home = getenv("HOME");
	const struct passwd *user;
	int n;

	if (dir && dir[0] == '/') { /* paths that are not absolute are to be ignored */
		n = snprintf(path, size, "%s/skiff/%s", dir, what);
	} else {
		if (!home || home[0] != '/') {
			user = getpwuid(getuid());
			home = user ? user->pw_dir : NULL;
		}
		if (!home || home[0] != '/')
			return -ENOENT;
		n = snprintf(path, size, "%s/%s/skiff/%s", home, bases[base].below_home, what);
	}
	return n >= 0 && (size_t)n < size ? 0 : -ENAMETOOLONG;
}

int xdg_make_dirs(const char *path)
{
	char part[PATH_MAX];
	size_t n = strlen(path);

	if (n >= sizeof(part))
		return -ENAMETOOLONG;
	for (size_t i = 1; i <= n; i++) {
		if (path[i] != '/' && path[i] != '\0')
			continue;
		memcpy(part, path, i);
		part[i] = '\0';
		if (mkdir(part, 0700) && errno != EEXIST)
			return -errno;
	}
	return 0;
}
