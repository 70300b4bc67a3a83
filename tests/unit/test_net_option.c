/* SPDX-License-Identifier: BSD-2-Clause */
/* The words of --net: what is understood, and the sentence for each mistake. */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "devices/net/forward.h"
#include "vmm/log.h"
#include "vmm/net_option.h"

static char said[1024];
static unsigned sentences;

static void hear(void *arg, enum log_level level, const char *line)
{
	(void)arg;
	(void)level;
	snprintf(said, sizeof(said), "%s", line);
	sentences++;
}

/* Every mistake is refused with exactly one sentence that has @words in it. */
static void mistakes(void **state)
{
	static const struct {
		const char *text, *words;
	} row[] = {
		{"", "`` is no kind of network"},
		{"bridge", "`bridge` is no kind of network"},
		{"User", "`User` is no kind of network"},
		{"user,", "`` is not known"},
		{"user,foo=1", "`foo` is not known"},
		{"user,mac", "mac needs a value"},
		{"user,mac=", "mac= is not six pairs"},
		{"user,mac=52:54:00:12:34", "is not six pairs"},
		{"user,mac=52:54:00:12:34:5g", "is not six pairs"},
		{"user,mac=52:54:00:12:34:56:78", "is not six pairs"},
		{"user,mac=52-54-00-12-34-56", "is not six pairs"},
		{"user,mac=53:54:00:12:34:56", "is a group address"},
		{"user,mac=ff:ff:ff:ff:ff:ff", "is a group address"},
		{"user,mac=00:00:00:00:00:00", "is no address"},
		{"user,mac=52:54:00:12:34:56,mac=52:54:00:12:34:57", "mac= is given twice"},
		{"user,mtu=67", "mtu=67 is not a number from 68"},
		{"user,mtu=65521", "is not a number from 68 to 65520"},
		{"user,mtu=1500x", "is not a number"},
		{"user,mtu=-1", "is not a number"},
		{"user,mtu= 1500", "is not a number"},
		{"user,path=/x", "path= does not go with `user`"},
		{"user,name=tap0", "name= does not go with `user`"},
		{"user,fd=3", "fd= does not go with `user`"},
		{"tap", "`tap` needs name=IF or fd=N"},
		{"tap,name=tap0,fd=3", "and not both"},
		{"tap,name=", "name= is not the name"},
		{"tap,name=abcdefghijklmnop", "is not the name of an interface"},
		{"tap,name=a/b", "is not the name of an interface"},
		{"tap,fd=", "fd= is not the number"},
		{"tap,fd=x", "fd=x is not the number"},
		{"tap,fd=-1", "fd=-1 is not the number"},
		{"tap,fd=99999999999999999999", "is not the number"},
		{"tap,name=tap0,mtu=1500", "mtu= does not go with `tap`"},
		{"tap,name=tap0,hostfwd=tcp::1-:2", "hostfwd= does not go with `tap`"},
		{"stream", "`stream` needs path=SOCK"},
		{"stream,path=", "path= needs the path"},
		{"switch", "`switch` needs path=SOCK"},
		{"switch,path=/a,path=/b", "path= is given twice"},
		{"user,hostfwd=", "it has to begin with tcp: or udp:"},
		{"user,hostfwd=sctp::1-:2", "it has to begin with tcp: or udp:"},
		{"user,hostfwd=tcp::2222", "there has to be a `-`"},
		{"user,hostfwd=tcp:2222-:22", "`2222` is not ADDRESS:PORT"},
		{"user,hostfwd=tcp::2222-22", "`22` is not ADDRESS:PORT"},
		{"user,hostfwd=tcp::-:22", "a port number is missing"},
		{"user,hostfwd=tcp::2222-:", "a port number is missing"},
		{"user,hostfwd=tcp::0-:22", "port 0 is not between 1 and 65535"},
		{"user,hostfwd=tcp::65536-:22", "port 65536 is not between"},
		{"user,hostfwd=tcp::99999999999-:22", "is not a port number"},
		{"user,hostfwd=tcp::22x-:22", "`22x` is not a port number"},
		{"user,hostfwd=tcp:localhost:22-:22", "`localhost` is not an IPv4 address"},
		{"user,hostfwd=tcp:1.2.3:22-:22", "`1.2.3` is not an IPv4 address"},
		{"user,hostfwd=tcp:::1:22-:22", "is not a port number"},
		{"user,hostfwd=tcp:[::1:22-[fec0::15]:22", "`[` has no `]`"},
		{"user,hostfwd=tcp:[::g]:22-[fec0::15]:22", "`::g` is not an IPv6 address"},
		{"user,hostfwd=tcp:[::1]22-[fec0::15]:22", "comes `:` and a port"},
		{"user,hostfwd=tcp:[::1]-[fec0::15]:22", "comes `:` and a port"},
		{"user,hostfwd=tcp:[::1]:22-:22", "the guest's has to be given too"},
		{"user,hostfwd=tcp::22-[fec0::15]:22", "say which of the host's"},
		{"user,hostfwd=tcp:[::1]:22-10.0.2.15:22", "not of one family"},
		{"user,hostfwd=tcp:127.0.0.1:22-[fec0::15]:22", "not of one family"},
	};
	struct net_option opt;

	(void)state;
	for (size_t i = 0; i < sizeof(row) / sizeof(row[0]); i++) {
		said[0] = '\0';
		sentences = 0;
		assert_int_equal(net_option_parse(row[i].text, &opt), -EINVAL);
		if (!strstr(said, row[i].words))
			fail_msg("%s: said: %s", row[i].text, said);
		assert_int_equal(sentences, 1);
		assert_non_null(strstr(said, "--net"));
	}
}

