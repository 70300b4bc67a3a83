/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The commands that make, describe, check and enlarge files which hold a disk. Main thread; they
 * block. What a qcow2 file is, devices/block/qcow2.h knows.
 *
 * System calls (raw files): openat, fstat, fcntl (lock), ftruncate, fsync, pread, unlink.
 */
#include "loader/image/disk_file.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "devices/block/lock.h"
#include "devices/block/qcow2.h"
#include "loader/image/options.h"
#include "loader/image/units.h"
#include "vmm/json_out.h"
#include "vmm/log.h"
#include "vmm/size.h"

enum { CHECK_CLEAN = 0, CHECK_FAILED = 1, CHECK_ERRORS = 2, CHECK_LEAKS = 3 };

enum format { FORMAT_RAW, FORMAT_QCOW2 };

/* NULL is what is taken where nothing is said. */
static int parse_format(const char *command, const char *option, const char *text, int *format)
{
	if (!text)
		return 0;
	if (strcmp(text, "raw") != 0 && strcmp(text, "qcow2") != 0)
		return log_fail(-EINVAL, "image %s: %s: %s: give raw or qcow2", command, option,
				text);
	*format = strcmp(text, "raw") == 0 ? FORMAT_RAW : FORMAT_QCOW2;
	return 0;
}

static int parse_disk_size(const char *command, const char *text, uint64_t *size)
{
	if (size_parse(text, size) < 0)
		return log_fail(
			-EINVAL,
			"image %s: %s: give a size such as 20G (K, M, G and T are powers of "
			"1024)",
			command, text);
	if (*size == 0 || *size % 512 || *size > INT64_MAX)
		return log_fail(-EINVAL, "image %s: %s: give a multiple of 512 bytes", command,
				text);
	return 0;
}

/* One file; and a size if @size_text is given. The number of words, or -EINVAL. */
static int parse_words(const char *command, int argc, char **argv, const struct option_row *rows,
		       const char **file, const char **size_text)
{
	const char *words[2] = {NULL};
	int n = options_parse(command, argc, argv, rows, words, size_text ? 2 : 1);

	if (n == 0)
		return log_fail(-EINVAL, "image %s: give the file: see `skiff image help %s`",
				command, command);
	*file = words[0];
	if (size_text)
		*size_text = words[1];
	return n;
}

/* --- create ---------------------------------------------------------------------------------- */

struct creation {
	const char *file, *size_text, *format_text, *backing, *backing_format, *cluster_text;
	int format, backing_is;
	uint64_t size, cluster;
};

static int create_raw(const struct creation *c)
{
	int fd = open(c->file, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0644), r = 0;

	if (fd < 0)
		return log_fail(-errno, "image create: %s: cannot create: %s", c->file,
				strerror(errno));
	if (ftruncate(fd, (off_t)c->size) || fsync(fd))
		r = log_fail(-errno, "image create: %s: cannot make it %" PRIu64 " bytes long: %s",
			     c->file, c->size, strerror(errno));
	close(fd);
	if (r < 0)
		unlink(c->file);
	return r;
}

/* Its name counts from where the image is. The size of the disk in it. */
static int look_at_backing(const struct creation *c, uint64_t *size)
{
	const char *slash = strrchr(c->file, '/');
	struct qcow2_info info;
	struct stat st;
	char *path = NULL;
	int r = 0;

	if (c->backing[0] == '/' || !slash)
		path = strdup(c->backing);
	else if (asprintf(&path, "%.*s/%s", (int)(slash - c->file), c->file, c->backing) < 0)
		path = NULL;
	if (!path)
		return log_fail(-ENOMEM, "image create: out of memory");
	if (stat(path, &st))
		r = log_fail(-errno,
			     "image create: --backing: %s: %s (its name counts from where "
			     "%s will be)",
			     path, strerror(errno), c->file);
	else if (!S_ISREG(st.st_mode))
		r = log_fail(-EINVAL, "image create: --backing: %s: is not a regular file", path);
	else if (c->backing_is == FORMAT_QCOW2)
		r = qcow2_info(path, &info);
	if (r == 0)
		*size = c->backing_is == FORMAT_QCOW2 ? info.size : (uint64_t)st.st_size & ~511ull;
	free(path);
	return r;
}

