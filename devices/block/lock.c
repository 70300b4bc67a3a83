/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * One image, one writer. At start-up, on the main thread. Knows nothing of what an image is.
 *
 * System calls: fcntl, fstat, nanosleep.
 */
#include "devices/block/lock.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <time.h>

#include "vmm/log.h"

#define TRIES    20
#define PAUSE_NS 10000000

static int stat_locked(int fd, const char *who, const char *path, struct stat *st)
{
	if (fstat(fd, st))
		return log_fail(-errno, "%s: %s: cannot stat: %s", who, path, strerror(errno));
	return 0;
}

int lock_image(int fd, int writing, const char *who, const char *path, const char *advice,
	       struct stat *st)
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
			return stat_locked(fd, who, path, st);
		e = errno;
		if (e != EAGAIN && e != EACCES)
			return log_fail(-e, "%s: %s: cannot lock: %s", who, path, strerror(e));
		nanosleep(&(struct timespec){.tv_nsec = PAUSE_NS}, NULL);
	}
	return log_fail(-EBUSY, "%s: %s: in use by another program: stop that one%s", who, path,
			advice);
}
