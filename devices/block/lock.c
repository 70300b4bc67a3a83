/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * One image, one writer. At start-up, on the main thread. Knows nothing of what an image is.
 *
 * System calls: fcntl, nanosleep.
 */
#include "devices/block/lock.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <time.h>

#include "vmm/log.h"

#define TRIES    20
#define PAUSE_NS 10000000

int lock_image(int fd, int writing, const char *who, const char *path, const char *advice)
{
	struct flock lock = {
		.l_type = writing ? F_WRLCK : F_RDLCK,
		.l_whence = SEEK_SET,
	};

	/* Of one that was killed, the kernel ends what was under way before it gives the lock up.
	 */
	for (unsigned tries = 0; tries < TRIES; tries++) {
		int e;

		if (fcntl(fd, F_OFD_SETLK, &lock) == 0)
			return 0;
		e = errno;
		if (e != EAGAIN && e != EACCES)
			return log_fail(-e, "%s: %s: cannot lock: %s", who, path, strerror(e));
		nanosleep(&(struct timespec){.tv_nsec = PAUSE_NS}, NULL);
	}
	return log_fail(-EBUSY, "%s: %s: in use by another program: stop that one%s", who, path,
			advice);
}
