/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef TESTS_LIB_SAID_H
#define TESTS_LIB_SAID_H

/*
 * Listens to vmm/log.h: said_start() takes the messages, said() is the last one since then or since
 * said_clear() ("" if there is none), said_count() how many there were.
 */
void said_start(void);
void said_clear(void);
const char *said(void);
unsigned said_count(void);

#endif
