/* SPDX-License-Identifier: BSD-2-Clause */
/* Takes a --disk option apart. Pure computation on the main thread; opens nothing. */
#include <ctype.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "devices/virtio/dev.h"
#include "vmm/disk_option.h"
#include "vmm/log.h"

/*
 * Copies the next item, up to a single comma, to @item and moves @text past it. 0, or -E2BIG.
 */
static int next_item(const char **text, char *item, size_t size)
{
	const char *p = *text;
	size_t n = 0;

	while (*p) {
		if (p[0] == ',' && p[1] != ',')
			break;
		if (p[0] == ',')
			p++;
		if (n + 1 >= size)
			return -E2BIG;
		item[n++] = *p++;
	}
	item[n] = '\0';
	*text = *p == ',' ? p + 1 : p;
	return 0;
}

static int set_queues(const char *value, struct disk_option *out)
{
	char *end;
	unsigned long n = strtoul(value, &end, 10);

	if (!isdigit((unsigned char)*value) || *end || n < 1 || n > VIRTIO_QUEUES_MAX)
		return log_fail(-EINVAL, "--disk: queues=%s: give a number from 1 to %d", value,
				VIRTIO_QUEUES_MAX);
	out->queues = (unsigned)n;
	return 0;
}

static int set_serial(const char *value, struct disk_option *out)
{
	if (strlen(value) >= sizeof(out->serial))
		return log_fail(-EINVAL, "--disk: serial=%s: longer than 20 characters", value);
	memcpy(out->serial, value, strlen(value) + 1);
	return 0;
}

static int set_switch(const char *key, const char *value, uint8_t *out)
{
	if (strcmp(value, "on") != 0 && strcmp(value, "off") != 0)
		return log_fail(-EINVAL, "--disk: %s=%s: give on or off", key, value);
	*out = value[1] == 'n';
	return 0;
}

static int set_format(const char *value, struct disk_option *out)
{
	if (strcmp(value, "raw") != 0 && strcmp(value, "qcow2") != 0)
		return log_fail(-EINVAL, "--disk: format=%s: raw and qcow2 are known", value);
	out->qcow2 = value[0] == 'q';
	return 0;
}

static int set_backing(const char *value, struct disk_option *out)
{
	if (!strchr(value, '/'))
		return set_switch("backing", value, &out->any_backing);
	memcpy(out->backing, value, strlen(value) + 1);
	return 0;
}

static int set_fd(const char *value, struct disk_option *out)
{
	char *end;
	unsigned long n = strtoul(value, &end, 10);

	if (!isdigit((unsigned char)*value) || *end || n < 3 || n > INT_MAX)
		return log_fail(-EINVAL,
				"--disk: fd=%s: give the number of an open descriptor, from 3 on",
				value);
	out->fd = (int)n;
	return 0;
}

static int set_item(char *item, struct disk_option *out)
{
	char *value = strchr(item, '=');

	if (strcmp(item, "ro") == 0) {
		out->read_only = 1;
		return 0;
	}
	if (!value)
		return log_fail(-EINVAL,
				"--disk: %s: give path=FILE and, after commas, ro, "
				"serial=S, direct=on|off or queues=N",
				item);
	*value++ = '\0';
	if (strcmp(item, "path") == 0) {
		memcpy(out->path, value, strlen(value) + 1);
		return 0;
	}
	if (strcmp(item, "serial") == 0)
		return set_serial(value, out);
	if (strcmp(item, "format") == 0)
		return set_format(value, out);
	if (strcmp(item, "backing") == 0)
		return set_backing(value, out);
	if (strcmp(item, "fd") == 0)
		return set_fd(value, out);
	if (strcmp(item, "direct") == 0)
		return set_switch(item, value, &out->direct);
	if (strcmp(item, "queues") == 0)
		return set_queues(value, out);
	return log_fail(-EINVAL,
			"--disk: %s: no such key: path, fd, format, backing, ro, serial, direct "
			"and queues are",
			item);
}

int disk_option_parse(const char *text, struct disk_option *out)
{
	char item[PATH_MAX];

	memset(out, 0, sizeof(*out));
	out->fd = -1;
	while (*text) {
		int r = next_item(&text, item, sizeof(item));

		if (r < 0)
			return log_fail(-EINVAL, "--disk: a value is longer than any path");
		r = set_item(item, out);
		if (r < 0)
			return r;
	}
	if (out->qcow2 && out->direct)
		return log_fail(-EINVAL, "--disk: direct=on: only for format=raw");
	if (out->path[0] == '\0' && out->fd < 0)
		return log_fail(-EINVAL, "--disk: no file: give path=FILE");
	if (out->path[0] && out->fd >= 0)
		return log_fail(-EINVAL, "--disk: path=%s and fd=%d: give one of them", out->path,
				out->fd);
	if (out->fd >= 0)
		snprintf(out->path, sizeof(out->path), "descriptor %d", out->fd);
	return 0;
}
