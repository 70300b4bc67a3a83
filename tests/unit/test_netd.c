/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The real skiff-netd, started as skiff starts it, with the test as its VM. Everything happens in
 * a network namespace of the test's own: nothing leaves loopback. Where namespaces are not to be
 * had the tests run on the host's loopback and the one with a name server is skipped.
 *
 * SKIFF_NETD names the program; by default it is ./skiff-netd.
 */
#include <arpa/inet.h>
#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <netinet/in.h>
#include <poll.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "devices/net/net.h"
#include "tests/lib/own_network.h"
#include "tests/lib/packet.h"
#include "vmm/log.h"
#include "vmm/netd.h"

#define WAIT_MS 5000

static const char *program;
static int own_network;
static struct netd netd;
static char said[1024];
static uint8_t out[PACKET_MAX], in[NET_FRAME_MAX];
static struct packet_view view;

static void hear(void *arg, enum log_level level, const char *line)
{
	(void)arg;
	(void)level;
	snprintf(said, sizeof(said), "%s", line);
}

static int start(const char *words, struct netd *n)
{
	struct net_option opt;
	int r = net_option_parse(words, &opt);

	return r ? r : netd_start(&opt, program, n);
}

static void assert_ended(pid_t pid)
{
	int status = -1;

	for (unsigned i = 0; i < WAIT_MS; i++) {
		if (waitpid(pid, &status, WNOHANG) == pid) {
			assert_true(WIFEXITED(status));
			assert_int_equal(WEXITSTATUS(status), 0);
			return;
		}
		poll(NULL, 0, 1);
	}
	kill(pid, SIGKILL);
	fail_msg("skiff-netd did not end");
}

static int setup(void **state)
{
	(void)state;
	return start("user", &netd);
}

static int teardown(void **state)
{
	(void)state;
	close(netd.fd);
	if (netd.pid)
		assert_ended(netd.pid);
	return 0;
}

static void send_with(int fd, const struct net_hdr *hdr, size_t len)
{
	static const struct net_hdr zero;
	struct iovec v[] = {{(void *)(hdr ? hdr : &zero), 12}, {out, len}};
	struct msghdr msg = {.msg_iov = v, .msg_iovlen = 2};

	assert_int_equal(sendmsg(fd, &msg, MSG_NOSIGNAL), 12 + len);
}

static void send_frame(size_t len)
{
	send_with(netd.fd, NULL, len);
}

/* The next frame on @fd that is of @proto (an ethertype when above 255) into `in` and `view`. */
static int next_frame(int fd, unsigned proto, int ms)
{
	for (;;) {
		struct pollfd pfd = {fd, POLLIN, 0};
		ssize_t n;

		if (poll(&pfd, 1, ms) != 1)
			return 0;
		n = recv(fd, in, sizeof(in), 0);
		if (n < 12 + 14)
			return 0;
		packet_receive(in, (size_t)n, &view);
		if (proto == (proto > 255 ? view.ethertype : view.proto))
			return 1;
	}
}

static void expect(unsigned proto)
{
	if (!next_frame(netd.fd, proto, WAIT_MS))
		fail_msg("no frame of protocol %#x came", proto);
	if (proto < 256)
		assert_true(view.checksums_good);
}

/* libslirp sends to an address only when it knows who has it. */
static void say_who_we_are(void)
{
	send_frame(packet_arp(out, 1, PACKET_GUEST, PACKET_GATEWAY));
	expect(0x0806);
}

static int listener(int type, uint16_t *port)
{
	struct sockaddr_in sa = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
	socklen_t len = sizeof(sa);
	int fd = socket(AF_INET, type | SOCK_CLOEXEC, 0);

	assert_true(fd >= 0);
	assert_int_equal(bind(fd, (struct sockaddr *)&sa, len), 0);
	if (type == SOCK_STREAM)
		assert_int_equal(listen(fd, 8), 0);
	getsockname(fd, (struct sockaddr *)&sa, &len);
	*port = ntohs(sa.sin_port);
	return fd;
}

static void wait_readable(int fd)
{
	struct pollfd pfd = {fd, POLLIN, 0};

	assert_int_equal(poll(&pfd, 1, WAIT_MS), 1);
}

