/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What strangers or tired people write as text: the catalogue and checksum lists.
 *
 *   first byte even: the rest is a catalogue. If it is taken, every entry is whole, is found by
 * each of its names, and its words make URLs. odd:      a checksum list, as the kind and form that
 * the byte says. What is found must stand in it, digit by digit.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "loader/image/catalogue.h"
#include "loader/image/sums.h"
#include "loader/image_store.h"
#include "vmm/log.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static void insist(int ok, const char *what)
{
	if (ok)
		return;
	fprintf(stderr, "fuzz_catalogue: %s\n", what);
	abort();
}

static void drop(void *arg, enum log_level level, const char *line)
{
	(void)arg;
	(void)level;
	(void)line;
}

static void judge_entry(const struct catalogue *c, const struct catalogue_entry *e)
{
	char url[CATALOGUE_URL_MAX];

	insist(e->names[0] != NULL, "an entry without a name");
	for (const char *const *n = e->names; *n; n++) {
		insist(image_store_name_is_good(*n), "a name that is none");
		insist(catalogue_find(c, *n, e->arch) == e, "a name that is found elsewhere");
	}
	insist(image_store_arch(e->arch) == e->arch, "an architecture that is none");
	insist(strcmp(e->format, "raw") == 0 || strcmp(e->format, "qcow2") == 0, "no format");
	insist(strncasecmp(e->url, "http", 4) == 0 && strstr(e->url, "://"), "no URL");
	insist(!e->signature || (e->sums && e->keyring), "a signature of nothing");
	if (e->sums && catalogue_url(e, e->sums, url) == 0)
		insist(strstr(url, "://") != NULL, "a list without a URL");
}

static void catalogue(const char *text, size_t len)
{
	struct catalogue c = {.n = 0};
	int r = catalogue_parse(&c, "fuzz", text, len);

	insist(r <= 0 && (r == 0 || c.n == 0), "half a catalogue");
	for (size_t i = 0; i < c.n; i++)
		judge_entry(&c, &c.entry[i]);
	catalogue_free(&c);
}

/* Whether @hex stands in @text, in either case. */
static int stands_in(const char *text, size_t len, const char *hex)
{
	size_t n = strlen(hex);

	for (size_t i = 0; n <= len && i <= len - n; i++)
		if (strncasecmp(text + i, hex, n) == 0)
			return 1;
	return 0;
}

static void list(const char *text, size_t len, enum digest_kind kind)
{
	char printed[DIGEST_TEXT_MAX];
	struct digest d, again;
	int r = sums_find(text, len, kind, "disk.img", &d);

	if (r)
		return;
	insist(d.kind == kind, "another kind of digest");
	digest_print(&d, printed);
	insist(stands_in(text, len, strchr(printed, ':') + 1), "a digest that is not in the list");
	insist(digest_parse(printed, &again) == 0 && digest_equal(&d, &again), "not read again");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	char *text;

	if (!len)
		return 0;
	log_set_sink(drop, NULL);
	/* In memory of exactly that size, and not NUL-terminated. */
	text = malloc(len - 1 ? len - 1 : 1);
	memcpy(text, data + 1, len - 1);
	if (data[0] % 2 == 0)
		catalogue(text, len - 1);
	else
		list(text, len - 1, data[0] & 2 ? DIGEST_SHA512 : DIGEST_SHA256);
	free(text);
	return 0;
}
