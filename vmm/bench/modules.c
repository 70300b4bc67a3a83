/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Reads the lists that depmod leaves beside a kernel's modules. A line of modules.dep is
 * `FILE: FILE...`: a module, and what it needs, the last one first.
 */
#include "vmm/bench/modules.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Is @file, such as kernel/fs/ext4/ext4.ko.xz, module @name? */
static int is_module(const char *file, size_t len, const char *name)
{
	const char *base = file + len;

	while (base > file && base[-1] != '/')
		base--;
	for (; *name; name++, base++) {
		char a = *base == '-' ? '_' : *base, b = *name == '-' ? '_' : *name;

		if (base == file + len || a != b)
			return 0;
	}
	return (size_t)(file + len - base) >= 3 && strncmp(base, ".ko", 3) == 0;
}

static int add(struct modules *m, const char *file, size_t len)
{
	for (unsigned i = 0; i < m->n; i++)
		if (strlen(m->path[i]) == len && strncmp(m->path[i], file, len) == 0)
			return 0;
	if (m->n == MODULES_MAX)
		return -E2BIG;
	m->path[m->n] = strndup(file, len);
	if (!m->path[m->n])
		return -ENOMEM;
	m->n++;
	return 0;
}

/* The module's own file comes first on its line, and is loaded last. */
static int add_line(struct modules *m, const char *line)
{
	const char *end = line + strcspn(line, "\n");
	int r = 0;

	while (r == 0 && end > line) {
		const char *start = end;

		while (start > line && start[-1] != ' ')
			start--;
		if (end > start)
			r = add(m, start, (size_t)(end - start) - (end[-1] == ':'));
		end = start > line ? start - 1 : line;
	}
	return r;
}

/* The line of list @file in which module @name comes first, malloc()ed, or NULL with *@r. */
static char *find_line(const char *dir, const char *file, const char *name, int *r)
{
	char path[PATH_MAX], *line = NULL;
	size_t size = 0;
	FILE *f;

	snprintf(path, sizeof(path), "%s/%s", dir, file);
	f = fopen(path, "re");
	*r = f ? -ENOENT : -EIO;
	while (f && *r < 0 && getline(&line, &size, f) > 0)
		if (is_module(line, strcspn(line, ":\n"), name))
			*r = 0;
	if (f)
		fclose(f);
	if (*r < 0) {
		free(line);
		line = NULL;
	}
	return line;
}

int modules_add(struct modules *m, const char *dir, const char *name)
{
	char *line;
	int r, builtin;

	line = find_line(dir, "modules.dep", name, &r);
	if (line) {
		r = add_line(m, line);
		free(line);
		return r;
	}
	free(find_line(dir, "modules.builtin", name, &builtin));
	return builtin == 0 ? 0 : r;
}

void modules_free(struct modules *m)
{
	for (unsigned i = 0; i < m->n; i++)
		free(m->path[i]);
	m->n = 0;
}