/* --- the network that a guest sees --- */

static void hello_offers_the_mtu(void **state)
{
	struct netd other;

	(void)state;
	assert_int_equal(netd.mtu, 32800);
	assert_int_equal(start("user,mtu=65520", &other), 0);
	assert_int_equal(other.mtu, 65520);
	close(other.fd);
	assert_ended(other.pid);
}

static void answers_arp(void **state)
{
	(void)state;
	send_frame(packet_arp(out, 1, PACKET_GUEST, PACKET_GATEWAY));
	expect(0x0806);
	assert_memory_equal(view.data + 8, packet_gateway_mac, 6);
	/* The header says that the frame needs no look at its checksum. */
	assert_int_equal(in[0], NET_HDR_DATA_VALID);
}

static void gives_an_address_by_dhcp(void **state)
{
	const uint8_t *d;

	(void)state;
	send_frame(packet_dhcp_discover(out, 0x11223344));
	expect(17);
	d = view.data;
	assert_int_equal(view.sport, 67);
	assert_memory_equal(d + 4, "\x11\x22\x33\x44", 4);
	assert_memory_equal(d + 16, "\x0a\x00\x02\x0f", 4);
	/* An offer (53), with router (3) and name server (6). */
	assert_non_null(memmem(d + 240, view.len - 240, "\x35\x01\x02", 3));
	assert_non_null(memmem(d + 240, view.len - 240, "\x03\x04\x0a\x00\x02\x02", 6));
	assert_non_null(memmem(d + 240, view.len - 240, "\x06\x04\x0a\x00\x02\x03", 6));
}

static void answers_ping(void **state)
{
	(void)state;
	say_who_we_are();
	send_frame(packet_icmp_echo(out, PACKET_GUEST, PACKET_GATEWAY, 7));
	expect(1);
	assert_int_equal(view.icmp_type, 0);
	assert_int_equal(view.from, PACKET_GATEWAY);
}

static void advertises_an_ipv6_prefix(void **state)
{
	(void)state;
	send_frame(packet_router_solicitation(out));
	do {
		expect(0x86dd);
	} while (view.data[40] != 134);
	assert_non_null(memmem(view.data + 40, view.len - 40, "\xfe\xc0\0\0\0\0\0\0", 8));
}

static void carries_udp(void **state)
{
	struct sockaddr_in peer;
	socklen_t len = sizeof(peer);
	uint16_t port;
	char text[64];
	int fd = listener(SOCK_DGRAM, &port);

	(void)state;
	say_who_we_are();
	send_frame(packet_udp(out, PACKET_GUEST, PACKET_GATEWAY, 4000, port, "there", 5));
	wait_readable(fd);
	assert_int_equal(recvfrom(fd, text, sizeof(text), 0, (struct sockaddr *)&peer, &len), 5);
	assert_memory_equal(text, "there", 5);
	sendto(fd, "and back", 8, 0, (struct sockaddr *)&peer, len);
	expect(17);
	assert_int_equal(view.from, PACKET_GATEWAY);
	assert_int_equal(view.dport, 4000);
	assert_memory_equal(view.data, "and back", 8);
	close(fd);
}

static struct packet_tcp tcp;

/* A connection to a listener on the host's loopback, through the gateway's address. */
static int open_tcp(int listen_fd, uint16_t port)
{
	say_who_we_are();
	tcp = (struct packet_tcp){.from = PACKET_GUEST,
				  .to = PACKET_GATEWAY,
				  .sport = 5000,
				  .dport = port,
				  .seq = 1000,
				  .mss = 32760,
				  .flags = PACKET_SYN};
	send_frame(packet_tcp(out, &tcp, NULL, 0));
	expect(6);
	assert_int_equal(view.flags, PACKET_SYN | PACKET_ACK);
	assert_int_equal(view.ack, 1001);
	tcp.seq = 1001;
	tcp.ack = view.seq + 1;
	tcp.mss = 0;
	tcp.flags = PACKET_ACK;
	send_frame(packet_tcp(out, &tcp, NULL, 0));
	wait_readable(listen_fd);
	return accept(listen_fd, NULL, NULL);
}

