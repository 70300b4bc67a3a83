/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Tells what one image is. Main thread. Nothing is done with what a file's first bytes say but
 * printing it. Knows nothing of what is inside the disk.
 */
#include "loader/image/inspection.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "devices/block/qcow2.h"
#include "loader/image/digest.h"
#include "loader/image/options.h"
#include "loader/image/units.h"
#include "loader/image_store.h"
#include "vmm/json_out.h"
#include "vmm/log.h"

#define CHUNK (1u << 20)

struct facts {
	struct image_entry entry; /* of a file: path, format, digest alone */
	int in_store;
	uint64_t on_disk, file_size, size; /* size: of the disk that a guest sees */
	struct qcow2_info qcow2;           /* if the format is qcow2 */
};

static int digest_file(const char *path, int fd, char out[DIGEST_TEXT_MAX])
{
	char *buf = malloc(CHUNK);
	struct digest d;
	struct hasher h;
	ssize_t n = 0;
	int r = hasher_start(&h, 0);

	while (!r && buf && (n = read(fd, buf, CHUNK)) > 0)
		hasher_add(&h, buf, (size_t)n);
	if (!r && (!buf || n < 0))
		r = log_fail(buf ? -errno : -ENOMEM, "image inspect: %s: %s", path,
			     buf ? strerror(errno) : "not enough memory");
	if (!r) {
		hasher_end(&h, DIGEST_SHA256, &d);
		digest_print(&d, out);
	}
	hasher_free(&h);
	free(buf);
	return r;
}

/* What a file of no store tells of itself. */
static int look_at_file(const char *path, struct facts *f)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK), r = 0;
	char magic[4] = "", digest[DIGEST_TEXT_MAX];
	struct stat st;

	if (fd < 0 || fstat(fd, &st)) {
		r = log_fail(-errno,
			     errno == ENOENT && !strchr(path, '/')
				     ? "image inspect: %s: neither an image that is here nor a file"
				     : "image inspect: %s: %s",
			     path, strerror(errno));
	} else if (!S_ISREG(st.st_mode)) {
		r = log_fail(-EINVAL, "image inspect: %s: not a regular file", path);
	} else {
		snprintf(f->entry.path, sizeof(f->entry.path), "%s", path);
		if (pread(fd, magic, 4, 0) == 4 && memcmp(magic, "QFI\xfb", 4) == 0)
			snprintf(f->entry.format, sizeof(f->entry.format), "qcow2");
		else
			snprintf(f->entry.format, sizeof(f->entry.format), "raw");
		r = digest_file(path, fd, digest);
		if (!r)
			snprintf(f->entry.digest, sizeof(f->entry.digest), "%.71s", digest);
	}
	if (fd >= 0)
		close(fd);
	return r;
}

static int gather(const char *target, const char *arch, struct facts *f)
{
	struct stat st;
	int r = strchr(target, '/') ? -ENOENT : image_store_find(target, arch, &f->entry);

	f->in_store = r == 0;
	if (r == -ENOENT)
		r = look_at_file(target, f);
	if (r)
		return r;
	if (stat(f->entry.path, &st))
		return log_fail(-errno, "image inspect: %s: %s", f->entry.path, strerror(errno));
	f->on_disk = (uint64_t)st.st_blocks * 512;
	f->file_size = f->size = (uint64_t)st.st_size;
	if (strcmp(f->entry.format, "qcow2") != 0)
		return 0;
	r = qcow2_info(f->entry.path, &f->qcow2);
	f->size = f->qcow2.size;
	return r;
}

/* --- printing --------------------------------------------------------------------------------- */

static void print_qcow2(const struct qcow2_info *q)
{
	char text[UNITS_TEXT_MAX];

	printf("qcow2        version %u, clusters of %s, %s%s%s%s%u snapshot%s\n", q->version,
	       units_bytes(1u << q->cluster_bits, text), q->zstd ? "zstd, " : "",
	       q->lazy_refcounts ? "lazy refcounts, " : "", q->dirty ? "not closed, " : "",
	       q->corrupt ? "marked as corrupt, " : "", q->snapshots, q->snapshots == 1 ? "" : "s");
	if (q->backing[0])
		printf("laid over    %s (%s)\n", q->backing,
		       q->backing_format[0] ? q->backing_format : "format not stated");
}

