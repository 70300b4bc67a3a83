/* SPDX-License-Identifier: BSD-2-Clause */
/* The words of -p. A pure function of its text. */
#include "vmm/publish.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "vmm/log.h"

#define PART 128

struct published {
	char addr[PART]; /* "" if not given */
	char host[PART], guest[PART];
	int udp;
};

static int is_port(const char *text)
{
	char *end;
	unsigned long n = strtoul(text, &end, 10);

	return isdigit((unsigned char)*text) && !*end && n >= 1 && n <= 65535;
}

/* From right to left, since an IPv6 address has colons of its own, in brackets. */
static int take_apart(const char *text, struct published *p)
{
	char copy[PART], *slash, *colon;

	memset(p, 0, sizeof(*p));
	if (strlen(text) >= sizeof(copy))
		return -EINVAL;
	memcpy(copy, text, strlen(text) + 1);
	slash = strchr(copy, '/');
	if (slash) {
		*slash++ = '\0';
		if (strcmp(slash, "tcp") != 0 && strcmp(slash, "udp") != 0)
			return -EINVAL;
		p->udp = slash[0] == 'u';
	}
	colon = strrchr(copy, ':');
	if (!colon)
		return -EINVAL;
	*colon = '\0';
	memcpy(p->guest, colon + 1, strlen(colon + 1) + 1);
	colon = strrchr(copy, ':');
	if (colon) {
		*colon = '\0';
		memcpy(p->addr, copy, strlen(copy) + 1);
		memcpy(p->host, colon + 1, strlen(colon + 1) + 1);
	} else {
		memcpy(p->host, copy, strlen(copy) + 1);
	}
	return is_port(p->host) && is_port(p->guest) && !strchr(text, ',') ? 0 : -EINVAL;
}

int publish_to_hostfwd(const char *text, char *out, size_t size)
{
	struct published p;
	int n = -1;

	if (take_apart(text, &p) == 0) {
		if (p.addr[0] == '[')
			return log_fail(
				-EINVAL,
				"-p: %s: an IPv6 address of the host's needs the guest's, too: "
				"leave it out for 127.0.0.1, or write `--net "
				"user,hostfwd=%s:%s:%s-[GUEST]:%s`",
				text, p.udp ? "udp" : "tcp", p.addr, p.host, p.guest);
		n = snprintf(out, size, "hostfwd=%s:%s:%s-:%s", p.udp ? "udp" : "tcp", p.addr,
			     p.host, p.guest);
	}
	if (n < 0 || (size_t)n >= size)
		return log_fail(-EINVAL,
				"-p: %s: give the host's port and the guest's, such as 8080:80, "
				"127.0.0.1:2222:22 or 53:53/udp",
				text);
	return 0;
}

int publish_is_of(const char *text, unsigned guest_port, char *addr, size_t size,
		  unsigned *host_port)
{
	struct published p;

	if (take_apart(text, &p) < 0 || p.udp || strtoul(p.guest, NULL, 10) != guest_port)
		return 0;
	if (!p.addr[0] || !strcmp(p.addr, "0.0.0.0"))
		memcpy(p.addr, "127.0.0.1", sizeof("127.0.0.1"));
	snprintf(addr, size, "%s", p.addr);
	*host_port = (unsigned)strtoul(p.host, NULL, 10);
	return 1;
}