static void carries_tcp(void **state)
{
	struct net_hdr partial = {
		.flags = NET_HDR_NEEDS_CSUM, .csum_start = htole16(34), .csum_offset = htole16(16)};
	uint16_t port;
	uint32_t pseudo;
	char text[64];
	int fd = listener(SOCK_STREAM, &port), conn = open_tcp(fd, port);
	size_t len;

	(void)state;
	/* A segment whose checksum the driver left to us: the field holds the pseudo-header. */
	tcp.flags = PACKET_ACK | PACKET_PSH;
	len = packet_tcp(out, &tcp, "question", 8);
	pseudo = 0x0a00 + 0x020f + 0x0a00 + 0x0202 + 6 + 28;
	out[50] = (uint8_t)(pseudo >> 8);
	out[51] = (uint8_t)pseudo;
	send_with(netd.fd, &partial, len);
	wait_readable(conn);
	assert_int_equal(recv(conn, text, sizeof(text), 0), 8);
	assert_memory_equal(text, "question", 8);
	tcp.seq += 8;

	send(conn, "answer", 6, 0);
	do {
		expect(6);
	} while (!view.len);
	assert_memory_equal(view.data, "answer", 6);
	assert_int_equal(view.ack, tcp.seq);
	tcp.ack += 6;
	tcp.flags = PACKET_ACK | PACKET_FIN;
	send_frame(packet_tcp(out, &tcp, NULL, 0));
	wait_readable(conn);
	assert_int_equal(recv(conn, text, sizeof(text), 0), 0);
	close(conn);
	close(fd);
}

static void large_segments_both_ways(void **state)
{
	static uint8_t data[32760], got[32760];
	uint16_t port;
	int fd = listener(SOCK_STREAM, &port), conn = open_tcp(fd, port);
	size_t n = 0;

	(void)state;
	for (size_t i = 0; i < sizeof(data); i++)
		data[i] = (uint8_t)(i * 31 + i / 256);
	send_frame(packet_tcp(out, &tcp, data, sizeof(data)));
	while (n < sizeof(got)) {
		ssize_t r;

		wait_readable(conn);
		r = recv(conn, got + n, sizeof(got) - n, 0);
		assert_true(r > 0);
		n += (size_t)r;
	}
	assert_memory_equal(got, data, sizeof(data));
	tcp.seq += sizeof(data);

	assert_int_equal(send(conn, data, sizeof(data), 0), sizeof(data));
	for (n = 0; n < sizeof(got);) {
		expect(6);
		if (!view.len)
			continue;
		assert_int_equal(view.seq, tcp.ack);
		memcpy(got + n, view.data, view.len);
		n += view.len;
		tcp.ack += (uint32_t)view.len;
		send_frame(packet_tcp(out, &tcp, NULL, 0));
	}
	assert_memory_equal(got, data, sizeof(data));
	close(conn);
	close(fd);
}

/* The guest stops reading for a while: nothing is lost, nothing has to be sent again. */
static void waits_for_a_slow_guest(void **state)
{
	static uint8_t data[1 << 20];
	uint16_t port;
	int fd = listener(SOCK_STREAM, &port), conn = open_tcp(fd, port);
	size_t n = 0, sent = 0;

	(void)state;
	fcntl(conn, F_SETFL, O_NONBLOCK);
	for (size_t i = 0; i < sizeof(data); i++)
		data[i] = (uint8_t)(i ^ i >> 10);
	while (n < sizeof(data)) {
		ssize_t r = send(conn, data + sent, sizeof(data) - sent, 0);

		sent += r > 0 ? (size_t)r : 0;
		if (n == 0)
			poll(NULL, 0, 20);
		expect(6);
		if (!view.len)
			continue;
		/* In order and once: no retransmission. */
		assert_int_equal(view.seq, tcp.ack);
		assert_memory_equal(view.data, data + n, view.len);
		n += view.len;
		tcp.ack += (uint32_t)view.len;
		send_frame(packet_tcp(out, &tcp, NULL, 0));
	}
	close(conn);
	close(fd);
}

/* --- forwards --- */

