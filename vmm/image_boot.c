/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The caller's side of `skiff-image boot`: starts it, waits for it within limits, and takes its
 * report apart as text that a stranger wrote. Runs at start-up and
 * before a reboot, on the main thread. It decides
 * nothing: what was found is the caller's to use.
 */
#include "vmm/image_boot.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "loader/image/boot.h"
#include "vmm/clock.h"
#include "vmm/companion.h"
#include "vmm/log.h"

#define PROGRAM         "skiff-image"
#define SECONDS_DEFAULT 60
#define ERRORS_SAID     4 /* more of them are one too many */

/* --- the report ------------------------------------------------------------------------------ */

/* A tab is the one control byte that is left by then. */
static void cut(char *out, size_t size, const char *text)
{
	size_t len = strnlen(text, size - 1);

	for (size_t i = 0; i < len; i++)
		out[i] = text[i] == '\t' ? ' ' : text[i];
	out[len] = '\0';
}

/* The field up to the next tab, which becomes its end. */
static char *next_field(char **text)
{
	char *field = *text, *tab = strchr(field, '\t');

	if (tab)
		*tab++ = '\0';
	*text = tab ? tab : field + strlen(field);
	return field;
}

static void take_part(struct image_boot *b, char *value)
{
	struct image_boot_part *p = &b->part[b->n_parts];

	if (b->n_parts == IMAGE_BOOT_PARTS)
		return;
	b->n_parts++;
	p->number = (unsigned)strtoul(next_field(&value), NULL, 10);
	p->bytes = strtoull(next_field(&value), NULL, 10);
	cut(p->type, sizeof(p->type), next_field(&value));
	cut(p->label, sizeof(p->label), next_field(&value));
	cut(p->uuid, sizeof(p->uuid), next_field(&value));
	cut(p->partuuid, sizeof(p->partuuid), next_field(&value));
	cut(p->name, sizeof(p->name), next_field(&value));
}

static void take_driver(struct image_boot *b, char *value)
{
	static const char *const names[IMAGE_BOOT_DRIVERS] = {
		[IMAGE_BOOT_VIRTIO_PCI] = "VIRTIO_PCI",
		[IMAGE_BOOT_VIRTIO_BLK] = "VIRTIO_BLK",
		[IMAGE_BOOT_VIRTIO_NET] = "VIRTIO_NET",
		[IMAGE_BOOT_VIRTIO_CONSOLE] = "VIRTIO_CONSOLE",
		[IMAGE_BOOT_EXT4] = "EXT4_FS",
		[IMAGE_BOOT_BTRFS] = "BTRFS_FS",
		[IMAGE_BOOT_XFS] = "XFS_FS",
	};
	const char *name = next_field(&value);

	for (unsigned i = 0; i < IMAGE_BOOT_DRIVERS; i++)
		if (!strcmp(name, names[i]) && *value && strchr("ymn", *value))
			b->driver[i] = *value;
}

static void take_warning(struct image_boot *b, const char *value)
{
	if (b->n_warnings == IMAGE_BOOT_WARNINGS)
		return;
	log_line(LOG_WARN, "%s", value);
	cut(b->warning[b->n_warnings++], sizeof(b->warning[0]), value);
}

struct progress {
	int ended, too_long;
	unsigned errors;
	const char *stray; /* a line that is none of the report: what a dying program says */
};

/* Half of one would boot something else, and so may one that was @changed. */
static void take_cmdline(struct image_boot *b, const char *value, int changed, struct progress *at)
{
	if (strlen(value) >= sizeof(b->cmdline)) {
		at->too_long = 1;
		return;
	}
	cut(b->cmdline, sizeof(b->cmdline), value);
	if (changed)
		take_warning(b, "image: its command line has bytes that are not printable ASCII: "
				"each became a `?`");
}

static void take_error(const char *value, struct progress *at)
{
	if (at->errors++ < ERRORS_SAID)
		log_line(LOG_ERROR, "%s", value);
}

/* @changed: it had bytes that are not to be printed. */
static void take_line(struct image_boot *b, const char *key, char *value, int changed,
		      struct progress *at)
{
	if (!strcmp(key, "part"))
		take_part(b, value);
	else if (!strcmp(key, "driver"))
		take_driver(b, value);
	else if (!strcmp(key, "os"))
		cut(b->os, sizeof(b->os), value);
	else if (!strcmp(key, "from"))
		cut(b->from, sizeof(b->from), value);
	else if (!strcmp(key, "kernel"))
		cut(b->kernel, sizeof(b->kernel), value);
	else if (!strcmp(key, "initrd") && !b->initrd[0])
		cut(b->initrd, sizeof(b->initrd), value);
	else if (!strcmp(key, "cmdline"))
		take_cmdline(b, value, changed, at);
	else if (!strcmp(key, "warning"))
		take_warning(b, value);
	else if (!strcmp(key, "error"))
		take_error(value, at);
	else if (!strcmp(key, "end"))
		at->ended = 1;
}

