/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * HTTP, by libcurl. Main thread, blocking. Knows nothing of images or of what a digest should be.
 *
 * A fetch is some tries, a try some hops: redirects are followed here and not by libcurl, so that
 * each hop is judged and named. An answer is judged when its first body byte comes (answer_begins),
 * since only then all of its headers are known; until then nothing of the part is changed.
 */
#include "loader/image/fetch.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>

#include <curl/curl.h>

#include "loader/image/units.h"
#include "vmm/log.h"

#define HEADERS_MAX (256u << 10) /* bytes of all headers of a try */
#define IGNORED_MAX (256u << 10) /* of the body of an answer that is no file */
#define WAIT_MAX_MS 30000u
#define GAIN_BYTES  (1u << 20) /* makes a try one that got on */

enum again { AGAIN = 1 }; /* a try's result beside 0 and -errno: worth another */

struct transfer {
	const struct fetch *f;
	const char *url; /* as given */
	CURL *curl;
	char error[CURL_ERROR_SIZE];
	char why[CURL_ERROR_SIZE + 64]; /* the last try failed */

	struct part *part; /* where it goes; or NULL: */
	struct hasher *hash;
	char *text;
	size_t text_len;

	/* of the answer being read */
	long status;
	int64_t length;               /* Content-Length, -1 if not given */
	uint64_t range_at, range_all; /* Content-Range; all is 0 if not given */
	int ranged;                   /* there was a good Content-Range */
	char etag[PART_VALIDATOR_MAX], modified[PART_VALIDATOR_MAX];
	int begun;   /* its body goes into the file */
	int changed; /* the server has another file than the part's */
	int fatal;   /* -errno, already said */
	size_t headers, ignored;
};

static uint64_t have(const struct transfer *t)
{
	return t->part ? t->part->have : t->text_len;
}

/* --- headers --------------------------------------------------------------------------------- */

static void new_answer(struct transfer *t, const char *line)
{
	const char *space = strchr(line, ' ');

	t->status = space ? strtol(space, NULL, 10) : 0;
	t->length = -1;
	t->ranged = 0;
	t->range_at = t->range_all = 0;
	t->etag[0] = t->modified[0] = '\0';
}

/* `bytes 10-19/100` or `bytes 10-19` followed by a slash and a star. */
static void take_range(struct transfer *t, const char *value)
{
	unsigned long long from, to, all = 0;

	if (sscanf(value, "bytes %llu-%llu/%llu", &from, &to, &all) < 2)
		return;
	t->ranged = 1;
	t->range_at = from;
	t->range_all = all;
}

/* One that is too long to be kept is none. */
static void take_validator(char out[PART_VALIDATOR_MAX], const char *value)
{
	if (strlen(value) < PART_VALIDATOR_MAX)
		memcpy(out, value, strlen(value) + 1);
}

/* The value if @line is header @name, else NULL. */
static const char *value_of(const char *line, const char *name)
{
	size_t n = strlen(name);

	if (strncasecmp(line, name, n) != 0 || line[n] != ':')
		return NULL;
	return line + n + 1 + strspn(line + n + 1, " \t");
}

static size_t on_header(char *data, size_t size, size_t n, void *arg)
{
	struct transfer *t = arg;
	char line[512];
	const char *v;
	size_t len = size * n;

	t->headers += len;
	if (t->headers > HEADERS_MAX)
		return 0;
	if (len >= sizeof(line)) /* none that we read are so long */
		return len;
	memcpy(line, data, len);
	line[len] = '\0';
	line[strcspn(line, "\r\n")] = '\0';
	if (strncmp(line, "HTTP/", 5) == 0)
		new_answer(t, line);
	else if ((v = value_of(line, "content-length")))
		t->length = strtoll(v, NULL, 10);
	else if ((v = value_of(line, "content-range")))
		take_range(t, v);
	else if ((v = value_of(line, "etag")) && v[0] == '"') /* weak ones are W/"..." */
		take_validator(t->etag, v);
	else if ((v = value_of(line, "last-modified")))
		take_validator(t->modified, v);
	return len;
}

