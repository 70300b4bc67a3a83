/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef VMM_JSON_OUT_H
#define VMM_JSON_OUT_H

#include <stdint.h>
#include <stdio.h>

/*
 * Writes one JSON value (RFC 8259) as it goes, without building it first. The caller opens and
 * closes in pairs and gives a key inside an object, NULL inside an array and at the top. Bytes of
 * a string that are not UTF-8 become U+FFFD, so the output is valid whatever goes in.
 */
struct json_out {
	FILE *f;
	unsigned depth; /* of what is open; indents by it */
	uint8_t first;  /* nothing written yet in the innermost one */
};

void json_out_init(struct json_out *j, FILE *f);

/* @bracket is '{' or '['. */
void json_out_open(struct json_out *j, const char *key, char bracket);
/* @bracket is '}' or ']'. The last one ends the line. */
void json_out_close(struct json_out *j, char bracket);

void json_out_string(struct json_out *j, const char *key, const char *value);
void json_out_uint(struct json_out *j, const char *key, uint64_t value);
void json_out_bool(struct json_out *j, const char *key, int value);

#endif