static int judge_creation(struct creation *c)
{
	int r = parse_format("create", "--format", c->format_text, &c->format);

	if (r == 0)
		r = parse_format("create", "--backing-format", c->backing_format, &c->backing_is);
	if (r == 0 && c->size_text)
		r = parse_disk_size("create", c->size_text, &c->size);
	if (r < 0)
		return r;
	if (!c->size_text && !c->backing)
		return log_fail(-EINVAL, "image create: %s: give its size, such as 20G", c->file);
	if (c->format == FORMAT_RAW && (c->backing || c->cluster_text))
		return log_fail(-EINVAL,
				"image create: %s: raw files have none: use --format qcow2",
				c->backing ? "--backing" : "--cluster-size");
	if (!c->backing != !c->backing_format)
		return log_fail(-EINVAL, "image create: %s",
				c->backing ? "--backing: state its format with --backing-format"
					   : "--backing-format: give the file with --backing");
	if (c->cluster_text && (size_parse(c->cluster_text, &c->cluster) < 0 || c->cluster < 512 ||
				c->cluster > 2u << 20 || c->cluster & (c->cluster - 1)))
		return log_fail(-EINVAL,
				"image create: --cluster-size: %s: give a power of two from 512 to "
				"2M",
				c->cluster_text);
	return 0;
}

static int create(struct creation *c)
{
	uint64_t backing_size = 0;
	int r = c->backing ? look_at_backing(c, &backing_size) : 0;

	if (r < 0)
		return r;
	if (c->format == FORMAT_RAW)
		return create_raw(c);
	return qcow2_create(&(struct qcow2_creation){
		.path = c->file,
		.size = c->size_text ? c->size : backing_size,
		.cluster_bits = c->cluster ? (uint32_t)__builtin_ctzll(c->cluster) : 0,
		.backing = c->backing,
		.backing_format = c->backing_format,
	});
}

int disk_file_create(int argc, char **argv)
{
	struct creation c = {.format = FORMAT_QCOW2};
	const struct option_row rows[] = {
		{"--format", &c.format_text, NULL},
		{"--backing", &c.backing, NULL},
		{"--backing-format", &c.backing_format, NULL},
		{"--cluster-size", &c.cluster_text, NULL},
		{NULL, NULL, NULL},
	};
	int r = parse_words("create", argc, argv, rows, &c.file, &c.size_text);

	if (r >= 0)
		r = judge_creation(&c);
	return options_exit_status(r < 0 ? r : create(&c));
}

void disk_file_create_help(void)
{
	puts("usage: skiff image create FILE SIZE [OPTION]...\n"
	     "\n"
	     "Makes a file that holds an empty disk. SIZE takes K, M, G and T; it may be left out\n"
	     "over a backing file, whose size it has then.\n"
	     "\n"
	     "  --format qcow2|raw          default qcow2\n"
	     "  --backing FILE              lay it over FILE, which is not written from then on;\n"
	     "                              the name counts from where the new file is\n"
	     "  --backing-format qcow2|raw  FILE's format, which is never guessed\n"
	     "  --cluster-size SIZE         512 to 2M, default 64K");
}

/* --- info ------------------------------------------------------------------------------------ */

struct about {
	const char *file;
	int format, guessed;
	uint64_t size, file_size, on_disk;
	struct qcow2_info qcow2;
};

/* 1 if it begins like a qcow2 file. Only for telling: nothing is done because of it. */
static int looks_like_qcow2(int fd)
{
	char magic[4];

	return pread(fd, magic, 4, 0) == 4 && memcmp(magic, "QFI\xfb", 4) == 0;
}

static int examine(struct about *a)
{
	int fd = open(a->file, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK), r = 0;
	struct stat st;

	if (fd < 0)
		return log_fail(-errno, "image info: %s: cannot open: %s", a->file,
				strerror(errno));
	if (fstat(fd, &st))
		r = log_fail(-errno, "image info: %s: cannot stat: %s", a->file, strerror(errno));
	else if (!S_ISREG(st.st_mode))
		r = log_fail(-ENOTSUP, "image info: %s: is not a regular file", a->file);
	else if (a->guessed)
		a->format = looks_like_qcow2(fd) ? FORMAT_QCOW2 : FORMAT_RAW;
	close(fd);
	if (r < 0)
		return r;
	a->file_size = a->size = (uint64_t)st.st_size;
	a->on_disk = 512ull * (uint64_t)st.st_blocks;
	if (a->format == FORMAT_QCOW2) {
		r = qcow2_info(a->file, &a->qcow2);
		a->size = a->qcow2.size;
	}
	return r;
}