static int is_key(const char *key)
{
	static const char *const keys[] = {"part",   "os",      "from",    "kernel", "initrd",
					   "driver", "cmdline", "warning", "error",  "end"};

	for (unsigned i = 0; i < sizeof(keys) / sizeof(keys[0]); i++)
		if (!strcmp(key, keys[i]))
			return 1;
	return 0;
}

/* Whatever it says may come to a terminal: 7 bits, no controls. Whether that changed anything. */
static int make_printable(char *line)
{
	int changed = 0;

	for (unsigned char *p = (unsigned char *)line; *p; p++)
		if ((*p < 0x20 && *p != '\t') || *p > 0x7e) {
			*p = '?';
			changed = 1;
		}
	return changed;
}

static int parse(char *text, struct image_boot *b, struct progress *at)
{
	memset(b->driver, '?', sizeof(b->driver));
	for (char *line = text, *next; *line && !at->ended; line = next) {
		char *value;
		int changed;

		next = line + strcspn(line, "\n");
		if (*next)
			*next++ = '\0';
		changed = make_printable(line);
		value = line + strcspn(line, " ");
		if (*value)
			*value++ = '\0';
		if (is_key(line)) {
			take_line(b, line, value, changed, at);
		} else if (!at->stray) {
			if (value > line + strlen(line))
				value[-1] = ' ';
			at->stray = line;
		}
	}
	if (at->errors)
		return -ENOENT;
	if (at->too_long)
		return log_fail(-EMSGSIZE,
				"image: a command line of more than %zu bytes, which no kernel "
				"takes: give --kernel and --append",
				sizeof(b->cmdline) - 1);
	return at->ended && b->kernel[0] ? 0 : -EPROTO;
}

int image_boot_parse(char *text, struct image_boot *b)
{
	struct progress at = {0};

	memset(b, 0, sizeof(*b));
	b->kernel_fd = b->initrd_fd = -1;
	return parse(text, b, &at);
}

/* --- the process ----------------------------------------------------------------------------- */

static int start(const struct image_boot_params *p, const struct image_boot *b, int report,
		 pid_t *pid)
{
	struct companion_fd fds[IMAGE_BOOT_DISKS_MAX + 5];
	char *argv[IMAGE_BOOT_DISKS_MAX + 7] = {PROGRAM, "boot", "--parent"};
	char path[4096], parent[16], image_size[24], *words;
	const char *program = p->program;
	unsigned n = 0, argc = 3;
	size_t used = 0, size = 1;
	int r;

	if (!program) {
		r = companion_find("image", PROGRAM, path, sizeof(path));
		if (r < 0)
			return r;
		program = path;
	}
	for (unsigned i = 0; i < p->n; i++)
		size += strlen(p->file[i].path) + 8;
	words = malloc(size);
	if (!words)
		return log_fail(-ENOMEM, "image: out of memory");
	snprintf(parent, sizeof(parent), "%d", (int)getpid());
	argv[argc++] = parent;
	if (p->image_size) {
		snprintf(image_size, sizeof(image_size), "%" PRIu64, p->image_size);
		argv[argc++] = "--image-size";
		argv[argc++] = image_size;
	}
	/* What it says in its last moments is heard, too, and cannot reach the terminal. */
	fds[n++] = (struct companion_fd){report, STDOUT_FILENO};
	fds[n++] = (struct companion_fd){report, STDERR_FILENO};
	fds[n++] = (struct companion_fd){report, IMAGE_BOOT_REPORT_FD};
	fds[n++] = (struct companion_fd){b->kernel_fd, IMAGE_BOOT_KERNEL_FD};
	fds[n++] = (struct companion_fd){b->initrd_fd, IMAGE_BOOT_INITRD_FD};
	for (unsigned i = 0; i < p->n; i++) {
		fds[n++] = (struct companion_fd){p->file[i].fd, IMAGE_BOOT_DISK_FD + (int)i};
		argv[argc++] = words + used;
		used += 1 + (size_t)snprintf(words + used, size - used, "%s:%s",
					     p->file[i].is_qcow2 ? "qcow2" : "raw",
					     p->file[i].path);
	}
	argv[argc] = NULL;
	r = companion_start("image", program, argv, fds, n, pid);
	free(words);
	return r;
}

