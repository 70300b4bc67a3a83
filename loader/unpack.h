/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef LOADER_UNPACK_H
#define LOADER_UNPACK_H

#include <stddef.h>
#include <stdint.h>

/*
 * What the decompressor inside a bzImage does when it runs, done on the host: the payload becomes
 * an ELF file, its segments go where they were linked to lie (relative to one base), the kernel is
 * moved to its virtual address by its relocation table, and the rest is zero again. In two steps:
 * the file comes to lie in RAM, by unpack_payload() or because the caller has it, and is settled.
 *
 *   ram            base                                       end
 *    | ELF headers | text | data | per-CPU | init ... | table |
 *    '-- lead -----'                                  '-zeros-'
 */
struct unpack {
	uint8_t *ram;       /* zeroed, and ours from 0 to end */
	size_t base;        /* where the byte linked at link_base shall lie */
	size_t end;         /* the kernel may have [base, end) */
	uint64_t link_base; /* a physical address: the setup header's pref_address */
	int relocate;       /* move the kernel by @distance, if it brings a table */
	uint64_t distance;  /* virtual; a multiple of the kernel's alignment */
	size_t file_len;    /* of the ELF file, which lies at unpack_file_at() */

	size_t entry;  /* result: offset of the first instruction in ram */
	int relocated; /* result: the table was there and has been applied */
};

/*
 * The linker puts the first segment 2 MiB into the file (-z max-page-size=0x200000). With so much
 * room below the base most segments come to lie where they belong, and are not moved.
 */
#define UNPACK_LEAD (2u << 20)

/* Where in ram the ELF file is unpacked, and how long it may be. */
size_t unpack_file_at(const struct unpack *u);
size_t unpack_file_max(const struct unpack *u);

/*
 * Unpacks the payload of @len bytes, which ends with its unpacked length in 32 bits, and sets
 * file_len. 0; -ENOTSUP if only the guest can do it (a format that is unknown here); -EBADMSG if it
 * is corrupt; -ENOMEM. *@why says what is wrong with the kernel: "has ...". After an error all of
 * ram is zero again. Never touches a byte outside [0, end).
 */
int unpack_payload(struct unpack *u, const uint8_t *payload, size_t len, const char **why);

/*
 * Settles the file, and sets the results. 0; -ENOTSUP if only the guest can do it (its layout
 * cannot be settled in place); -EBADMSG if it is damaged; -ENOMEM. The rest as above.
 */
int unpack_settle(struct unpack *u, const char **why);

#endif