/* What an image says reaches a terminal as plain letters. */
static void print_text(const char *label, const char *text)
{
	printf("%-15s", label);
	for (; *text; text++)
		putchar(*text < 0x20 || *text > 0x7e ? '?' : *text);
	putchar('\n');
}

static void print_bytes(const char *label, uint64_t bytes)
{
	char text[UNITS_TEXT_MAX];

	printf("%-15s%s (%" PRIu64 " bytes)\n", label, units_bytes(bytes, text), bytes);
}

static const char *state_of(const struct qcow2_info *q)
{
	return q->corrupt ? "marked as damaged" : q->dirty ? "marked as not closed" : "good";
}

static void print_table(const struct about *a)
{
	const struct qcow2_info *q = &a->qcow2;
	char text[UNITS_TEXT_MAX];

	print_text("file", a->file);
	printf("%-15s%s%s\n", "format", a->format == FORMAT_QCOW2 ? "qcow2" : "raw",
	       a->guessed ? ", by its first bytes" : "");
	print_bytes("disk", a->size);
	print_bytes("file size", a->file_size);
	print_bytes("on the host", a->on_disk);
	if (a->format == FORMAT_RAW)
		return;
	printf("%-15s%u\n", "version", q->version);
	printf("%-15s%s\n", "clusters", units_bytes(1ull << q->cluster_bits, text));
	printf("%-15s%u-bit%s\n", "refcounts", q->refcount_bits, q->lazy_refcounts ? ", lazy" : "");
	printf("%-15s%s\n", "compression", q->zstd ? "zstd" : "zlib");
	printf("%-15s%u\n", "snapshots", q->snapshots);
	printf("%-15s%s\n", "state", state_of(q));
	if (!q->backing[0])
		return;
	print_text("backing file", q->backing);
	print_text("its format", q->backing_format[0] ? q->backing_format : "not stated");
}

static void print_json(const struct about *a)
{
	const struct qcow2_info *q = &a->qcow2;
	struct json_out j;

	json_out_init(&j, stdout);
	json_out_open(&j, NULL, '{');
	json_out_string(&j, "file", a->file);
	json_out_string(&j, "format", a->format == FORMAT_QCOW2 ? "qcow2" : "raw");
	json_out_uint(&j, "size", a->size);
	json_out_uint(&j, "file_size", a->file_size);
	json_out_uint(&j, "allocated", a->on_disk);
	if (a->format == FORMAT_QCOW2) {
		json_out_uint(&j, "version", q->version);
		json_out_uint(&j, "cluster_size", 1ull << q->cluster_bits);
		json_out_uint(&j, "refcount_bits", q->refcount_bits);
		json_out_bool(&j, "lazy_refcounts", q->lazy_refcounts);
		json_out_string(&j, "compression", q->zstd ? "zstd" : "zlib");
		json_out_uint(&j, "snapshots", q->snapshots);
		json_out_bool(&j, "dirty", q->dirty);
		json_out_bool(&j, "corrupt", q->corrupt);
	}
	if (a->format == FORMAT_QCOW2 && q->backing[0]) {
		json_out_string(&j, "backing", q->backing);
		json_out_string(&j, "backing_format", q->backing_format);
	}
	json_out_close(&j, '}');
}

int disk_file_info(int argc, char **argv)
{
	const char *format_text = NULL;
	struct about a = {0};
	int json = 0, r;
	const struct option_row rows[] = {
		{"--format", &format_text, NULL},
		{"--json", NULL, &json},
		{NULL, NULL, NULL},
	};

	r = parse_words("info", argc, argv, rows, &a.file, NULL);
	if (r >= 0)
		r = parse_format("info", "--format", format_text, &a.format);
	a.guessed = !format_text;
	if (r == 0)
		r = examine(&a);
	if (r < 0)
		return options_exit_status(r);
	if (json)
		print_json(&a);
	else
		print_table(&a);
	return 0;
}

void disk_file_info_help(void)
{
	puts("usage: skiff image info FILE [--format qcow2|raw] [--json]\n"
	     "\n"
	     "Tells what a file that holds a disk says of itself. Without --format its first bytes\n"
	     "decide how it is described (and nothing else). A backing file is named, not opened.");
}

