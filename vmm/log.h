/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef VMM_LOG_H
#define VMM_LOG_H

/*
 * What a person reads when something is wrong. One line a message, `room: what: value: reason`,
 * on standard error; bytes that are not printable ASCII become `?`, so that nothing a guest or a
 * file says can drive the reader's terminal. Any thread may log. A line is cut at 1 KiB.
 */
enum log_level { LOG_ERROR, LOG_WARN, LOG_INFO, LOG_DEBUG };

void log_line(enum log_level level, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/*
 * Says the one sentence that explains why a start-up step failed and returns @err, a negative
 * errno, so that the place which knows the cause reads `return log_fail(-EINVAL, "...")`. Whoever
 * receives the value passes it on in silence.
 */
int log_fail(int err, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* Messages above @level are dropped. The default is LOG_INFO. */
void log_set_level(enum log_level level);

/* While @on there is a status line on the terminal: a message takes its place. */
void log_over_status(int on);

/* Tests take the messages: @sink gets each line without its newline; NULL gives them back. */
void log_set_sink(void (*sink)(void *arg, enum log_level level, const char *line), void *arg);

#endif