static void forwards_a_tcp_port(void **state)
{
	struct sockaddr_in sa = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
	char words[64], text[16];
	uint16_t port;
	int fd = listener(SOCK_STREAM, &port);

	(void)state;
	close(fd);
	snprintf(words, sizeof(words), "user,hostfwd=tcp::%u-:22", port);
	assert_int_equal(start(words, &netd), 0);
	say_who_we_are();
	fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	sa.sin_port = htons(port);
	assert_int_equal(connect(fd, (struct sockaddr *)&sa, sizeof(sa)), 0);
	expect(6);
	assert_int_equal(view.flags, PACKET_SYN);
	assert_int_equal(view.dport, 22);
	assert_int_equal(view.to, PACKET_GUEST);
	tcp = (struct packet_tcp){.from = PACKET_GUEST,
				  .to = view.from,
				  .sport = 22,
				  .dport = view.sport,
				  .seq = 1,
				  .ack = view.seq + 1,
				  .flags = PACKET_SYN | PACKET_ACK};
	send_frame(packet_tcp(out, &tcp, NULL, 0));
	expect(6);
	tcp.seq = 2;
	tcp.flags = PACKET_ACK;
	send_frame(packet_tcp(out, &tcp, "SSH-2.0", 7));
	wait_readable(fd);
	assert_int_equal(recv(fd, text, sizeof(text), 0), 7);
	assert_memory_equal(text, "SSH-2.0", 7);
	close(fd);
}

static void forwards_a_udp_port(void **state)
{
	struct sockaddr_in sa = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
	char words[64];
	uint16_t port;
	int fd = listener(SOCK_DGRAM, &port);

	(void)state;
	close(fd);
	snprintf(words, sizeof(words), "user,hostfwd=udp::%u-:53", port);
	assert_int_equal(start(words, &netd), 0);
	say_who_we_are();
	fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	sa.sin_port = htons(port);
	sendto(fd, "in", 2, 0, (struct sockaddr *)&sa, sizeof(sa));
	expect(17);
	assert_int_equal(view.dport, 53);
	assert_memory_equal(view.data, "in", 2);
	close(fd);
}

static void forwards_an_ipv6_port(void **state)
{
	struct sockaddr_in6 sa = {.sin6_family = AF_INET6, .sin6_addr = IN6ADDR_LOOPBACK_INIT};
	socklen_t len = sizeof(sa);
	char words[64];
	int fd = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);

	(void)state;
	if (fd < 0 || bind(fd, (struct sockaddr *)&sa, len)) {
		print_message("skipped: no IPv6 on loopback here\n");
		if (fd >= 0)
			close(fd);
		assert_int_equal(start("user", &netd), 0);
		return;
	}
	getsockname(fd, (struct sockaddr *)&sa, &len);
	close(fd);
	snprintf(words, sizeof(words), "user,hostfwd=tcp:[::1]:%u-[fec0::15]:22",
		 ntohs(sa.sin6_port));
	assert_int_equal(start(words, &netd), 0);
	fd = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(connect(fd, (struct sockaddr *)&sa, len), 0);
	/* The way to the guest begins with a question who has its address (RFC 4861 §4.3). */
	do {
		expect(0x86dd);
	} while (view.data[40] != 135);
	assert_memory_equal(view.data + 48, "\xfe\xc0\0\0\0\0\0\0\0\0\0\0\0\0\0\x15", 16);
	close(fd);
}

static void says_when_a_port_is_in_use(void **state)
{
	char words[64];
	uint16_t port;
	int fd = listener(SOCK_STREAM, &port);

	(void)state;
	snprintf(words, sizeof(words), "user,hostfwd=tcp::%u-:22", port);
	assert_true(start(words, &netd) < 0);
	assert_non_null(strstr(said, "is in use: choose another"));
	assert_non_null(strstr(said, words + strlen("user,hostfwd=")));
	close(fd);
	assert_true(start("user,hostfwd=tcp:192.0.2.1:2222-:22", &netd) < 0);
	assert_non_null(strstr(said, "192.0.2.1 is not an address of this host"));
}

