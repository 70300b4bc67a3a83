/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef LOADER_UNPACK_H
#define LOADER_UNPACK_H

#include <stddef.h>
#include <stdint.h>

/*
 * What the decompressor inside a bzImage does when it runs, done on the host: the payload becomes
 * an ELF file, its segments go where they were linked to lie (relative to one base), the kernel is
 * moved to its virtual address by its relocation table, and the rest is zero again.
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

	size_t entry;  /* result: offset of the first instruction in ram */
	int relocated; /* result: the table was there and has been applied */
};

/*
 * The linker puts the first segment 2 MiB into the file (-z max-page-size=0x200000). With so much
 * room below the base most segments come to lie where they belong, and are not moved.
 */
#define UNPACK_LEAD (2u << 20)

/*
 * Unpacks the payload of @len bytes, which ends with its unpacked length in 32 bits. 0; -ENOTSUP
 * if only the guest can do it (a format that is unknown here, or a layout that cannot be settled in
 * place); -EBADMSG if it is corrupt; -ENOMEM. *@why says what is wrong with the kernel: "has ...".
 * After an error all of ram is zero again. Never touches a byte outside [0, end).
 */
int unpack_kernel(struct unpack *u, const uint8_t *payload, size_t len, const char **why);

#endif
