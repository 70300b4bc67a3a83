/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The grammar of port forwards, for the command line and for skiff-netd, which gets them in the
 * same words. A pure function of its text; resolves no names.
 */
#include "devices/net/forward.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>

struct reader {
	const char *at;
	char *why;
	size_t why_size;
};

#define FAIL(rd, ...) (snprintf((rd)->why, (rd)->why_size, __VA_ARGS__), -EINVAL)

/* Decimal, 1..65535, up to @end. */
static int read_port(struct reader *rd, const char *end, uint16_t *port)
{
	size_t len = (size_t)(end - rd->at);
	unsigned value = 0;

	for (const char *p = rd->at; p < end; p++) {
		if (*p < '0' || *p > '9' || value > 65535)
			return FAIL(rd, "`%.*s` is not a port number", (int)len, rd->at);
		value = value * 10 + (unsigned)(*p - '0');
	}
	if (!len)
		return FAIL(rd, "a port number is missing");
	if (!value || value > 65535)
		return FAIL(rd, "port %.*s is not between 1 and 65535", (int)len, rd->at);
	*port = (uint16_t)value;
	rd->at = end;
	return 0;
}

static int read_ipv6(struct reader *rd, const char *close, struct sockaddr_in6 *sa)
{
	char text[INET6_ADDRSTRLEN];
	size_t len = (size_t)(close - (rd->at + 1));

	if (len < sizeof(text)) {
		memcpy(text, rd->at + 1, len);
		text[len] = '\0';
	}
	if (len >= sizeof(text) || inet_pton(AF_INET6, text, &sa->sin6_addr) != 1)
		return FAIL(rd, "`%.*s` is not an IPv6 address", (int)len, rd->at + 1);
	sa->sin6_family = AF_INET6;
	rd->at = close + 1;
	return 0;
}

static int read_ipv4(struct reader *rd, const char *colon, struct sockaddr_in *sa)
{
	char text[INET_ADDRSTRLEN];
	size_t len = (size_t)(colon - rd->at);

	if (len < sizeof(text)) {
		memcpy(text, rd->at, len);
		text[len] = '\0';
	}
	if (len >= sizeof(text) || inet_pton(AF_INET, text, &sa->sin_addr) != 1)
		return FAIL(rd, "`%.*s` is not an IPv4 address (IPv6 goes in brackets)", (int)len,
			    rd->at);
	sa->sin_family = AF_INET;
	rd->at = colon;
	return 0;
}

/* [ADDR]:PORT up to @end. ss_family stays 0 without an address. */
static int read_endpoint(struct reader *rd, const char *end, struct sockaddr_storage *ss)
{
	size_t len = (size_t)(end - rd->at);
	const char *stop;
	uint16_t port;
	int r = 0;

	memset(ss, 0, sizeof(*ss));
	if (len && *rd->at == '[') {
		stop = memchr(rd->at, ']', len);
		if (!stop)
			return FAIL(rd, "`[` has no `]`");
		r = read_ipv6(rd, stop, (struct sockaddr_in6 *)ss);
	} else {
		stop = memchr(rd->at, ':', len);
		if (!stop)
			return FAIL(rd, "`%.*s` is not ADDRESS:PORT", (int)len, rd->at);
		if (stop != rd->at)
			r = read_ipv4(rd, stop, (struct sockaddr_in *)ss);
	}
	if (r)
		return r;
	if (rd->at == end || *rd->at != ':')
		return FAIL(rd, "after an address comes `:` and a port");
	rd->at++;
	r = read_port(rd, end, &port);
	if (r)
		return r;
	if (ss->ss_family == AF_INET6)
		((struct sockaddr_in6 *)ss)->sin6_port = htons(port);
	else
		((struct sockaddr_in *)ss)->sin_port = htons(port);
	return 0;
}

int net_forward_parse(const char *text, struct net_forward *fwd, char *why, size_t why_size)
{
	struct reader rd = {text, why, why_size};
	struct sockaddr_in *host = (struct sockaddr_in *)&fwd->host;
	const char *dash;
	int r;

	memset(fwd, 0, sizeof(*fwd));
	if (!strncmp(text, "udp:", 4))
		fwd->udp = 1;
	else if (strncmp(text, "tcp:", 4) != 0)
		return FAIL(&rd, "it has to begin with tcp: or udp:");
	rd.at = text + 4;
	dash = strchr(rd.at, '-');
	if (!dash)
		return FAIL(&rd, "between host and guest there has to be a `-`");
	r = read_endpoint(&rd, dash, &fwd->host);
	if (r)
		return r;
	rd.at = dash + 1;
	r = read_endpoint(&rd, rd.at + strlen(rd.at), &fwd->guest);
	if (r)
		return r;

	if (!fwd->host.ss_family && fwd->guest.ss_family == AF_INET6)
		return FAIL(&rd,
			    "the guest's address is IPv6: say which of the host's, [::1] or [::]");
	if (fwd->host.ss_family == AF_INET6 && !fwd->guest.ss_family)
		return FAIL(&rd, "the host's address is IPv6: the guest's has to be given too");
	if (!fwd->host.ss_family) {
		host->sin_family = AF_INET;
		host->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	}
	if (!fwd->guest.ss_family)
		fwd->guest.ss_family = AF_INET;
	if (fwd->host.ss_family != fwd->guest.ss_family)
		return FAIL(&rd, "the two addresses are not of one family");
	return 0;
}

socklen_t net_forward_addr_len(const struct sockaddr_storage *addr)
{
	return addr->ss_family == AF_INET6 ? sizeof(struct sockaddr_in6)
					   : sizeof(struct sockaddr_in);
}