/* --- the body -------------------------------------------------------------------------------- */

static int too_large(struct transfer *t)
{
	char limit[UNITS_TEXT_MAX];

	progress_end(t->f->progress);
	return log_fail(-EFBIG, "%s: %s: larger than %s, which is the most that is taken",
			t->f->what, t->url, units_bytes(t->f->limit, limit));
}

/* The part begins anew, as what this answer brings. */
static int start_over(struct transfer *t)
{
	int r = part_restart(t->part);

	if (t->hash)
		hasher_restart(t->hash);
	return r;
}

/* Whether a 206 goes on with what the part has. */
static int is_our_rest(const struct transfer *t)
{
	const struct part *p = t->part;

	if (!t->ranged || t->range_at != p->have)
		return 0;
	if (p->total && t->range_all && t->range_all != p->total)
		return 0;
	return p->validator[0] != '"' || !t->etag[0] || strcmp(p->validator, t->etag) == 0;
}

static int part_begins(struct transfer *t)
{
	struct part *p = t->part;
	uint64_t all;
	int r = 0;

	if (t->status == 206) {
		if (!is_our_rest(t)) {
			t->changed = 1;
			return AGAIN;
		}
		all = t->range_all;
	} else {
		r = start_over(t);
		if (r)
			return r;
		all = t->length > 0 ? (uint64_t)t->length : 0;
		/* A date alone may be the same for two files (RFC 9110 §13.1.5): the size, too. */
		snprintf(p->validator, sizeof(p->validator), "%s",
			 t->etag[0] ? t->etag : t->modified);
	}
	if (all > t->f->limit)
		return too_large(t);
	if (part_room(p, all)) {
		progress_end(t->f->progress);
		return part_no_space(p, t->f->what, all);
	}
	if (all)
		p->total = all;
	progress_from(t->f->progress, p->have, p->total);
	return part_save(p);
}

/* The first byte of a body: whether and where it is taken. 0, AGAIN or -errno. */
static int answer_begins(struct transfer *t)
{
	t->begun = 1;
	if (t->part)
		return part_begins(t);
	t->text_len = 0;
	return 0;
}

static int take_text(struct transfer *t, const char *data, size_t len)
{
	char *more;

	if (len > FETCH_TEXT_MAX - t->text_len)
		return log_fail(-EFBIG, "%s: %s: longer than 1 MiB, which no checksum list is",
				t->f->what, t->url);
	more = realloc(t->text, t->text_len + len + 1);
	if (!more)
		return log_fail(-ENOMEM, "%s: %s: not enough memory", t->f->what, t->url);
	memcpy(more + t->text_len, data, len);
	t->text = more;
	t->text_len += len;
	return 0;
}

static int take_part(struct transfer *t, const char *data, size_t len)
{
	int r;

	if (len > t->f->limit - t->part->have)
		return too_large(t);
	r = part_add(t->part, data, len);
	if (r == -ENOSPC || r == -EDQUOT) {
		progress_end(t->f->progress);
		r = part_no_space(t->part, t->f->what, t->part->total);
		start_over(t); /* gives the space back */
		return r;
	}
	if (r) {
		progress_end(t->f->progress);
		return log_fail(r, "%s: cannot write in %s: %s", t->f->what, t->part->store->dir,
				strerror(-r));
	}
	hasher_add(t->hash, data, len);
	if (t->part->have - t->part->saved >= PART_SAVE_BYTES && (r = part_save(t->part)))
		return r;
	progress_set(t->f->progress, t->part->have);
	return 0;
}

static size_t on_body(char *data, size_t size, size_t n, void *arg)
{
	struct transfer *t = arg;
	size_t len = size * n;
	int r = 0;

	if (t->status != 200 && t->status != 206) {
		t->ignored += len;
		return t->ignored > IGNORED_MAX ? 0 : len;
	}
	if (!t->begun)
		r = answer_begins(t);
	if (!r)
		r = t->part ? take_part(t, data, len) : take_text(t, data, len);
	if (r < 0)
		t->fatal = r;
	return r ? 0 : len;
}

