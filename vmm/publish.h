/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef VMM_PUBLISH_H
#define VMM_PUBLISH_H

#include <stddef.h>

/*
 * `-p [ADDR:]PORT:PORT[/tcp|/udp]`, as container engines have it, in the words of `--net`: the
 * host's port, then the guest's. 0 with @out, such as "hostfwd=tcp::8080-:80"; or -EINVAL after one
 * sentence. Addresses are judged by net_option_parse().
 */
int publish_to_hostfwd(const char *text, char *out, size_t size);

/*
 * Whether @text publishes TCP port @guest_port of the guest; then @addr is where to connect to on
 * this host, and @host_port the port.
 */
int publish_is_of(const char *text, unsigned guest_port, char *addr, size_t size,
		  unsigned *host_port);

#endif
