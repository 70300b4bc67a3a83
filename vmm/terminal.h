/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef VMM_TERMINAL_H
#define VMM_TERMINAL_H

#include <stddef.h>
#include <stdint.h>

struct loop;

/*
 * The host's side of the guest's consoles: bytes from their ports go to the terminal, to a file or
 * nowhere, and what is typed goes to one of them.
 *
 *   port --peek/consume--> terminal --io_uring--> stdout, file      (tx_ready: terminal_output)
 *   port <------put------- terminal <--io_uring-- stdin             (rx_room: terminal_input)
 *
 * A terminal is put into raw mode (tty.h); on it Ctrl-] is the escape key: `Ctrl-] x` ends the VM,
 * `Ctrl-] Ctrl-]` sends one Ctrl-], `Ctrl-] ?` says so. Standard input that is no terminal is
 * given to the guest as it is, and its end is not the end of the VM.
 *
 * Nothing blocks and nothing grows. Output is collected for a few milliseconds and written from
 * where it lies in the device's ring; while the reader stands still it stays there. Input that
 * the guest does not take waits in a small buffer; after that a pipe is not read any further, and
 * keys are dropped, so that the escape key always works. Output ends quietly when nobody reads it
 * any more, or when the file is full or has TERMINAL_FILE_MAX bytes.
 */
struct console_port {
	void *dev;
	/* In place, until consumed; @len is 0 if there is nothing. */
	const uint8_t *(*peek)(void *dev, size_t *len);
	void (*consume)(void *dev, size_t len);
	/* How many of @len bytes the guest takes. If fewer, terminal_input() is due later. */
	size_t (*put)(void *dev, const void *bytes, size_t len);
	void (*resize)(void *dev, uint16_t cols, uint16_t rows); /* NULL: does not care */
};

/*
 * Someone who follows what the guest shows, whatever becomes of it. While the terminal is held, it
 * is shown to nobody else, and a key other than those after Ctrl-] is told here and goes nowhere.
 * On the loop's thread, lock held.
 */
struct terminal_watch {
	void (*seen)(void *arg, const uint8_t *bytes, size_t len);
	void (*key)(void *arg);
	void *arg;
};

#define TERMINAL_PORTS_MAX 2
#define TERMINAL_FILE_MAX  (64ull << 20)

struct terminal;

struct terminal_params {
	struct loop *loop;
	const char *spec; /* --console: `stdio`, `null` or `file:PATH` */
	int in, out;      /* what `stdio` means; the caller's: 0 and 1 */
	/* `Ctrl-] x` was typed. On the loop's thread, lock held. */
	void (*end)(void *arg);
	void *arg;
};

/*
 * 0, or -errno after saying which option or file is wrong. On the loop's thread, which is not in
 * loop_run(). Ignores SIGPIPE from here on.
 */
int terminal_open(struct terminal **out, const struct terminal_params *params);

/*
 * Connects a port (copied); what is typed goes to the one attached last with @input set. Its size
 * is told at once. Lock held; at most TERMINAL_PORTS_MAX.
 */
void terminal_attach(struct terminal *term, const struct console_port *port, int input);

/* A port has something to show; a port can take input again. Lock held, any thread. */
void terminal_output(struct terminal *term);
void terminal_input(struct terminal *term);

/* Before the first port is attached; @watch is copied. */
void terminal_set_watch(struct terminal *term, const struct terminal_watch *watch);

/* Whether there is a person in front of it, who types and sees. */
int terminal_is_tty(const struct terminal *term);

/*
 * Holds the output back, before the first port is attached and with a watch; then lets it go, the
 * last @lines lines (0: all, up to SCROLLBACK_BYTES) of what was held being shown first. A terminal
 * that is drained lets all of it go. Lock held, on the loop's thread.
 */
void terminal_hold(struct terminal *term);
void terminal_release(struct terminal *term, unsigned lines);

/*
 * The ports go: takes turns of the loop until all that they have to show is written, or @ms
 * milliseconds are over. Afterwards no port is touched any more and no memory of theirs is in use.
 * On the loop's thread, outside loop_run(), without the lock.
 */
void terminal_drain(struct terminal *term, unsigned ms);

/*
 * After terminal_drain(), if a port was ever attached. Takes turns of the loop until nothing is in
 * flight, gives the terminal back and frees everything. NULL is allowed.
 */
void terminal_close(struct terminal *term);

#endif
