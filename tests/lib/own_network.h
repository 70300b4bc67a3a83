/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef TESTS_LIB_OWN_NETWORK_H
#define TESTS_LIB_OWN_NETWORK_H

/*
 * Moves this process into a network (and mount) namespace of its own, where only loopback is: 2 if
 * it is real root there, 1 if it is root in a user namespace, 0 if there is none to be had.
 */
int own_network_enter(void);

#endif
