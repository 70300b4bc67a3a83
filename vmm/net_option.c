/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The words of `--net`. A pure function of its text: files, interfaces and ports are judged by
 * whoever opens them.
 */
#include "vmm/net_option.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "devices/net/forward.h"
#include "devices/net/net.h"
#include "vmm/log.h"

#define KIND(k) (1u << (k))
#define ANY                                                                       \
	(KIND(NET_OPTION_USER) | KIND(NET_OPTION_SWITCH) | KIND(NET_OPTION_TAP) | \
	 KIND(NET_OPTION_STREAM))

static const char *const kind_name[] = {
	[NET_OPTION_USER] = "user",
	[NET_OPTION_SWITCH] = "switch",
	[NET_OPTION_TAP] = "tap",
	[NET_OPTION_STREAM] = "stream",
};

static int parse_mac(const char *value, struct net_option *opt)
{
	static const char shape[] = "xx:xx:xx:xx:xx:xx";
	size_t i;

	for (i = 0; shape[i]; i++) {
		char c = value[i];
		int hex =
			(c >= '0' && c <= '9') || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');

		if (shape[i] == ':' ? c != ':' : !hex)
			break;
	}
	if (shape[i] || value[i])
		return log_fail(-EINVAL,
				"--net: mac=%s is not six pairs of hexadecimal digits with colons",
				value);
	for (i = 0; i < 6; i++)
		opt->mac[i] = (uint8_t)strtoul(value + 3 * i, NULL, 16);
	if (opt->mac[0] & 1)
		return log_fail(-EINVAL,
				"--net: mac=%s is a group address: make the first byte "
				"even, such as 52",
				value);
	if (!memcmp(opt->mac, "\0\0\0\0\0\0", 6))
		return log_fail(-EINVAL,
				"--net: mac=%s is no address: leave mac= out for one that "
				"is made up",
				value);
	opt->has_mac = 1;
	return 0;
}

/* Decimal digits only: 0 or -EINVAL, silent. */
static int parse_number(const char *value, unsigned long max, unsigned long *out)
{
	char *end;

	if (value[0] < '0' || value[0] > '9')
		return -EINVAL;
	errno = 0;
	*out = strtoul(value, &end, 10);
	return errno || *end || *out > max ? -EINVAL : 0;
}

static int parse_mtu(const char *value, struct net_option *opt)
{
	unsigned long mtu;

	if (parse_number(value, NET_MTU_MAX, &mtu) || mtu < NET_MTU_MIN)
		return log_fail(-EINVAL, "--net: mtu=%s is not a number from %d to %d", value,
				NET_MTU_MIN, NET_MTU_MAX);
	opt->mtu = (uint32_t)mtu;
	return 0;
}

static int parse_path(const char *value, struct net_option *opt)
{
	if (!value[0])
		return log_fail(-EINVAL, "--net: path= needs the path of a socket");
	if (strlen(value) >= sizeof(opt->path))
		return log_fail(-EINVAL,
				"--net: path=%s: the path of a socket has at most %zu "
				"bytes",
				value, sizeof(opt->path) - 1);
	memcpy(opt->path, value, strlen(value) + 1);
	return 0;
}

static int parse_name(const char *value, struct net_option *opt)
{
	if (!value[0] || strlen(value) >= sizeof(opt->name) || strchr(value, '/'))
		return log_fail(-EINVAL,
				"--net: name=%s is not the name of an interface (1 to %zu "
				"bytes)",
				value, sizeof(opt->name) - 1);
	memcpy(opt->name, value, strlen(value) + 1);
	return 0;
}

static int parse_fd(const char *value, struct net_option *opt)
{
	unsigned long fd;

	if (parse_number(value, 1 << 20, &fd))
		return log_fail(-EINVAL, "--net: fd=%s is not the number of a descriptor", value);
	opt->fd = (int)fd;
	return 0;
}

static int parse_hostfwd(const char *value, struct net_option *opt)
{
	struct net_forward fwd;
	char why[256];

	if (opt->n_forwards == NET_OPTION_FORWARDS_MAX)
		return log_fail(-EINVAL,
				"--net: more than %d times hostfwd=", NET_OPTION_FORWARDS_MAX);
	if (strlen(value) >= NET_OPTION_FORWARD_BYTES)
		return log_fail(-EINVAL, "--net: hostfwd=%s is too long", value);
	if (net_forward_parse(value, &fwd, why, sizeof(why)))
		return log_fail(-EINVAL, "--net: hostfwd=%s: %s", value, why);
	memcpy(opt->forward[opt->n_forwards++], value, strlen(value) + 1);
	return 0;
}