static int on_tick(void *arg, curl_off_t a, curl_off_t b, curl_off_t c, curl_off_t d)
{
	struct transfer *t = arg;

	(void)a;
	(void)b;
	(void)c;
	(void)d;
	if (t->begun && t->part)
		progress_set(t->f->progress, t->part->have);
	return *t->f->stop != 0;
}

/* --- a try ----------------------------------------------------------------------------------- */

static void set_options(struct transfer *t)
{
	CURL *c = t->curl;

	curl_easy_setopt(c, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(c, CURLOPT_USERAGENT, "skiff/" SKIFF_VERSION);
	curl_easy_setopt(c, CURLOPT_ERRORBUFFER, t->error);
	curl_easy_setopt(c, CURLOPT_FOLLOWLOCATION, 0L);
	curl_easy_setopt(c, CURLOPT_SSL_VERIFYPEER, 1L);
	curl_easy_setopt(c, CURLOPT_SSL_VERIFYHOST, 2L);
	curl_easy_setopt(c, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
	curl_easy_setopt(c, CURLOPT_SUPPRESS_CONNECT_HEADERS, 1L);
	curl_easy_setopt(c, CURLOPT_CONNECTTIMEOUT, (long)t->f->stall_s);
	curl_easy_setopt(c, CURLOPT_LOW_SPEED_LIMIT, 1L);
	curl_easy_setopt(c, CURLOPT_LOW_SPEED_TIME, (long)t->f->stall_s);
	curl_easy_setopt(c, CURLOPT_BUFFERSIZE, 256L << 10);
	curl_easy_setopt(c, CURLOPT_HEADERFUNCTION, on_header);
	curl_easy_setopt(c, CURLOPT_HEADERDATA, t);
	curl_easy_setopt(c, CURLOPT_WRITEFUNCTION, on_body);
	curl_easy_setopt(c, CURLOPT_WRITEDATA, t);
	curl_easy_setopt(c, CURLOPT_NOPROGRESS, 0L);
	curl_easy_setopt(c, CURLOPT_XFERINFOFUNCTION, on_tick);
	curl_easy_setopt(c, CURLOPT_XFERINFODATA, t);
}

static int is_https(const char *url)
{
	return strncasecmp(url, "https://", 8) == 0;
}

/* Asks for the rest if there is something to go on from. The list is the caller's to free. */
static struct curl_slist *ask_for_rest(struct transfer *t)
{
	char range[32], line[PART_VALIDATOR_MAX + 16];

	curl_easy_setopt(t->curl, CURLOPT_RANGE, NULL);
	/* Without a validator nobody could tell whether the rest is of the same file. */
	if (!t->part || !t->part->have || !t->part->validator[0])
		return NULL;
	snprintf(range, sizeof(range), "%" PRIu64 "-", t->part->have);
	curl_easy_setopt(t->curl, CURLOPT_RANGE, range);
	snprintf(line, sizeof(line), "If-Range: %s", t->part->validator);
	return curl_slist_append(NULL, line);
}

static int is_redirect(long status)
{
	return status == 301 || status == 302 || status == 303 || status == 307 || status == 308;
}

/* Where a redirect leads, as @url: 0 or -errno, said. */
static int next_hop(struct transfer *t, char **url, unsigned hops)
{
	char *to = NULL, *copy;

	progress_end(t->f->progress);
	curl_easy_getinfo(t->curl, CURLINFO_REDIRECT_URL, &to);
	if (!to)
		return log_fail(-EPROTO, "%s: %s: redirected to nowhere", t->f->what, *url);
	if (hops == FETCH_REDIRECTS_MAX)
		return log_fail(-ELOOP, "%s: %s: redirected more than %u times, last to %s",
				t->f->what, t->url, FETCH_REDIRECTS_MAX, to);
	if (!is_https(to) && strncasecmp(to, "http://", 7) != 0)
		return log_fail(-EPROTO,
				"%s: %s: redirected to %s, which is neither https nor http",
				t->f->what, *url, to);
	if (is_https(*url) && !is_https(to))
		return log_fail(-EPROTO,
				"%s: %s: redirected from https to %s: not followed, because what "
				"comes from there anyone could have changed",
				t->f->what, *url, to);
	copy = strdup(to);
	if (!copy)
		return log_fail(-ENOMEM, "%s: not enough memory", t->f->what);
	free(*url);
	*url = copy;
	return 0;
}

/* All hops of a try. libcurl's result; *@r is -errno, said, if a redirect was not followed. */
static CURLcode perform(struct transfer *t, int *r)
{
	struct curl_slist *headers = ask_for_rest(t);
	char *url = strdup(t->url);
	CURLcode code = CURLE_OUT_OF_MEMORY;

	*r = 0;
	t->headers = t->ignored = 0;
	t->begun = t->changed = t->fatal = 0;
	curl_easy_setopt(t->curl, CURLOPT_HTTPHEADER, headers);
	for (unsigned hops = 0; url && !*r; hops++) {
		t->error[0] = '\0';
		t->status = 0;
		curl_easy_setopt(t->curl, CURLOPT_URL, url);
		curl_easy_setopt(t->curl, CURLOPT_PROTOCOLS_STR,
				 is_https(url) ? "https" : "http,https");
		code = curl_easy_perform(t->curl);
		if (!is_redirect(t->status) || (code && code != CURLE_WRITE_ERROR))
			break;
		*r = next_hop(t, &url, hops);
	}
	free(url);
	curl_easy_setopt(t->curl, CURLOPT_HTTPHEADER, NULL);
	curl_slist_free_all(headers);
	return code;
}

/* A status that says no file: AGAIN, or -errno, said. */
static int judge_status(struct transfer *t)
{
	switch (t->status) {
	case 408:
	case 429:
	case 500:
	case 502:
	case 503:
	case 504:
		snprintf(t->why, sizeof(t->why), "the server answers %ld", t->status);
		return AGAIN;
	case 416:
		snprintf(t->why, sizeof(t->why), "the server's file is shorter than it was");
		t->changed = 1;
		return AGAIN;
	case 404:
	case 410:
		return log_fail(-ENOENT, "%s: %s: the server has no such file (%ld)", t->f->what,
				t->url, t->status);
	case 401:
	case 403:
		return log_fail(-EACCES, "%s: %s: the server does not give it to us (%ld)",
				t->f->what, t->url, t->status);
	default:
		return log_fail(-EPROTO, "%s: %s: the server answers %ld", t->f->what, t->url,
				t->status);
	}
}

/* What libcurl says went wrong: AGAIN, or -errno, said. */
static int judge_code(struct transfer *t, CURLcode code)
{
	const char *words = t->error[0] ? t->error : curl_easy_strerror(code);

	switch (code) {
	case CURLE_PEER_FAILED_VERIFICATION:
	case CURLE_SSL_CACERT_BADFILE:
	case CURLE_SSL_ISSUER_ERROR:
		return log_fail(-EPERM,
				"%s: %s: the server cannot show that it is the right one: %s "
				"(is ca-certificates installed and the clock right?)",
				t->f->what, t->url, words);
	case CURLE_URL_MALFORMAT:
	case CURLE_UNSUPPORTED_PROTOCOL:
		return log_fail(-EINVAL, "%s: %s: not a URL to fetch from: %s", t->f->what, t->url,
				words);
	case CURLE_OUT_OF_MEMORY:
		return log_fail(-ENOMEM, "%s: not enough memory", t->f->what);
	default:
		snprintf(t->why, sizeof(t->why), "%s", words);
		return AGAIN;
	}
}

static int one_try(struct transfer *t)
{
	uint64_t total;
	CURLcode code;
	int r;

	code = perform(t, &r);
	if (code || r || t->status >= 300)
		progress_end(t->f->progress);
	if (t->fatal)
		return t->fatal;
	if (*t->f->stop)
		return -EINTR;
	if (r)
		return r;
	if (t->changed) {
		snprintf(t->why, sizeof(t->why), "the server's file changed meanwhile");
		return AGAIN;
	}
	if ((t->status || !code) && t->status != 200 && t->status != 206)
		return judge_status(t);
	if (code)
		return judge_code(t, code);
	if (!t->begun && (r = answer_begins(t))) /* an empty body */
		return r;
	total = t->part ? t->part->total : 0;
	if (total && have(t) != total) {
		snprintf(t->why, sizeof(t->why), "the server sent %" PRIu64 " bytes of %" PRIu64,
			 have(t), total);
		t->changed = have(t) > total;
		return AGAIN;
	}
	return 0;
}

/* --- tries ----------------------------------------------------------------------------------- */

/* Sleeps, in slices, so that a signal that comes between two looks at stop is not missed. */
static void pause_ms(const struct transfer *t, unsigned ms)
{
	while (ms && !*t->f->stop) {
		unsigned slice = ms < 100 ? ms : 100;
		struct timespec ts = {.tv_nsec = (long)slice * 1000000};

		nanosleep(&ts, NULL);
		ms -= slice;
	}
}

static void wait_before(struct transfer *t, unsigned failed)
{
	uint64_t ms = (uint64_t)t->f->wait_ms << (failed - 1);
	curl_off_t asked_s = 0;
	char note[64];

	curl_easy_getinfo(t->curl, CURLINFO_RETRY_AFTER, &asked_s);
	if (asked_s > 0 && (uint64_t)asked_s * 1000 > ms)
		ms = (uint64_t)asked_s * 1000;
	if (ms > WAIT_MAX_MS)
		ms = WAIT_MAX_MS;
	snprintf(note, sizeof(note), "broken off: trying again in %u s",
		 (unsigned)((ms + 999) / 1000));
	progress_note(t->f->progress, note);
	pause_ms(t, (unsigned)ms);
	progress_note(t->f->progress, "");
}

static int tries(struct transfer *t)
{
	uint64_t furthest = have(t); /* over all tries, so that starting over is no gain */
	unsigned failed = 0;

	for (;;) {
		int r = one_try(t);

		if (r != AGAIN)
			return r;
		if (have(t) > furthest && have(t) - furthest >= GAIN_BYTES) {
			furthest = have(t);
			failed = 0;
		}
		if (t->changed && t->part && (r = start_over(t)))
			return r;
		if (++failed >= t->f->tries)
			break;
		wait_before(t, failed);
		if (*t->f->stop)
			return -EINTR;
	}
	progress_end(t->f->progress);
	return log_fail(-EIO, "%s: %s: %s, after %u tries; pull again to go on", t->f->what, t->url,
			t->why, t->f->tries);
}

static int run(struct transfer *t)
{
	int r;

	t->curl = curl_easy_init();
	if (!t->curl)
		return log_fail(-ENOMEM, "%s: libcurl does not start", t->f->what);
	set_options(t);
	r = tries(t);
	curl_easy_cleanup(t->curl);
	return r;
}

int fetch_text(const struct fetch *f, const char *url, char **text, size_t *len)
{
	struct transfer t = {.f = f, .url = url};
	int r = run(&t);

	if (!r && !t.text && !(t.text = malloc(1)))
		r = log_fail(-ENOMEM, "%s: not enough memory", f->what);
	if (r) {
		free(t.text);
		t.text = NULL;
		t.text_len = 0;
	} else {
		t.text[t.text_len] = '\0';
	}
	*text = t.text;
	*len = t.text_len;
	return r;
}

int fetch_part(const struct fetch *f, const char *url, struct part *part, struct hasher *h)
{
	struct transfer t = {.f = f, .url = url, .part = part, .hash = h};
	int r;

	progress_from(f->progress, part->have, part->total);
	if (part->total && part->have == part->total)
		return 0; /* a pull ended between the last byte and the store */
	r = run(&t);
	if (part->have > part->saved) {
		int saved = part_save(part);

		r = r ? r : saved;
	}
	return r;
}