/* --- check ----------------------------------------------------------------------------------- */

int disk_file_check(int argc, char **argv)
{
	const struct option_row none[] = {{NULL, NULL, NULL}};
	struct qcow2_check found;
	struct qcow2_info info;
	const char *file;
	int r = parse_words("check", argc, argv, none, &file, NULL);

	if (r < 0 || qcow2_check(file, &found) < 0)
		return CHECK_FAILED;
	printf("in use: %" PRIu64 " of %" PRIu64 " clusters\n", found.used, found.clusters);
	if (found.leaks)
		printf("leaked: %" PRIu64 " (counted and not used: space lost, nothing worse; give "
		       "it back with `qemu-img check -r leaks`)\n",
		       found.leaks);
	if (found.errors)
		printf("errors: %" PRIu64
		       " (do not write to it; copy what can be read, or repair it "
		       "with `qemu-img check -r all`)\n",
		       found.errors);
	if (!found.leaks && !found.errors)
		puts("no errors");
	if (found.errors && qcow2_info(file, &info) == 0 && info.dirty)
		puts("It was not closed, and its counts were put off: opened for writing it gets "
		     "new ones.");
	return found.errors ? CHECK_ERRORS : found.leaks ? CHECK_LEAKS : CHECK_CLEAN;
}

void disk_file_check_help(void)
{
	puts("usage: skiff image check FILE\n"
	     "\n"
	     "Compares what a qcow2 file says of its clusters with what its tables use. Changes\n"
	     "nothing; the file must not be in use.\n"
	     "\n"
	     "Exit status: 0 clean, 3 clusters are lost (leaked) and nothing worse, 2 errors, 1 it\n"
	     "could not be checked.");
}

/* --- resize ---------------------------------------------------------------------------------- */

static int grow_raw(int fd, const struct stat *st, const char *file, uint64_t size)
{
	if (looks_like_qcow2(fd))
		return log_fail(-ENOTSUP,
				"image resize: %s: begins like a qcow2 file: give --format qcow2",
				file);
	if (size < (uint64_t)st->st_size)
		return log_fail(-ENOTSUP,
				"image resize: %s: has %lld bytes, which is more than %" PRIu64
				": it can only become larger",
				file, (long long)st->st_size, size);
	if (ftruncate(fd, (off_t)size) || fsync(fd))
		return log_fail(-errno,
				"image resize: %s: cannot make it %" PRIu64 " bytes long: %s", file,
				size, strerror(errno));
	return 0;
}

static int resize_raw(const char *file, uint64_t size)
{
	int fd = open(file, O_RDWR | O_CLOEXEC | O_NOCTTY | O_NONBLOCK), r;
	struct stat st;

	if (fd < 0)
		return log_fail(-errno, "image resize: %s: cannot open: %s", file, strerror(errno));
	if (fstat(fd, &st) || !S_ISREG(st.st_mode))
		r = log_fail(-ENOTSUP, "image resize: %s: is not a regular file", file);
	else
		r = lock_image(fd, 1, "image resize", file, "", &st);
	if (r == 0)
		r = grow_raw(fd, &st, file, size);
	close(fd);
	return r;
}

int disk_file_resize(int argc, char **argv)
{
	const char *format_text = NULL, *size_text, *file;
	int format = FORMAT_QCOW2, r;
	uint64_t size = 0;
	const struct option_row rows[] = {
		{"--format", &format_text, NULL},
		{NULL, NULL, NULL},
	};

	r = parse_words("resize", argc, argv, rows, &file, &size_text);
	if (r == 1)
		r = log_fail(-EINVAL, "image resize: %s: give its new size, such as 20G", file);
	if (r >= 0)
		r = parse_format("resize", "--format", format_text, &format);
	if (r == 0)
		r = parse_disk_size("resize", size_text, &size);
	if (r < 0)
		return options_exit_status(r);
	r = format == FORMAT_RAW ? resize_raw(file, size) : qcow2_resize(file, size);
	return r < 0 ? 1 : 0;
}

void disk_file_resize_help(void)
{
	puts("usage: skiff image resize FILE SIZE [--format qcow2|raw]\n"
	     "\n"
	     "Makes the disk in FILE (a qcow2 file, unless --format says raw) larger; the guest sees\n"
	     "more room behind its partitions. It cannot become smaller. SIZE takes K, M, G and T.\n"
	     "The file must not be in use.");
}