static void says_when_the_program_is_missing(void **state)
{
	struct net_option opt;

	(void)state;
	assert_int_equal(net_option_parse("user", &opt), 0);
	/* The test's own directory has no skiff-netd beside it, or the path is wrong. */
	assert_true(netd_start(&opt, "/nonexistent/skiff-netd", &netd) < 0);
	assert_non_null(strstr(said, "/nonexistent/skiff-netd: cannot start it"));
}

/* --- wrong and gone --- */

static void survives_garbage(void **state)
{
	struct net_hdr hdr = {0};
	unsigned seed = 1;

	(void)state;
	for (unsigned i = 0; i < 3000; i++) {
		size_t len = 14 + (seed >> 8) % 200;

		for (size_t k = 0; k < len; k++)
			out[k] = (uint8_t)((seed = seed * 1103515245 + 12345) >> 16);
		/* From a proper sender, so that it gets past the switch; of known types mostly. */
		memcpy(out, packet_gateway_mac, 6);
		memcpy(out + 6, packet_mac, 6);
		if (i % 4) {
			out[12] = i % 4 == 3 ? 0x86 : 0x08;
			out[13] = i % 4 == 3 ? 0xdd : i % 4 == 2 ? 6 : 0;
		}
		hdr.flags = (uint8_t)(i % 5 == 0);
		hdr.gso_type = (uint8_t)(i % 7 == 0);
		hdr.csum_start = (uint16_t)(seed >> 4);
		hdr.csum_offset = (uint16_t)(seed >> 12);
		send_with(netd.fd, &hdr, len);
	}
	/* Messages that are no frames at all. */
	for (size_t len = 1; len < 26; len++)
		send(netd.fd, in, len, 0);
	say_who_we_are();
}

static void ends_with_its_vm(void **state)
{
	(void)state;
	shutdown(netd.fd, SHUT_RDWR);
	assert_ended(netd.pid);
	netd.pid = 0;
}

