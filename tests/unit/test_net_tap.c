/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The wire over TAP, in a network namespace of the test's own with a packet socket on the other
 * side of the interface. Skipped where namespaces or /dev/net/tun are not to be had.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "devices/net/tap.h"
#include "vmm/log.h"

static struct loop *loop;
static char said[512];
static unsigned readable;

static void hear(void *arg, enum log_level level, const char *line)
{
	(void)arg;
	(void)level;
	snprintf(said, sizeof(said), "%s", line);
}

static void on_readable(void *arg)
{
	(void)arg;
	readable++;
	loop_stop(loop);
}

static void ignore(void *arg)
{
	(void)arg;
}

static void ignore_link(void *arg, int up)
{
	(void)arg;
	(void)up;
}

static const struct net_events events = {on_readable, ignore, ignore_link};

static int setup(void **state)
{
	(void)state;
	said[0] = '\0';
	return loop_create(&loop, 32);
}

static int teardown(void **state)
{
	(void)state;
	loop_destroy(loop);
	return 0;
}

static int make_tap(const char *name, short flags)
{
	struct ifreq ifr = {.ifr_flags = flags};
	int fd = open("/dev/net/tun", O_RDWR | O_CLOEXEC);

	assert_true(fd >= 0);
	strncpy(ifr.ifr_name, name, IFNAMSIZ - 1);
	assert_int_equal(ioctl(fd, TUNSETIFF, &ifr), 0);
	return fd;
}

static void bring_up(const char *name)
{
	struct ifreq ifr = {.ifr_flags = IFF_UP | IFF_RUNNING};
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	strncpy(ifr.ifr_name, name, IFNAMSIZ - 1);
	assert_int_equal(ioctl(fd, SIOCSIFFLAGS, &ifr), 0);
	close(fd);
}

static int packet_socket(const char *name)
{
	struct sockaddr_ll sa = {.sll_family = AF_PACKET,
				 .sll_protocol = htons(ETH_P_ALL),
				 .sll_ifindex = (int)if_nametoindex(name)};
	int fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, htons(ETH_P_ALL));

	assert_int_equal(bind(fd, (struct sockaddr *)&sa, sizeof(sa)), 0);
	return fd;
}

static void sentences(void **state)
{
	struct net *net = NULL;
	int fd;

	(void)state;
	assert_int_equal(net_tap_open_name(&net, loop, "nosuch0"), -ENODEV);
	assert_non_null(strstr(said, "tap nosuch0: there is no such interface: make it with"));
	assert_int_equal(net_tap_open_name(&net, loop, ""), -EINVAL);
	assert_int_equal(net_tap_open_name(&net, loop, "a-name-that-is-too-long"), -EINVAL);
	assert_int_equal(net_tap_open_name(&net, loop, "lo"), -EINVAL);
	assert_non_null(strstr(said, "tap lo: it is no single-queue TAP interface"));

	fd = make_tap("busy0", IFF_TAP | IFF_NO_PI | IFF_VNET_HDR);
	assert_int_equal(net_tap_open_name(&net, loop, "busy0"), -EBUSY);
	assert_non_null(strstr(said, "tap busy0: another program has it open"));
	close(fd);

	assert_int_equal(net_tap_open_fd(&net, loop, 9999), -EINVAL);
	assert_non_null(strstr(said, "descriptor 9999 is not an open TAP interface"));
	assert_int_equal(net_tap_open_fd(&net, loop, open("/dev/null", O_RDWR)), -EINVAL);
	fd = make_tap("plain0", IFF_TAP | IFF_NO_PI);
	assert_int_equal(net_tap_open_fd(&net, loop, fd), -EINVAL);
	assert_non_null(strstr(said, "tap plain0: descriptor"));
	assert_null(net);
}

static void frames_both_ways(void **state)
{
	uint8_t eth[100] = {2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 0x88, 0xb5}, got[200];
	struct net_hdr hdr = {0};
	struct iovec v[2] = {{&hdr, sizeof(hdr)}, {eth, sizeof(eth)}};
	struct iovec to[2] = {{&hdr, sizeof(hdr)}, {got, sizeof(got)}};
	struct net_frame out = {v, 2, 112}, in = {to, 2, 0};
	struct net *net;
	int fd = make_tap("wire0", IFF_TAP | IFF_NO_PI | IFF_VNET_HDR), far, r;

	(void)state;
	assert_int_equal(net_tap_open_fd(&net, loop, fd), 0);
	net->events = &events;
	assert_int_equal(net->mtu, 1500);
	assert_int_equal(net->features, NET_WIRE_CSUM | NET_WIRE_TSO);
	net->ops->offload(net, NET_WIRE_CSUM | NET_WIRE_TSO);
	/* The interface is down: the frame is lost and the wire lives. */
	assert_int_equal(net->ops->send(net, &out, 1), 1);
	bring_up("wire0");
	far = packet_socket("wire0");

	assert_int_equal(net->ops->send(net, &out, 1), 1);
	do {
		r = (int)recv(far, got, sizeof(got), 0);
		assert_true(r > 0);
	} while (memcmp(got + 12, "\x88\xb5", 2) != 0);
	assert_int_equal(r, 100);
	assert_memory_equal(got, eth, 100);

	/* Other frames may come first: the kernel looks for IPv6 neighbours. */
	while (net->ops->recv(net, &in, 1) == 1)
		;
	eth[5] = 9;
	assert_int_equal(send(far, eth, sizeof(eth), 0), 100);
	loop_run(loop);
	for (;;) {
		r = net->ops->recv(net, &in, 1);
		assert_true(r >= 0);
		if (r && !memcmp(got + 12, "\x88\xb5", 2))
			break;
		if (!r)
			loop_run(loop);
	}
	assert_int_equal(in.len, 112);
	assert_memory_equal(got, eth, 100);
	assert_true(readable > 0);
	close(far);
	net->ops->close(net);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(sentences, setup, teardown),
		cmocka_unit_test_setup_teardown(frames_both_ways, setup, teardown),
	};

	if (unshare(CLONE_NEWNET | (geteuid() ? CLONE_NEWUSER : 0)) ||
	    access("/dev/net/tun", R_OK | W_OK)) {
		fprintf(stderr, "skipped: no network namespace, or no /dev/net/tun\n");
		return 77;
	}
	log_set_sink(hear, NULL);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
