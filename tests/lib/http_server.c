/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The HTTP server of the tests. Its thread ends when there is a byte in the pipe it also waits on.
 * Knows nothing of who asks.
 */
#include "tests/lib/http_server.h"

#include <arpa/inet.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define REQUEST_MAX 8192

static void insist(int ok, const char *what)
{
	if (ok)
		return;
	perror(what);
	abort();
}

static void msleep(unsigned ms)
{
	struct timespec t = {.tv_sec = ms / 1000, .tv_nsec = (long)(ms % 1000) * 1000000};

	nanosleep(&t, NULL);
}

static int send_all(int fd, const void *data, size_t len)
{
	const char *at = data;

	while (len) {
		ssize_t n = send(fd, at, len, MSG_NOSIGNAL);

		if (n <= 0)
			return -1;
		at += n;
		len -= (size_t)n;
	}
	return 0;
}

/* The value of header @name in @request, or NULL. */
static const char *header(const char *request, const char *name)
{
	size_t n = strlen(name);

	for (const char *p = strstr(request, "\r\n"); p; p = strstr(p, "\r\n")) {
		p += 2;
		if (strncasecmp(p, name, n) == 0 && p[n] == ':')
			return p + n + 1 + strspn(p + n + 1, " ");
	}
	return NULL;
}

static int value_is(const char *value, const char *text)
{
	size_t n = text ? strlen(text) : 0;

	return value && text && strncmp(value, text, n) == 0 && value[n] == '\r';
}

/* Whether @request wants the rest of @f, from *@from. */
static int wants_rest(const char *request, struct http_file *f, uint64_t *from)
{
	const char *range = header(request, "Range"), *when = header(request, "If-Range");

	if (!range || strncmp(range, "bytes=", 6) != 0)
		return 0;
	*from = strtoull(range + 6, NULL, 10);
	f->ranges++;
	f->last_from = *from;
	if (f->no_ranges)
		return 0;
	return !when || value_is(when, f->etag) || value_is(when, f->modified);
}

static void send_body(int fd, struct http_file *f, uint64_t from)
{
	size_t left = f->len - from, piece = f->piece ? f->piece : 65536;
	size_t most = f->break_after ? f->break_after : SIZE_MAX;
	const char *at = (const char *)f->data + from;
	char chunk[32];

	if (f->break_times && --f->break_times == 0)
		f->break_after = 0;
	while (left && most) {
		size_t n = left < piece ? left : piece;

		if (n > most)
			n = most;
		if (f->chunked) {
			snprintf(chunk, sizeof(chunk), "%zx\r\n", n);
			if (send_all(fd, chunk, strlen(chunk)))
				return;
		}
		if (send_all(fd, at, n) || (f->chunked && send_all(fd, "\r\n", 2)))
			return;
		f->body_bytes += n;
		at += n;
		left -= n;
		most -= n;
		if (f->piece_ms)
			msleep(f->piece_ms);
	}
	if (!left && f->chunked)
		send_all(fd, "0\r\n\r\n", 5);
}

static int status_of(struct http_file *f, int rest, uint64_t from)
{
	int status = f->status ? f->status : f->redirect ? 302 : 0;

	if (status && f->status_times && --f->status_times == 0)
		f->status = 0;
	if (status)
		return status;
	if (rest)
		return from >= f->len ? 416 : 206;
	return 200;
}

static void answer(int fd, struct http_file *f, const char *request)
{
	uint64_t from = 0;
	int rest = wants_rest(request, f, &from), status = status_of(f, rest, from);
	char head[2048];
	int n, body = status == 200 || status == 206;

	if (status != 206)
		from = 0;
	n = snprintf(head, sizeof(head), "HTTP/1.1 %d X\r\nConnection: close\r\n%s", status,
		     f->more && !body ? f->more : "");
	if (f->redirect)
		n += snprintf(head + n, sizeof(head) - (size_t)n, "Location: %s\r\n", f->redirect);
	if (body && f->etag)
		n += snprintf(head + n, sizeof(head) - (size_t)n, "ETag: %s\r\n", f->etag);
	if (body && f->modified)
		n += snprintf(head + n, sizeof(head) - (size_t)n, "Last-Modified: %s\r\n",
			      f->modified);
	if (status == 206)
		n += snprintf(head + n, sizeof(head) - (size_t)n,
			      "Content-Range: bytes %" PRIu64 "-%zu/%zu\r\n",
			      from + (f->wrong_range ? 1 : 0), f->len - 1, f->len);
	if (f->chunked && body)
		n += snprintf(head + n, sizeof(head) - (size_t)n, "Transfer-Encoding: chunked\r\n");
	else if (!f->no_length || !body)
		n += snprintf(head + n, sizeof(head) - (size_t)n, "Content-Length: %" PRId64 "\r\n",
			      body ? (int64_t)(f->len - from) + f->lie : 0);
	n += snprintf(head + n, sizeof(head) - (size_t)n, "\r\n");
	if (send_all(fd, head, (size_t)n) || !body)
		return;
	if (f->stall) {
		recv(fd, head, sizeof(head), 0);
		return;
	}
	send_body(fd, f, from);
}

