/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef VMM_XDG_H
#define VMM_XDG_H

#include <stddef.h>

/* Where a user's files are (XDG Base Directory Specification): below $VARIABLE, or below HOME. */
enum xdg_base {
	XDG_DATA,   /* XDG_DATA_HOME, ~/.local/share */
	XDG_CONFIG, /* XDG_CONFIG_HOME, ~/.config */
	XDG_CACHE,  /* XDG_CACHE_HOME, ~/.cache */
};

/*
 * The path of skiff/@what there, of @size bytes at most. 0; -ENOENT if nothing says where the
 * user's home is; -ENAMETOOLONG. Silent.
 */
int xdg_path(enum xdg_base base, const char *what, char *path, size_t size);

/*
 * Makes directory @path and those above it that are not there, for the user alone, as the
 * specification wants them. 0 or -errno. Silent.
 */
int xdg_make_dirs(const char *path);

#endif
