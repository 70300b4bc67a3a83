/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef VMM_NET_OPTION_H
#define VMM_NET_OPTION_H

#include <net/if.h>
#include <stdint.h>

/*
 * One `--net` option of the command line:
 *
 *	user[,hostfwd=tcp|udp:[ADDR]:PORT-[ADDR]:PORT]...	a network of its own, behind
 *skiff-netd switch,path=SOCK[,hostfwd=...]...	one that VMs with the same SOCK share tap,name=IF |
 *tap,fd=N			an interface of the host
 *	stream,path=SOCK			a peer that speaks length-prefixed frames (passt)
 *
 * and with each of them mac=XX:XX:XX:XX:XX:XX; with all but tap mtu=N.
 */
#define NET_OPTION_FORWARDS_MAX  32
#define NET_OPTION_FORWARD_BYTES 128
#define NET_OPTION_PATH_BYTES    108 /* sun_path */

enum net_option_kind { NET_OPTION_USER, NET_OPTION_SWITCH, NET_OPTION_TAP, NET_OPTION_STREAM };

struct net_option {
	enum net_option_kind kind;
	uint8_t has_mac;
	uint8_t mac[6];
	uint32_t mtu;                     /* 0: not given */
	int fd;                           /* tap: -1: by name */
	char name[IFNAMSIZ];              /* tap */
	char path[NET_OPTION_PATH_BYTES]; /* switch, stream */
	unsigned n_forwards;
	char forward[NET_OPTION_FORWARDS_MAX][NET_OPTION_FORWARD_BYTES]; /* judged, as given */
};

/* 0, or -EINVAL after one sentence that names the option. */
int net_option_parse(const char *text, struct net_option *opt);

/*
 * The address of a VM's @index-th network device when none was given: locally administered, and
 * the same whenever @seed (the VM's name, say) is.
 */
void net_option_default_mac(const char *seed, unsigned index, uint8_t mac[6]);

#endif
