/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Makes a root file system of what this host has. Only copies: no root, no package manager, no
 * mounts. Libraries are those that the program's own loader names when it is asked (`ld.so
 * --list`), so nothing is guessed. Knows no container and no virtual machine.
 */
#include "vmm/bench/root.h"

#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <limits.h>
#include <link.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <unistd.h>

#include "vmm/bench/child.h"
#include "vmm/log.h"

static int fail(int r, const char *what)
{
	return log_fail(r, "bench: %s: %s", what, strerror(-r));
}

/* Makes the directories in which @path lies. */
static int make_parents(const char *path)
{
	char dir[PATH_MAX];

	snprintf(dir, sizeof(dir), "%s", path);
	for (char *slash = strchr(dir + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
		*slash = '\0';
		if (mkdir(dir, 0755) < 0 && errno != EEXIST)
			return -errno;
		*slash = '/';
	}
	return 0;
}

static int copy_bytes(int in, int out)
{
	ssize_t n;

	do
		n = sendfile(out, in, NULL, 1 << 30);
	while (n > 0);
	return n < 0 ? -errno : 0;
}

int root_copy(const char *from, const char *to)
{
	int r = make_parents(to), in, out;
	struct stat st;

	if (r < 0)
		return fail(r, to);
	in = open(from, O_RDONLY | O_CLOEXEC);
	if (in < 0)
		return fail(-errno, from);
	/* Anew: what is there may be a link that leads out. */
	unlink(to);
	out = open(to, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0755);
	r = out < 0 || fstat(in, &st) < 0 ? -errno : copy_bytes(in, out);
	if (out >= 0 && close(out) < 0 && r == 0)
		r = -errno;
	close(in);
	return r < 0 ? fail(r, to) : 0;
}

int root_make(const char *root)
{
	static const char *const dirs[] = {"bin",  "data", "dev", "dev/shm", "etc",    "proc",
					   "root", "run",  "sys", "tmp",     "usr/bin"};
	char path[PATH_MAX];
	int r;

	for (size_t i = 0; i < sizeof(dirs) / sizeof(dirs[0]); i++) {
		snprintf(path, sizeof(path), "%s/%s", root, dirs[i]);
		r = make_parents(path);
		if (r < 0 || (mkdir(path, 0755) < 0 && errno != EEXIST))
			return fail(r < 0 ? r : -errno, path);
	}
	return 0;
}

/*
 * The loader that program @path names (PT_INTERP): 0 with "" for a static one, or -ENOEXEC if it is
 * no program of this machine's.
 */
static int find_interpreter(const char *path, char *loader, size_t size)
{
	FILE *f = fopen(path, "re");
	ElfW(Ehdr) eh;
	ElfW(Phdr) ph;
	int r = f ? 0 : -errno;

	loader[0] = '\0';
	if (f && (fread(&eh, sizeof(eh), 1, f) != 1 || memcmp(eh.e_ident, ELFMAG, SELFMAG) != 0))
		r = -ENOEXEC;
	for (unsigned i = 0; r == 0 && i < eh.e_phnum; i++) {
		if (fseek(f, (long)(eh.e_phoff + i * sizeof(ph)), SEEK_SET) < 0 ||
		    fread(&ph, sizeof(ph), 1, f) != 1)
			r = -ENOEXEC;
		else if (ph.p_type == PT_INTERP && ph.p_filesz < size &&
			 (fseek(f, (long)ph.p_offset, SEEK_SET) < 0 ||
			  fread(loader, 1, ph.p_filesz, f) != ph.p_filesz))
			r = -ENOEXEC;
	}
	if (f)
		fclose(f);
	return r;
}

/* Copies @path to its own place below @root, if it is not there already. */
static int add_as_it_is(const char *root, const char *path)
{
	char to[PATH_MAX];

	snprintf(to, sizeof(to), "%s%s", root, path);
	return access(to, F_OK) == 0 ? 0 : root_copy(path, to);
}

/* One line of `ld.so --list`: `NAME => PATH (ADDRESS)`, or `PATH (ADDRESS)` for the loader. */
static int add_library(const char *root, const char *program, const char *line)
{
	const char *arrow = strstr(line, "=> "), *path = arrow ? arrow + 3 : line;
	char library[PATH_MAX];

	path += strspn(path, " \t");
	if (strncmp(path, "not found", 9) == 0)
		return log_fail(-ENOENT, "bench: %s: a library is missing: %.*s", program,
				(int)strcspn(line + strspn(line, "\t"), "\n"),
				line + strspn(line, "\t"));
	if (*path != '/')
		return 0; /* the vDSO */
	snprintf(library, sizeof(library), "%.*s", (int)strcspn(path, " \n"), path);
	return add_as_it_is(root, library);
}

/* Also what the C library opens when a thread is cancelled, and no program names. */
static int add_libraries(const char *root, const char *path, char *loader, int stop_fd)
{
	char *argv[] = {loader, "--preload", "libgcc_s.so.1", "--list", (char *)path, NULL};
	struct child_spec spec = {.argv = argv, .in = -1};
	static char text[65536];
	int r = child_capture(&spec, stop_fd, text, sizeof(text));

	if (r == -ECANCELED)
		return r;
	if (r != 0)
		return log_fail(-ENOEXEC, "bench: %s: %s does not list its libraries: %.*s", path,
				loader, (int)strcspn(text, "\n"), text);
	for (char *line = strtok(text, "\n"); line; line = strtok(NULL, "\n")) {
		r = add_library(root, path, line);
		if (r < 0)
			return r;
	}
	return add_as_it_is(root, loader);
}

int root_add_program(const char *root, const char *path, const char *as, int stop_fd)
{
	char loader[256], to[PATH_MAX];
	int r = find_interpreter(path, loader, sizeof(loader));

	if (r == -ENOEXEC)
		return log_fail(r,
				"bench: %s: is no program of this machine (a script around it?): "
				"put the program itself into PATH",
				path);
	if (r < 0)
		return fail(r, path);
	snprintf(to, sizeof(to), "%s%s", root, as ? as : path);
	r = root_copy(path, to);
	if (r == 0 && *loader)
		r = add_libraries(root, path, loader, stop_fd);
	return r;
}

int root_add_tool(const char *root, const char *name, int stop_fd)
{
	char found[PATH_MAX], path[PATH_MAX], link[PATH_MAX];
	int r;

	if (child_find(name, found, sizeof(found)) < 0)
		return log_fail(-ENOENT, "bench: there is no %s in PATH", name);
	/* Libraries may be named by where the program itself is ($ORIGIN). */
	if (!realpath(found, path))
		return fail(-errno, found);
	r = root_add_program(root, path, NULL, stop_fd);
	snprintf(link, sizeof(link), "%s/usr/bin/%s", root, name);
	if (r == 0 && symlink(path, link) < 0 && errno != EEXIST)
		r = fail(-errno, link);
	return r;
}

int root_add_shell(const char *root, int stop_fd)
{
	char path[PATH_MAX], loader[256], link[PATH_MAX];
	static char names[32768];
	char *argv[] = {path, "--list", NULL};
	struct child_spec spec = {.argv = argv, .in = -1};

	if (child_find("busybox", path, sizeof(path)) < 0 ||
	    find_interpreter(path, loader, sizeof(loader)) < 0 || *loader ||
	    child_capture(&spec, stop_fd, names, sizeof(names)) != 0) {
		if (child_find("sh", path, sizeof(path)) < 0)
			return log_fail(-ENOENT, "bench: there is no sh in PATH");
		return root_add_program(root, path, "/bin/sh", stop_fd);
	}
	for (char *name = strtok(names, "\n"); name; name = strtok(NULL, "\n")) {
		snprintf(link, sizeof(link), "%s/bin/%s", root, name);
		if (symlink("busybox", link) < 0 && errno != EEXIST)
			return fail(-errno, link);
	}
	return root_add_program(root, path, "/bin/busybox", stop_fd);
}

int root_add_text(const char *root, const char *as, const char *text)
{
	char path[PATH_MAX];
	FILE *f;
	int r;

	snprintf(path, sizeof(path), "%s%s", root, as);
	r = make_parents(path);
	f = r < 0 ? NULL : fopen(path, "we");
	if (!f)
		return fail(r < 0 ? r : -errno, path);
	fputs(text, f);
	return fclose(f) ? fail(-errno, path) : 0;
}

static uint64_t total;

static int add_size(const char *path, const struct stat *st, int what, struct FTW *ftw)
{
	(void)path;
	(void)what;
	(void)ftw;
	total += (uint64_t)st->st_blocks * 512;
	return 0;
}

uint64_t root_size(const char *root)
{
	total = 0;
	nftw(root, add_size, 16, FTW_PHYS);
	return total;
}

static int remove_one(const char *path, const struct stat *st, int what, struct FTW *ftw)
{
	(void)st;
	(void)what;
	(void)ftw;
	remove(path);
	return 0;
}

void root_remove(const char *root)
{
	nftw(root, remove_one, 16, FTW_PHYS | FTW_DEPTH | FTW_MOUNT);
}