static void understood(void **state)
{
	struct net_option opt;

	(void)state;
	assert_int_equal(net_option_parse("user", &opt), 0);
	assert_int_equal(opt.kind, NET_OPTION_USER);
	assert_int_equal(opt.has_mac | opt.n_forwards | opt.mtu, 0);

	assert_int_equal(net_option_parse("user,mtu=65520,mac=52:54:00:aB:Cd:ef,hostfwd=tcp::2222-:"
					  "22,hostfwd=udp:0.0.0.0:53-10.0.2.20:5353",
					  &opt),
			 0);
	assert_int_equal(opt.mtu, 65520);
	assert_memory_equal(opt.mac, "\x52\x54\x00\xab\xcd\xef", 6);
	assert_int_equal(opt.n_forwards, 2);
	assert_string_equal(opt.forward[1], "udp:0.0.0.0:53-10.0.2.20:5353");

	assert_int_equal(net_option_parse("tap,name=abcdefghijklmno", &opt), 0);
	assert_string_equal(opt.name, "abcdefghijklmno");
	assert_int_equal(opt.fd, -1);
	assert_int_equal(net_option_parse("tap,fd=0", &opt), 0);
	assert_int_equal(opt.fd, 0);
	assert_int_equal(net_option_parse("stream,path=/tmp/a=b", &opt), 0);
	assert_string_equal(opt.path, "/tmp/a=b");
	assert_int_equal(net_option_parse("switch,path=s,hostfwd=tcp::1-:2,mtu=1500", &opt), 0);
	assert_int_equal(opt.kind, NET_OPTION_SWITCH);
}

static void bounds(void **state)
{
	char text[8192] = "stream,path=";
	size_t n = strlen(text);
	struct net_option opt;

	(void)state;
	memset(text + n, 'p', NET_OPTION_PATH_BYTES);
	text[n + NET_OPTION_PATH_BYTES - 1] = '\0';
	assert_int_equal(net_option_parse(text, &opt), 0);
	text[n + NET_OPTION_PATH_BYTES - 1] = 'p';
	assert_int_equal(net_option_parse(text, &opt), -EINVAL);

	n = (size_t)snprintf(text, sizeof(text), "user");
	for (unsigned i = 0; i <= NET_OPTION_FORWARDS_MAX; i++) {
		assert_int_equal(net_option_parse(text, &opt), 0);
		n += (size_t)snprintf(text + n, sizeof(text) - n, ",hostfwd=tcp::1-:2");
	}
	assert_int_equal(net_option_parse(text, &opt), -EINVAL);
	assert_non_null(strstr(said, "more than 32"));
}

static void forward_addresses(void **state)
{
	struct net_forward fwd;
	struct sockaddr_in *host = (struct sockaddr_in *)&fwd.host;
	struct sockaddr_in *guest = (struct sockaddr_in *)&fwd.guest;
	struct sockaddr_in6 *host6 = (struct sockaddr_in6 *)&fwd.host;
	char why[128];

	(void)state;
	assert_int_equal(net_forward_parse("tcp::2222-:22", &fwd, why, sizeof(why)), 0);
	assert_int_equal(fwd.udp, 0);
	/* A guest is open to this host alone unless someone says otherwise. */
	assert_int_equal(host->sin_addr.s_addr, htonl(INADDR_LOOPBACK));
	assert_int_equal(ntohs(host->sin_port), 2222);
	assert_int_equal(guest->sin_family, AF_INET);
	assert_int_equal(guest->sin_addr.s_addr, 0);
	assert_int_equal(ntohs(guest->sin_port), 22);

	assert_int_equal(net_forward_parse("udp:[::]:65535-[fec0::15]:1", &fwd, why, sizeof(why)),
			 0);
	assert_int_equal(fwd.udp, 1);
	assert_int_equal(host6->sin6_family, AF_INET6);
	assert_int_equal(ntohs(host6->sin6_port), 65535);
	assert_int_equal(net_forward_addr_len(&fwd.host), sizeof(*host6));
	assert_int_equal(net_forward_addr_len(&fwd.guest), sizeof(*host6));
}

static void default_mac(void **state)
{
	uint8_t a[6], b[6];

	(void)state;
	net_option_default_mac("web", 0, a);
	net_option_default_mac("web", 0, b);
	assert_memory_equal(a, b, 6);
	assert_int_equal(a[0] & 3, 2);
	net_option_default_mac("web", 1, b);
	assert_memory_not_equal(a, b, 6);
	net_option_default_mac("weB", 0, b);
	assert_memory_not_equal(a, b, 6);
	net_option_default_mac("", 0, b);
	assert_int_equal(b[0] & 3, 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(mistakes),    cmocka_unit_test(understood),
		cmocka_unit_test(bounds),      cmocka_unit_test(forward_addresses),
		cmocka_unit_test(default_mac),
	};

	log_set_sink(hear, NULL);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