static void print_text(const struct facts *f)
{
	const struct image_entry *e = &f->entry;
	char text[UNITS_TEXT_MAX];

	if (f->in_store) {
		printf("name         %s\n", e->name);
		if (e->aliases[0])
			printf("also         %s\n", e->aliases);
		printf("arch         %s\n", e->arch);
	}
	printf("format       %s%s\n", e->format, f->in_store ? "" : ", by its first bytes");
	printf("size         %s (%" PRIu64 " bytes), as a guest sees it\n",
	       units_bytes(f->size, text), f->size);
	printf("file         %s", units_bytes(f->file_size, text));
	printf(", %s on the disk\n", units_bytes(f->on_disk, text));
	if (strcmp(e->format, "qcow2") == 0)
		print_qcow2(&f->qcow2);
	printf("digest       %s\n", e->digest);
	if (f->in_store) {
		printf("compared     %s\n",
		       e->published[0] ? e->published : "with nothing: no digest was given");
		if (e->signature[0])
			printf("signature    %s\n", e->signature);
		printf("source       %s\n", e->source);
		printf("pulled       %s\n", units_date(e->pulled, text));
	}
	printf("path         %s\n", e->path);
}

static void print_json(const struct facts *f)
{
	const struct image_entry *e = &f->entry;
	struct json_out j;

	json_out_init(&j, stdout);
	json_out_open(&j, NULL, '{');
	if (f->in_store) {
		json_out_string(&j, "name", e->name);
		json_out_string(&j, "aliases", e->aliases);
		json_out_string(&j, "arch", e->arch);
		json_out_string(&j, "published", e->published);
		json_out_string(&j, "signature", e->signature);
		json_out_string(&j, "source", e->source);
		json_out_uint(&j, "pulled", e->pulled);
	}
	json_out_string(&j, "format", e->format);
	json_out_uint(&j, "virtual_size", f->size);
	json_out_uint(&j, "file_size", f->file_size);
	json_out_uint(&j, "size_on_disk", f->on_disk);
	json_out_string(&j, "digest", e->digest);
	json_out_string(&j, "path", e->path);
	if (strcmp(e->format, "qcow2") == 0) {
		json_out_open(&j, "qcow2", '{');
		json_out_uint(&j, "version", f->qcow2.version);
		json_out_uint(&j, "cluster_size", 1ull << f->qcow2.cluster_bits);
		json_out_uint(&j, "refcount_bits", f->qcow2.refcount_bits);
		json_out_uint(&j, "snapshots", f->qcow2.snapshots);
		json_out_bool(&j, "zstd", f->qcow2.zstd);
		json_out_bool(&j, "lazy_refcounts", f->qcow2.lazy_refcounts);
		json_out_bool(&j, "dirty", f->qcow2.dirty);
		json_out_bool(&j, "corrupt", f->qcow2.corrupt);
		json_out_string(&j, "backing", f->qcow2.backing);
		json_out_string(&j, "backing_format", f->qcow2.backing_format);
		json_out_close(&j, '}');
	}
	json_out_close(&j, '}');
}

void inspection_help(void)
{
	printf("usage: skiff image inspect NAME|FILE [--arch A] [--json]\n"
	       "\n"
	       "Tells what an image in the store is and where it came from, or what a file is.\n");
}

int inspection_main(int argc, char **argv)
{
	const char *target, *arch = NULL;
	int json = 0, r;
	struct facts f = {.in_store = 0};
	const struct option_row rows[] = {
		{"--arch", &arch, NULL}, {"--json", NULL, &json}, {NULL, NULL, NULL}};

	r = options_parse("inspect", argc, argv, rows, &target, 1);
	if (r == 0)
		r = log_fail(-EINVAL, "image inspect: which one? see `skiff image ls`");
	else if (r > 0 && arch && !(arch = image_store_arch(arch)))
		r = log_fail(-EINVAL, "image inspect: --arch: give amd64 or arm64");
	if (r > 0)
		r = gather(target, arch, &f);
	if (!r && json)
		print_json(&f);
	else if (!r)
		print_text(&f);
	return options_exit_status(r);
}
