/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Reads the files that go into the seed as they are, and says what cloud-init would not: that it
 * will ignore one. Runs before any vCPU does.
 */
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "loader/seed.h"
#include "vmm/log.h"

#define FIRST_READ 65536u

static const char *const names[SEED_FILES] = {
	[SEED_USER_DATA] = "user-data",
	[SEED_META_DATA] = "meta-data",
	[SEED_VENDOR_DATA] = "vendor-data",
	[SEED_NETWORK_CONFIG] = "network-config",
};

const char *seed_file_name(enum seed_file_kind kind)
{
	return names[kind];
}

void seed_file_free(struct seed_file *f)
{
	free(f->data);
	*f = (struct seed_file){0};
}

static int begins_with(const struct seed_file *f, size_t off, const char *word)
{
	size_t len = strlen(word);

	return f->len - off >= len && strncasecmp(f->data + off, word, len) == 0;
}

/* cloud-init takes it for a MIME message if this stands within the first 4 KiB. */
static int is_mime(const struct seed_file *f)
{
	for (size_t i = 0; i < f->len && i < 4096; i++)
		if (begins_with(f, i, "MIME-Version:"))
			return 1;
	return 0;
}

/* As cloud-init's user_data.py and handlers look at it: compressed, MIME, or by its first words. */
static int is_recognised(const struct seed_file *f)
{
	static const char *const words[] = {
		"#cloud-config", "#!",           "#include", "#cloud-boothook",
		"#part-handler", "## template:",
	};
	size_t off = 0;

	if (begins_with(f, 0, "\x1f\x8b") || is_mime(f))
		return 1;
	while (off < f->len && isspace((unsigned char)f->data[off]))
		off++;
	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
		if (begins_with(f, off, words[i]))
			return 1;
	return 0;
}

/* Reads to the end of @fd, or one byte more than we take. */
static int read_all(int fd, struct seed_file *f)
{
	size_t room = 0;

	for (;;) {
		ssize_t n;

		if (f->len == room) {
			char *more;

			room = room ? room * 2 : FIRST_READ;
			more = realloc(f->data, room);
			if (!more)
				return -ENOMEM;
			f->data = more;
		}
		n = read(fd, f->data + f->len, room - f->len);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		f->len += (size_t)n;
		if (n == 0 || f->len > SEED_FILE_MAX)
			return 0;
	}
}

static int judge(enum seed_file_kind kind, const char *path, const struct seed_file *f)
{
	const char *name = names[kind];

	if (f->len > SEED_FILE_MAX)
		return log_fail(-EFBIG, "--%s %s: is larger than %u MiB; is it the right file?",
				name, path, SEED_FILE_MAX >> 20);
	if (kind == SEED_USER_DATA && f->len == 0)
		return log_fail(-EINVAL,
				"--%s %s: is empty; leave the option out, or write #cloud-config "
				"into it",
				name, path);
	if ((kind == SEED_USER_DATA || kind == SEED_VENDOR_DATA) && f->len && !is_recognised(f))
		log_line(LOG_WARN,
			 "--%s %s: does not begin with #cloud-config, #! or the like: cloud-init "
			 "will ignore it",
			 name, path);
	return 0;
}

int seed_file_read(enum seed_file_kind kind, const char *path, struct seed_file *f)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY), r;

	*f = (struct seed_file){0};
	if (fd < 0)
		return log_fail(-errno, "--%s: cannot open %s: %s", names[kind], path,
				strerror(errno));
	r = read_all(fd, f);
	close(fd);
	if (r < 0)
		log_fail(r, "--%s %s: cannot be read: %s", names[kind], path, strerror(-r));
	else
		r = judge(kind, path, f);
	if (r < 0)
		seed_file_free(f);
	return r;
}
