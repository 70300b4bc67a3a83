/* SPDX-License-Identifier: BSD-2-Clause */
/* What a guest knows itself by. Whoever calls. */
#include "vmm/uuid.h"

#include <string.h>
#include <sys/random.h>

void uuid_make(uint8_t uuid[16])
{
	/* Early in a host's boot this may fail: what is missing stays as it is. */
	memset(uuid, 0x5f, 16);
	if (getrandom(uuid, 16, GRND_NONBLOCK) < 0)
		memset(uuid, 0x5f, 16);
	uuid[0] &= 0x7f;
	uuid[3] &= 0x7f; /* the same when the first word is read in the other byte order */
	uuid[6] = (uint8_t)((uuid[6] & 0x0f) | 0x40);
	uuid[8] = (uint8_t)((uuid[8] & 0x3f) | 0x80);
}