static void holds_no_privileges(void **state)
{
	char path[64], text[4096];
	ssize_t n;
	int fd;

	(void)state;
	snprintf(path, sizeof(path), "/proc/%d/status", (int)netd.pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	n = read(fd, text, sizeof(text) - 1);
	assert_true(n > 0);
	text[n] = '\0';
	assert_non_null(strstr(text, "NoNewPrivs:\t1"));
	assert_non_null(strstr(text, "CapEff:\t0000000000000000"));
	assert_non_null(strstr(text, "CapPrm:\t0000000000000000"));
	if (geteuid() == 0 && own_network == 2)
		assert_non_null(strstr(text, "Uid:\t65534\t65534\t65534"));
	close(fd);
}

/* --- the switch --- */

static void two_vms_share_a_switch(void **state)
{
	char lock[80];
	char words[128], dir[] = "/tmp/skiff-test-XXXXXX", path[64];
	struct sockaddr_un addr = {.sun_family = AF_UNIX};
	struct netd a, b;
	int fd = -1, r = 0;

	(void)state;
	assert_non_null(mkdtemp(dir));
	snprintf(path, sizeof(path), "%s/s", dir);
	snprintf(words, sizeof(words), "switch,path=%s", path);
	assert_int_equal(start(words, &a), 0);
	assert_int_equal(start(words, &b), 0);
	assert_int_equal(b.mtu, 32800);
	/* Broadcasts reach the other VM as well as the gateway. */
	send_with(a.fd, NULL, packet_arp(out, 1, PACKET_GUEST, PACKET_GUEST + 1));
	assert_true(next_frame(b.fd, 0x0806, WAIT_MS));
	assert_memory_equal(in + 12 + 6, packet_mac, 6);
	/* What is for the gateway is not for the other VM. */
	send_with(a.fd, NULL, packet_arp(out, 1, PACKET_GUEST, PACKET_GATEWAY));
	assert_true(next_frame(a.fd, 0x0806, WAIT_MS));
	send_with(a.fd, NULL, packet_icmp_echo(out, PACKET_GUEST, PACKET_GATEWAY, 1));
	assert_true(next_frame(a.fd, 1, WAIT_MS));
	assert_false(next_frame(b.fd, 1, 50));

	/* A late forward is refused in words. */
	snprintf(words, sizeof(words), "switch,path=%s,hostfwd=tcp::1-:2", path);
	assert_int_equal(start(words, &netd), -EBUSY);
	assert_non_null(strstr(said, "it runs already"));

	/* The first leaves, the second stays; the last one out ends it. */
	close(a.fd);
	send_with(b.fd, NULL, packet_arp(out, 1, PACKET_GUEST, PACKET_GATEWAY));
	assert_true(next_frame(b.fd, 0x0806, WAIT_MS));
	close(b.fd);
	snprintf(addr.sun_path, sizeof(addr.sun_path), "%s", path);
	for (unsigned i = 0; i < WAIT_MS && !r; i++) {
		poll(NULL, 0, 1);
		fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
		r = connect(fd, (struct sockaddr *)&addr, sizeof(addr));
		close(fd);
	}
	assert_int_equal(r, -1);
	/* A socket that is left over is no obstacle. */
	snprintf(words, sizeof(words), "switch,path=%s", path);
	assert_int_equal(start(words, &a), 0);
	close(a.fd);
	while (waitpid(-1, NULL, 0) > 0)
		;
	unlink(path);
	snprintf(lock, sizeof(lock), "%s.lock", path);
	unlink(lock);
	rmdir(dir);
}

/* --- names --- */

/* The resolver of the host is one of ours, in our own mount and network namespaces. */
static void relays_dns_to_the_hosts_resolver(void **state)
{
	struct sockaddr_in sa = {.sin_family = AF_INET,
				 .sin_port = htons(53),
				 .sin_addr = {htonl(INADDR_LOOPBACK)}},
			   peer;
	char file[] = "/tmp/skiff-resolv-XXXXXX", text[64];
	socklen_t len = sizeof(peer);
	int conf, fd;

	(void)state;
	if (!own_network) {
		print_message("skipped: no namespaces to be had here\n");
		skip();
	}
	conf = mkstemp(file);
	assert_int_equal(write(conf, "nameserver 127.0.0.1\n", 21), 21);
	fchmod(conf, 0644);
	close(conf);
	assert_int_equal(mount(file, "/etc/resolv.conf", NULL, MS_BIND, NULL), 0);
	fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	assert_int_equal(bind(fd, (struct sockaddr *)&sa, sizeof(sa)), 0);
	assert_int_equal(start("user", &netd), 0);
	say_who_we_are();
	send_frame(packet_udp(out, PACKET_GUEST, PACKET_DNS, 4001, 53, "query", 5));
	wait_readable(fd);
	assert_int_equal(recvfrom(fd, text, sizeof(text), 0, (struct sockaddr *)&peer, &len), 5);
	sendto(fd, "reply", 5, 0, (struct sockaddr *)&peer, len);
	expect(17);
	assert_int_equal(view.from, PACKET_DNS);
	assert_int_equal(view.dport, 4001);
	assert_memory_equal(view.data, "reply", 5);
	close(fd);
	umount("/etc/resolv.conf");
	unlink(file);
}

#define T(name)   cmocka_unit_test_setup_teardown(name, setup, teardown)
#define OWN(name) cmocka_unit_test_teardown(name, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(hello_offers_the_mtu),
		T(answers_arp),
		T(gives_an_address_by_dhcp),
		T(answers_ping),
		T(advertises_an_ipv6_prefix),
		T(carries_udp),
		T(carries_tcp),
		T(large_segments_both_ways),
		T(waits_for_a_slow_guest),
		OWN(forwards_a_tcp_port),
		OWN(forwards_a_udp_port),
		OWN(forwards_an_ipv6_port),
		cmocka_unit_test(says_when_a_port_is_in_use),
		cmocka_unit_test(says_when_the_program_is_missing),
		T(survives_garbage),
		T(ends_with_its_vm),
		T(holds_no_privileges),
		cmocka_unit_test(two_vms_share_a_switch),
		OWN(relays_dns_to_the_hosts_resolver),
	};

	program = getenv("SKIFF_NETD");
	if (!program)
		program = "./skiff-netd";
	if (access(program, X_OK)) {
		fprintf(stderr, "skipped: %s is not there: build it, or name it in SKIFF_NETD\n",
			program);
		return 77;
	}
	own_network = own_network_enter();
	log_set_sink(hear, NULL);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
