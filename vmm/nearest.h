/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef VMM_NEAREST_H
#define VMM_NEAREST_H

/*
 * The entry of @words (NULL-terminated) that a person most likely meant by @word, or NULL when
 * none is near.
 */
const char *nearest_word(const char *word, const char *const *words);

#endif