static const struct key {
	const char *name;
	unsigned kinds; /* that take it */
	int repeats;
	int (*parse)(const char *value, struct net_option *opt);
} keys[] = {
	{"mac", ANY, 0, parse_mac},
	{"mtu", ANY & ~KIND(NET_OPTION_TAP), 0, parse_mtu},
	{"path", KIND(NET_OPTION_SWITCH) | KIND(NET_OPTION_STREAM), 0, parse_path},
	{"name", KIND(NET_OPTION_TAP), 0, parse_name},
	{"fd", KIND(NET_OPTION_TAP), 0, parse_fd},
	{"hostfwd", KIND(NET_OPTION_USER) | KIND(NET_OPTION_SWITCH), 1, parse_hostfwd},
};
#define KEYS (sizeof(keys) / sizeof(keys[0]))

/* One `key=value`; @seen has a bit per key. */
static int parse_key(char *word, unsigned *seen, struct net_option *opt)
{
	char *value = strchr(word, '=');

	if (value)
		*value++ = '\0';
	for (unsigned i = 0; i < KEYS; i++) {
		if (strcmp(word, keys[i].name) != 0)
			continue;
		if (!value)
			return log_fail(-EINVAL, "--net: %s needs a value: %s=...", word, word);
		if (!(keys[i].kinds & KIND(opt->kind)))
			return log_fail(-EINVAL, "--net: %s= does not go with `%s`", word,
					kind_name[opt->kind]);
		if ((*seen >> i & 1) && !keys[i].repeats)
			return log_fail(-EINVAL, "--net: %s= is given twice", word);
		*seen |= 1u << i;
		return keys[i].parse(value, opt);
	}
	return log_fail(-EINVAL,
			"--net: `%s` is not known: mac, mtu, path, name, fd and hostfwd "
			"are",
			word);
}

static int check_whole(const struct net_option *opt)
{
	int needs_path = opt->kind == NET_OPTION_SWITCH || opt->kind == NET_OPTION_STREAM;

	if (needs_path && !opt->path[0])
		return log_fail(-EINVAL, "--net: `%s` needs path=SOCK", kind_name[opt->kind]);
	if (opt->kind == NET_OPTION_TAP && !opt->name[0] == (opt->fd < 0))
		return log_fail(-EINVAL, "--net: `tap` needs name=IF or fd=N, and not both");
	return 0;
}

int net_option_parse(const char *text, struct net_option *opt)
{
	char *words = strdup(text), *rest = words, *word;
	unsigned seen = 0, k;
	int r = 0;

	if (!words)
		return log_fail(-ENOMEM, "--net: out of memory");
	memset(opt, 0, sizeof(*opt));
	opt->fd = -1;
	word = strsep(&rest, ",");
	for (k = 0; k < sizeof(kind_name) / sizeof(kind_name[0]); k++)
		if (!strcmp(word, kind_name[k]))
			break;
	if (k == sizeof(kind_name) / sizeof(kind_name[0])) {
		r = log_fail(-EINVAL,
			     "--net: `%s` is no kind of network: user, switch, tap and "
			     "stream are",
			     word);
		goto out_free;
	}
	opt->kind = (enum net_option_kind)k;
	while (!r && (word = strsep(&rest, ",")))
		r = parse_key(word, &seen, opt);
	if (!r)
		r = check_whole(opt);
out_free:
	free(words);
	return r;
}

void net_option_default_mac(const char *seed, unsigned index, uint8_t mac[6])
{
	uint64_t h = 0xcbf29ce484222325u;

	/* FNV-1a, and the device's number as one more byte. */
	for (; *seed; seed++)
		h = (h ^ (uint8_t)*seed) * 0x100000001b3u;
	h = (h ^ (index & 0xff)) * 0x100000001b3u;
	h ^= h >> 29;
	for (unsigned i = 0; i < 6; i++)
		mac[i] = (uint8_t)(h >> (8 * i));
	/* Locally administered, one receiver (IEEE 802 §8.2). */
	mac[0] = (uint8_t)((mac[0] & 0xfc) | 0x02);
}
