/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef TESTS_LIB_HTTP_SERVER_H
#define TESTS_LIB_HTTP_SERVER_H

#include <pthread.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/*
 * An HTTP/1.1 server on loopback that does as a test tells it: serves a few files, and misbehaves.
 * A thread of its own, one connection after the other, each for one request.
 */
#define HTTP_FILES_MAX 8

struct http_file {
	const char *path; /* "/disk.img" */
	const void *data;
	size_t len;
	const char *etag;     /* with its quotes; NULL: none */
	const char *modified; /* a date; NULL: none */

	int status;            /* instead of 200; 0: as asked */
	unsigned status_times; /* so often; 0: always */
	const char *redirect;  /* Location; a status 302 if status is 0 */
	const char *more;      /* header lines of an answer that is no file, each with \r\n */
	size_t break_after;    /* ends the connection after so many bytes of body; 0: never */
	unsigned break_times;  /* so often; 0: always */
	int no_ranges;         /* answers 200 with all of it */
	int wrong_range;       /* answers 206 from another place */
	int chunked;           /* Transfer-Encoding: chunked, and so without a length */
	int no_length;         /* neither: the end of the connection is the end */
	int64_t lie;           /* is added to Content-Length */
	size_t piece;          /* bytes a write; 0: all */
	unsigned piece_ms;     /* between them */
	int stall;             /* after the headers, nothing until the other side goes */

	unsigned requests;   /* of this file so far */
	unsigned ranges;     /* of these, with a Range */
	uint64_t last_from;  /* where the last range began */
	uint64_t body_bytes; /* that were sent of it */
};

struct http_server {
	struct http_file file[HTTP_FILES_MAX];
	unsigned n;
	unsigned short port;
	int listener, stop[2];
	pthread_t thread;
	pthread_mutex_t lock; /* on all above but what start made */
};

/* Listens on 127.0.0.1 and any port. Aborts the test if it cannot. */
void http_start(struct http_server *s);
void http_stop(struct http_server *s);

/*
 * A process that forks must have no other thread, or the child may wait for a lock that nobody
 * holds: the server rests meanwhile, and whoever connects waits for it to go on. http_fork() does
 * all three; the child has no server.
 */
void http_rest(struct http_server *s);
void http_go_on(struct http_server *s);
pid_t http_fork(struct http_server *s);

/* Adds a file, for the test to change between requests. http_url() is its URL, in a static buffer.
 */
struct http_file *http_add(struct http_server *s, const char *path, const void *data, size_t len);
const char *http_url(const struct http_server *s, const char *path);

#endif