/* All that comes before the pipe's end, as a string: 0, -ETIMEDOUT, -EMSGSIZE, -errno. */
static int read_report(int fd, char *text, size_t size, unsigned seconds)
{
	uint64_t end = clock_now_ns() + (uint64_t)seconds * CLOCK_NS_A_SECOND, now;
	struct pollfd pfd = {.fd = fd, .events = POLLIN};
	size_t len = 0;
	ssize_t n;

	for (;;) {
		text[len] = '\0';
		now = clock_now_ns();
		if (now >= end)
			return -ETIMEDOUT;
		if (poll(&pfd, 1, (int)((end - now) / CLOCK_NS_A_MS) + 1) <= 0)
			continue;
		if (len == size - 1)
			return -EMSGSIZE;
		n = read(fd, text + len, size - 1 - len);
		if (n == 0)
			return 0;
		if (n < 0 && errno != EINTR)
			return -errno;
		len += n < 0 ? 0 : (size_t)n;
	}
}

/* It ended as it should not have. */
static int explain(int status, const struct progress *at)
{
	if (status == 128 + SIGXCPU || status == 128 + SIGKILL)
		return log_fail(-ETIMEDOUT,
				"image: looking into it takes more than %d s: it is "
				"damaged; give --kernel",
				IMAGE_BOOT_SECONDS);
	if (status == 128 + SIGSYS)
		return log_fail(-EPROTO, "image: skiff-image tried what it may not: the image is "
					 "not to be trusted; give --kernel");
	if (status >= 128)
		return log_fail(-EPROTO,
				"image: skiff-image was ended by signal %d: the image is "
				"damaged or not to be trusted; give --kernel",
				status - 128);
	return log_fail(-EPROTO, "image: skiff-image ended before its end, with status %d%s%s",
			status, at->stray ? ": " : "", at->stray ? at->stray : "");
}

/* The files that came are what they were to be. */
static int check_files(struct image_boot *b)
{
	struct stat kernel, initrd;

	if (fstat(b->kernel_fd, &kernel) || fstat(b->initrd_fd, &initrd))
		return log_fail(-errno, "image: cannot look at what came out of it");
	if (kernel.st_size <= 0 || (uint64_t)kernel.st_size > IMAGE_BOOT_KERNEL_MAX ||
	    (uint64_t)initrd.st_size > IMAGE_BOOT_INITRD_MAX)
		return log_fail(-EPROTO, "image: a kernel or initrd of a size that cannot be");
	if (initrd.st_size == 0) {
		close(b->initrd_fd);
		b->initrd_fd = -1;
		b->initrd[0] = '\0';
	}
	return 0;
}

static int run(const struct image_boot_params *p, struct image_boot *b, char *text)
{
	struct progress at = {0};
	int report[2], status, r, heard;
	pid_t pid;

	if (pipe2(report, O_CLOEXEC))
		return log_fail(-errno, "image: cannot make a pipe: %s", strerror(errno));
	r = start(p, b, report[1], &pid);
	close(report[1]);
	if (r < 0) {
		close(report[0]);
		return r;
	}
	heard = read_report(report[0], text, IMAGE_BOOT_REPORT_MAX,
			    p->seconds ? p->seconds : SECONDS_DEFAULT);
	if (heard < 0)
		kill(pid, SIGKILL);
	close(report[0]);
	status = companion_wait(pid);
	if (heard == -ETIMEDOUT)
		return log_fail(heard, "image: looking into it takes too long: give --kernel");
	if (heard < 0)
		return log_fail(heard, "image: its report cannot be read: %s", strerror(-heard));
	r = parse(text, b, &at);
	if (r == -EPROTO || (r == 0 && status != 0))
		return explain(status, &at);
	return r < 0 ? r : check_files(b);
}

int image_boot_find(const struct image_boot_params *p, struct image_boot *b)
{
	char *text;
	int r;

	memset(b, 0, sizeof(*b));
	if (p->n == 0 || p->n > IMAGE_BOOT_DISKS_MAX)
		return log_fail(-EINVAL, "image: %u images over each other: 1 to %d will do", p->n,
				IMAGE_BOOT_DISKS_MAX);
	b->kernel_fd = memfd_create("kernel", MFD_CLOEXEC);
	b->initrd_fd = memfd_create("initrd", MFD_CLOEXEC);
	text = malloc(IMAGE_BOOT_REPORT_MAX);
	if (b->kernel_fd < 0 || b->initrd_fd < 0 || !text)
		r = log_fail(-ENOMEM, "image: out of memory");
	else
		r = run(p, b, text);
	free(text);
	if (r < 0)
		image_boot_free(b);
	return r;
}

void image_boot_free(struct image_boot *b)
{
	if (b->kernel_fd >= 0)
		close(b->kernel_fd);
	if (b->initrd_fd >= 0)
		close(b->initrd_fd);
	b->kernel_fd = b->initrd_fd = -1;
}
