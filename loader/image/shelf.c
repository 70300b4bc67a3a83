/* SPDX-License-Identifier: BSD-2-Clause */
/* Lists images and takes them away. Main thread. Knows nothing of fetching. */
#include "loader/image/shelf.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "devices/block/qcow2.h"
#include "loader/image/catalogue.h"
#include "loader/image/options.h"
#include "loader/image/part.h"
#include "loader/image/units.h"
#include "loader/image_store.h"
#include "vmm/json_out.h"
#include "vmm/log.h"

#define COLUMNS   7
#define CELL_MAX  128
#define SHORT_HEX 12

/* --- a table --------------------------------------------------------------------------------- */

struct row {
	char cell[COLUMNS][CELL_MAX];
};

static void print_table(const struct row *rows, size_t n, unsigned columns)
{
	size_t width[COLUMNS] = {0};

	for (size_t i = 0; i < n; i++)
		for (unsigned c = 0; c < columns; c++)
			if (strlen(rows[i].cell[c]) > width[c])
				width[c] = strlen(rows[i].cell[c]);
	for (size_t i = 0; i < n; i++) {
		for (unsigned c = 0; c + 1 < columns; c++)
			printf("%-*s  ", (int)width[c], rows[i].cell[c]);
		printf("%s\n", rows[i].cell[columns - 1]);
	}
}

static struct row *make_table(size_t n)
{
	struct row *rows = calloc(n, sizeof(*rows));

	if (!rows)
		log_line(LOG_ERROR, "image ls: not enough memory");
	return rows;
}

static void put(char *cell, const char *text)
{
	snprintf(cell, CELL_MAX, "%s", text);
}

/* --- what is here ----------------------------------------------------------------------------- */

/* Bytes on the disk and, of the disk that a guest sees, bytes; 0 if that cannot be told. */
static void sizes(const struct image_entry *e, uint64_t *on_disk, uint64_t *virtual)
{
	struct qcow2_info info;
	struct stat st;

	*on_disk = *virtual = 0;
	if (stat(e->path, &st))
		return;
	*on_disk = (uint64_t)st.st_blocks * 512;
	if (strcmp(e->format, "raw") == 0)
		*virtual = (uint64_t)st.st_size;
	else if (qcow2_info(e->path, &info) == 0)
		*virtual = info.size;
}

static int print_here(const struct image_entry *all, size_t n)
{
	static const char *const head[COLUMNS] = {"NAME", "ARCH",   "FORMAT", "ON DISK",
						  "SIZE", "DIGEST", "PULLED"};
	struct row *rows = make_table(n + 1);

	if (!rows)
		return -ENOMEM;
	for (unsigned c = 0; c < COLUMNS; c++)
		put(rows[0].cell[c], head[c]);
	for (size_t i = 0; i < n; i++) {
		char(*cell)[CELL_MAX] = rows[i + 1].cell;
		uint64_t on_disk, virtual;
		char text[UNITS_TEXT_MAX];

		sizes(&all[i], &on_disk, &virtual);
		put(cell[0], all[i].name);
		put(cell[1], all[i].arch);
		put(cell[2], all[i].format);
		put(cell[3], units_bytes(on_disk, text));
		put(cell[4], virtual ? units_bytes(virtual, text) : "?");
		snprintf(cell[5], CELL_MAX, "%.*s", SHORT_HEX, all[i].digest + strlen("sha256:"));
		put(cell[6], units_date(all[i].pulled, text));
	}
	print_table(rows, n + 1, COLUMNS);
	free(rows);
	return 0;
}

static void print_here_json(const struct image_entry *all, size_t n)
{
	struct json_out j;

	json_out_init(&j, stdout);
	json_out_open(&j, NULL, '[');
	for (size_t i = 0; i < n; i++) {
		uint64_t on_disk, virtual;

		sizes(&all[i], &on_disk, &virtual);
		json_out_open(&j, NULL, '{');
		json_out_string(&j, "name", all[i].name);
		json_out_string(&j, "arch", all[i].arch);
		json_out_string(&j, "format", all[i].format);
		json_out_uint(&j, "size_on_disk", on_disk);
		json_out_uint(&j, "virtual_size", virtual);
		json_out_string(&j, "digest", all[i].digest);
		json_out_uint(&j, "pulled", all[i].pulled);
		json_out_string(&j, "source", all[i].source);
		json_out_string(&j, "path", all[i].path);
		json_out_close(&j, '}');
	}
	json_out_close(&j, ']');
}

static int ls_here(int json)
{
	char text[UNITS_TEXT_MAX];
	struct image_entry *all = NULL;
	struct image_store s;
	uint64_t parts = 0;
	size_t n = 0;
	int r = image_store_open(&s, 0);

	if (!r) {
		r = image_store_list(&s, &all, &n);
		parts = part_left_over(&s, 0);
	}
	image_store_close(&s);
	if (r && r != -ENOENT)
		return r;
	r = 0;
	if (json)
		print_here_json(all, n);
	else if (n)
		r = print_here(all, n);
	else
		log_line(LOG_INFO, "image ls: none yet: try `skiff image pull ubuntu:24.04`; "
				   "`skiff image ls --available` lists names");
	free(all);
	if (parts && !json)
		log_line(LOG_INFO,
			 "image ls: and %s of pulls that broke off: pull again to go on, or "
			 "`skiff image rm --parts`",
			 units_bytes(parts, text));
	return r;
}

