/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The command `skiff-image boot`: lowers its privileges, searches the disk, writes what it found
 * and a report of it. One shot, one thread, no paths.
 */
#include "loader/image/boot.h"

#include <errno.h>
#include <limits.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>
#include <unistd.h>

#include "loader/image/filter.h"
#include "loader/image/find.h"
#include "vmm/jail.h"
#include "vmm/log.h"

/* More than the largest kernel and initrd, and the tables on the way to them. */
#define READ_BUDGET (3ull << 30)

/* --- the report ------------------------------------------------------------------------------ */

static void write_all(int fd, const char *p, size_t len)
{
	while (len > 0) {
		ssize_t n = write(fd, p, len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return; /* whoever reads it misses the end */
		p += n;
		len -= (size_t)n;
	}
}

/* One line; a newline in it would be another one. */
static void say(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
static void say(const char *fmt, ...)
{
	char line[ENTRY_CMDLINE + 64];
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(line, sizeof(line) - 1, fmt, ap);
	va_end(ap);
	if (n < 0)
		return;
	if ((size_t)n > sizeof(line) - 2)
		n = sizeof(line) - 2;
	for (int i = 0; i < n; i++)
		if (((unsigned char)line[i] < 0x20 && line[i] != '\t') || line[i] == 0x7f)
			line[i] = '?';
	line[n] = '\n';
	write_all(IMAGE_BOOT_REPORT_FD, line, (size_t)n + 1);
}

/* What the rooms below say goes into the report: standard error is not ours. */
static void relay(void *arg, enum log_level level, const char *line)
{
	(void)arg;
	if (level <= LOG_WARN)
		say("%s %s", level == LOG_ERROR ? "error" : "warning", line);
}

/* A field has no tab. */
static const char *field(char *text)
{
	for (char *p = text; *p; p++)
		if (*p == '\t')
			*p = '?';
	return text;
}

static void report_parts(struct found *f)
{
	for (unsigned i = 0; i < f->n; i++) {
		struct found_part *p = &f->part[i];

		say("part %u\t%llu\t%s\t%s\t%s\t%s\t%s", p->part.number,
		    (unsigned long long)p->part.len, p->mark.type, field(p->mark.label),
		    p->mark.uuid, p->part.partuuid, field(p->part.name));
	}
}

static const char *why_unreadable(int error)
{
	switch (error) {
	case -ENODATA:
		return "it is longer than its partition or the image: the image was cut short";
	case -ENOTSUP:
		return "it has features that are not known here";
	case -EFBIG:
		return "it is too large";
	case -ENOMEM:
		return "it takes too much memory";
	case -EUCLEAN:
		return "it is damaged";
	default:
		return strerror(-error);
	}
}

static void report_warnings(const struct found *f)
{
	if (f->table_from_backup)
		say("warning the partition table in front is damaged: the copy at the end is used");
	if (f->table_damaged)
		say("warning there should be a partition table (GPT), but it is damaged");
	if (f->parts_dropped)
		say("warning partitions that overlap or lie outside the disk were left out");
	for (unsigned i = 0; i < f->n; i++) {
		const struct found_part *p = &f->part[i];

		if (p->mark.is_ext && p->error)
			say("warning partition %u: the %s file system cannot be read: %s",
			    p->part.number, p->mark.type, why_unreadable(p->error));
		else if (p->fs && ext4_needs_recovery(p->fs))
			say("warning partition %u: was not unmounted, and what its journal holds is "
			    "not seen here: kernel and command line may be older ones; run e2fsck "
			    "on it, or boot it and end it with poweroff",
			    p->part.number);
	}
}

/* The partitions in one line: `1: 3.5 GiB ext4, 14: 4.0 MiB unknown, ...` */
static void list_parts(const struct found *f, char *out, size_t size)
{
	size_t n = 0;

	out[0] = '\0';
	for (unsigned i = 0; i < f->n && n < size; i++) {
		const struct found_part *p = &f->part[i];
		double mib = (double)p->part.len / (1 << 20);

		n += (size_t)snprintf(out + n, size - n, "%s%u: %.1f %s %s", i ? ", " : "",
				      p->part.number, mib < 1024 ? mib : mib / 1024,
				      mib < 1024 ? "MiB" : "GiB",
				      p->mark.type[0] ? p->mark.type : "unknown");
	}
}

static int has_type(const struct found *f, const char *type)
{
	for (unsigned i = 0; i < f->n; i++)
		if (!strcmp(f->part[i].mark.type, type))
			return 1;
	return 0;
}

#define HOW_TO "take kernel and initrd out of the guest and give --kernel and --initrd"

static int explain(const struct found *f, int error)
{
	char parts[600]; /* a message has 1 KiB */

	if (error == -EDQUOT)
		return log_fail(error, "image: reading it comes to no end: it is damaged: " HOW_TO);
	if (error == -ENODATA)
		return log_fail(error,
				"image: it was cut short: its partitions or file systems reach to "
				"byte %llu, and it ends at byte %llu: fetch it again",
				(unsigned long long)f->reach, (unsigned long long)f->image_size);
	if (error != -ENOENT)
		return log_fail(error, "image: cannot be read: %s", strerror(-error));
	list_parts(f, parts, sizeof(parts));
	if (!f->n)
		return log_fail(error, "image: no partition table and no file system known here "
				       "was found: if the image is of another format, convert it "
				       "with `qemu-img convert -O qcow2`, or give --kernel");
	for (unsigned i = 0; i < f->n; i++)
		if (f->part[i].fs)
			return log_fail(error,
					"image: no kernel was found: looked at partitions %s: "
					"in ext4, at /boot and /: " HOW_TO,
					parts);
	return log_fail(error,
			"image: no kernel was found: looked at partitions %s: only ext4 is read "
			"here%s: " HOW_TO,
			parts,
			has_type(f, "btrfs") || has_type(f, "xfs")
				? ", and the kernel seems to lie on btrfs or xfs"
				: "");
}

static void report_boot(const struct found *f)
{
	if (f->os[0])
		say("os %s", f->os);
	say("from %s", f->from);
	say("kernel %s", f->kernel.file.path);
	for (unsigned i = 0; i < f->n_initrds; i++)
		say("initrd %s", f->initrd[i].file.path);
	say("cmdline %s", f->cmdline);
	for (unsigned i = 0; i < FOUND_DRIVERS; i++)
		if (f->driver[i] != '?')
			say("driver %s\t%c", found_driver_name[i], f->driver[i]);
}

/* --- the files ------------------------------------------------------------------------------- */

static int copy(const struct found_file *file, int fd, uint64_t at, uint64_t max, const char *what)
{
	int r;

	if (at > max || file->file.size > max - at)
		return log_fail(-EFBIG, "image: %s: %s of more than %llu MiB", file->file.path,
				what, (unsigned long long)max >> 20);
	if (file->file.size == 0)
		return log_fail(-EINVAL, "image: %s: the %s is empty", file->file.path, what);
	r = ext4_copy(file->in->fs, &file->file, fd, at);
	return r < 0 ? log_fail(r, "image: %s: cannot read the %s: %s", file->file.path, what,
				r == -EUCLEAN ? "the file system is damaged" : strerror(-r))
		     : 0;
}

/* Linux takes archives one after the other, each at a multiple of four. */
static int copy_files(const struct found *f)
{
	uint64_t at = 0;
	int r = copy(&f->kernel, IMAGE_BOOT_KERNEL_FD, 0, IMAGE_BOOT_KERNEL_MAX, "kernel");

	for (unsigned i = 0; i < f->n_initrds && r == 0; i++) {
		r = copy(&f->initrd[i], IMAGE_BOOT_INITRD_FD, at, IMAGE_BOOT_INITRD_MAX, "initrd");
		at = (at + f->initrd[i].file.size + 3) & ~3ull;
	}
	return r;
}

/* --- the command ----------------------------------------------------------------------------- */

static int search(const struct reader_file *files, unsigned n, uint64_t image_size)
{
	struct reader reader = {.budget = READ_BUDGET};
	struct found *found = calloc(1, sizeof(*found));
	int r;

	if (!found)
		return log_fail(-ENOMEM, "image: out of memory");
	r = reader_open_chain(files, n, &reader.blk);
	if (r == 0) {
		r = find_boot(&reader, image_size, found);
		report_parts(found);
		report_warnings(found);
		if (r == 0) {
			report_boot(found);
			r = copy_files(found);
		} else {
			explain(found, r);
		}
		found_free(found);
		reader.blk->ops->close(reader.blk);
	}
	free(found);
	return r;
}

static int lower_privileges(unsigned n, pid_t parent)
{
	const struct jail jail = {
		.who = "image",
		.last_fd = IMAGE_BOOT_DISK_FD + (int)n - 1,
		.files = IMAGE_BOOT_DISK_FD + n,
#ifndef __SANITIZE_ADDRESS__
		.memory = IMAGE_BOOT_MEMORY_MAX,
#endif
		.file_bytes = IMAGE_BOOT_INITRD_MAX,
		.cpu_seconds = IMAGE_BOOT_SECONDS,
	};
	int r = jail_begin(&jail);

	if (r == 0)
		r = jail_enter(&jail, parent);
	return r == 0 ? filter_enter(jail.who) : r;
}

static int take_file(const char *word, unsigned i, struct reader_file *file)
{
	const char *name = strchr(word, ':');

	if (!name)
		return -EINVAL;
	file->is_qcow2 = !strncmp(word, "qcow2:", 6);
	if (!file->is_qcow2 && strncmp(word, "raw:", 4) != 0)
		return -EINVAL;
	file->name = name + 1;
	file->fd = IMAGE_BOOT_DISK_FD + (int)i;
	return 0;
}

/* The value of option @name at the front of the arguments, which it is taken off: 0 or -EINVAL. */
static int take_number(int *argc, char ***argv, const char *name, uint64_t max, uint64_t *value)
{
	char *end;

	if (*argc < 2 || strcmp((*argv)[0], name) != 0)
		return -EINVAL;
	errno = 0;
	*value = strtoull((*argv)[1], &end, 10);
	if ((*argv)[1][0] < '0' || (*argv)[1][0] > '9' || *end || errno || *value > max)
		return -EINVAL;
	*argc -= 2;
	*argv += 2;
	return 0;
}

int image_boot_main(int argc, char **argv)
{
	struct reader_file files[IMAGE_BOOT_DISKS_MAX];
	uint64_t parent = 0, image_size = 0;
	int r = take_number(&argc, &argv, "--parent", INT_MAX, &parent);
	unsigned n = 0;

	if (r == 0 && argc > 0 && !strcmp(argv[0], "--image-size"))
		r = take_number(&argc, &argv, "--image-size", UINT64_MAX, &image_size);
	for (; (int)n < argc && n < IMAGE_BOOT_DISKS_MAX && r == 0; n++)
		r = take_file(argv[n], n, &files[n]);
	if (r < 0 || n == 0 || (int)n != argc) {
		fputs("usage: skiff-image boot --parent PID [--image-size BYTES] "
		      "raw|qcow2:NAME...\n"
		      "skiff starts it, with descriptors for the report, the kernel, the initrd "
		      "and the images.\n",
		      stderr);
		return 2;
	}
	log_set_sink(relay, NULL);
	r = lower_privileges(n, (pid_t)parent);
	if (r == 0)
		r = search(files, n, image_size);
	if (r == 0)
		say("end");
	return r == 0 ? 0 : 1;
}