static void serve(struct http_server *s, int fd)
{
	char request[REQUEST_MAX + 1], path[256];
	size_t len = 0;
	ssize_t n;

	do {
		n = recv(fd, request + len, REQUEST_MAX - len, 0);
		if (n <= 0)
			return;
		len += (size_t)n;
		request[len] = '\0';
	} while (!strstr(request, "\r\n\r\n") && len < REQUEST_MAX);
	if (sscanf(request, "GET %255s HTTP/1.1", path) != 1)
		return;
	pthread_mutex_lock(&s->lock);
	for (unsigned i = 0; i < s->n; i++) {
		if (strcmp(s->file[i].path, path) != 0)
			continue;
		s->file[i].requests++;
		answer(fd, &s->file[i], request);
		pthread_mutex_unlock(&s->lock);
		return;
	}
	pthread_mutex_unlock(&s->lock);
	send_all(fd, "HTTP/1.1 404 X\r\nConnection: close\r\nContent-Length: 0\r\n\r\n", 57);
}

static void *run(void *arg)
{
	struct http_server *s = arg;

	for (;;) {
		struct pollfd p[] = {{s->listener, POLLIN, 0}, {s->stop[0], POLLIN, 0}};
		int fd;

		if (poll(p, 2, -1) < 0)
			continue;
		if (p[1].revents)
			return NULL;
		fd = accept(s->listener, NULL, NULL);
		if (fd < 0)
			continue;
		serve(s, fd);
		close(fd);
	}
}

void http_start(struct http_server *s)
{
	struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t len = sizeof(a);

	memset(s, 0, sizeof(*s));
	pthread_mutex_init(&s->lock, NULL);
	s->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	insist(s->listener >= 0, "socket");
	insist(bind(s->listener, (struct sockaddr *)&a, sizeof(a)) == 0, "bind");
	insist(listen(s->listener, 16) == 0, "listen");
	insist(getsockname(s->listener, (struct sockaddr *)&a, &len) == 0, "getsockname");
	s->port = ntohs(a.sin_port);
	http_go_on(s);
}

void http_go_on(struct http_server *s)
{
	insist(pipe(s->stop) == 0, "pipe");
	insist(pthread_create(&s->thread, NULL, run, s) == 0, "pthread_create");
}

void http_rest(struct http_server *s)
{
	insist(write(s->stop[1], "", 1) == 1, "write");
	pthread_join(s->thread, NULL);
	close(s->stop[0]);
	close(s->stop[1]);
}

void http_stop(struct http_server *s)
{
	http_rest(s);
	close(s->listener);
	pthread_mutex_destroy(&s->lock);
}

pid_t http_fork(struct http_server *s)
{
	pid_t pid;

	http_rest(s);
	pid = fork();
	insist(pid >= 0, "fork");
	if (pid)
		http_go_on(s);
	return pid;
}

struct http_file *http_add(struct http_server *s, const char *path, const void *data, size_t len)
{
	struct http_file *f;

	pthread_mutex_lock(&s->lock);
	insist(s->n < HTTP_FILES_MAX, "http_add");
	f = &s->file[s->n++];
	*f = (struct http_file){.path = path, .data = data, .len = len};
	pthread_mutex_unlock(&s->lock);
	return f;
}

const char *http_url(const struct http_server *s, const char *path)
{
	static char url[4][128];
	static unsigned turn;
	char *out = url[turn++ % 4];

	snprintf(out, sizeof(url[0]),
		 "http://127.0.0.1"
		 ":%u%s",
		 s->port, path);
	return out;
}