/* --- what can be had -------------------------------------------------------------------------- */

/* All names of @e, with @between. */
static void join_names(const struct catalogue_entry *e, size_t from, char out[CELL_MAX])
{
	size_t len = 0;

	out[0] = '\0';
	for (const char *const *n = e->names + from; *n && len < CELL_MAX; n++)
		len += (size_t)snprintf(out + len, CELL_MAX - len, "%s%s", len ? ", " : "", *n);
}

static int print_available(const struct catalogue *c)
{
	struct row *rows = make_table(c->n + 1);

	if (!rows)
		return -ENOMEM;
	put(rows[0].cell[0], "NAME");
	put(rows[0].cell[1], "ARCH");
	put(rows[0].cell[2], "FORMAT");
	put(rows[0].cell[3], "ALSO");
	for (size_t i = 0; i < c->n; i++) {
		put(rows[i + 1].cell[0], c->entry[i].names[0]);
		put(rows[i + 1].cell[1], c->entry[i].arch);
		put(rows[i + 1].cell[2], c->entry[i].format);
		join_names(&c->entry[i], 1, rows[i + 1].cell[3]);
	}
	print_table(rows, c->n + 1, 4);
	free(rows);
	return 0;
}

static void print_available_json(const struct catalogue *c)
{
	struct json_out j;

	json_out_init(&j, stdout);
	json_out_open(&j, NULL, '[');
	for (size_t i = 0; i < c->n; i++) {
		json_out_open(&j, NULL, '{');
		json_out_open(&j, "names", '[');
		for (const char *const *n = c->entry[i].names; *n; n++)
			json_out_string(&j, NULL, *n);
		json_out_close(&j, ']');
		json_out_string(&j, "arch", c->entry[i].arch);
		json_out_string(&j, "format", c->entry[i].format);
		json_out_string(&j, "url", c->entry[i].url);
		json_out_close(&j, '}');
	}
	json_out_close(&j, ']');
}

static int ls_available(int json)
{
	struct catalogue c;
	int r = catalogue_load(&c);

	if (r)
		return r;
	if (json)
		print_available_json(&c);
	else
		r = print_available(&c);
	catalogue_free(&c);
	return r;
}

/* --- commands --------------------------------------------------------------------------------- */

void shelf_ls_help(void)
{
	printf("usage: skiff image ls [--available] [--json]\n"
	       "\n"
	       "Lists the images that are here: what they take on the disk, the size of the disk that\n"
	       "a guest sees, the beginning of their SHA-256. --available lists what can be pulled by\n"
	       "name instead.\n");
}

int shelf_ls(int argc, char **argv)
{
	int available = 0, json = 0;
	const struct option_row rows[] = {
		{"--available", NULL, &available}, {"--json", NULL, &json}, {NULL, NULL, NULL}};
	int r = options_parse("ls", argc, argv, rows, NULL, 0);

	if (!r)
		r = available ? ls_available(json) : ls_here(json);
	return options_exit_status(r);
}

void shelf_rm_help(void)
{
	printf("usage: skiff image rm NAME... [--arch A]\n"
	       "       skiff image rm --parts\n"
	       "\n"
	       "Takes images out of the store; one that a machine is laid over stays, and the machine\n"
	       "is named. --parts removes what pulls that broke off have left.\n");
}

static int remove_one(struct image_store *s, const char *name, const char *arch)
{
	int r = s->fd < 0 ? -ENOENT : image_store_remove(s, name, arch);

	if (r == -ENOENT)
		return log_fail(r, "image rm: %s: not here for %s: see `skiff image ls`", name,
				arch);
	return r;
}

int shelf_rm(int argc, char **argv)
{
	const char *names[64], *arch = NULL;
	int parts = 0, n, r, one;
	struct image_store s;
	const struct option_row rows[] = {
		{"--arch", &arch, NULL}, {"--parts", NULL, &parts}, {NULL, NULL, NULL}};

	n = options_parse("rm", argc, argv, rows, names, sizeof(names) / sizeof(names[0]));
	if (n < 0)
		return options_exit_status(n);
	if (arch && !image_store_arch(arch)) {
		log_line(LOG_ERROR, "image rm: --arch %s: give amd64 or arm64", arch);
		return options_exit_status(-EINVAL);
	}
	arch = arch ? image_store_arch(arch) : image_store_host_arch();
	if (n == 0 && !parts) {
		log_line(LOG_ERROR, "image rm: which one? see `skiff image ls`");
		return options_exit_status(-EINVAL);
	}
	r = image_store_open(&s, 0);
	if (!r && parts)
		part_left_over(&s, 1);
	if (r == -ENOENT) /* nothing was ever pulled */
		r = 0;
	for (int i = 0; i < n && (!r || s.fd >= 0); i++) {
		one = remove_one(&s, names[i], arch);
		r = r ? r : one;
	}
	image_store_close(&s);
	return options_exit_status(r);
}
