/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The system calls that reading an image takes, and no others. Behind no_new_privs, on the only
 * thread. It opens nothing, so there is nothing here that takes a path, makes a socket, or starts a
 * program; memory is never both new and executable, and a signal reaches nobody else.
 */
#include "loader/image/filter.h"

#include <errno.h>
#include <fcntl.h>
#include <seccomp.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "vmm/log.h"

/* ftruncate: holes at the end of what is written; getpid and gettid: abort. */
static const int allowed[] = {
	SCMP_SYS(read),           SCMP_SYS(pread64),      SCMP_SYS(preadv),
	SCMP_SYS(write),          SCMP_SYS(writev),       SCMP_SYS(pwrite64),
	SCMP_SYS(ftruncate),      SCMP_SYS(lseek),        SCMP_SYS(fstat),
	SCMP_SYS(close),          SCMP_SYS(brk),          SCMP_SYS(munmap),
	SCMP_SYS(mremap),         SCMP_SYS(madvise),      SCMP_SYS(clock_gettime),
	SCMP_SYS(getrandom),      SCMP_SYS(getpid),       SCMP_SYS(gettid),
	SCMP_SYS(rt_sigprocmask), SCMP_SYS(rt_sigaction), SCMP_SYS(rt_sigreturn),
	SCMP_SYS(exit),           SCMP_SYS(exit_group),
};

/*
 * In this program, in the place of the C library's: that one may call newfstatat with an empty
 * path, and a filter cannot tell an empty path from another.
 */
int fstat(int fd, struct stat *st)
{
	return (int)syscall(SYS_fstat, fd, st);
}

/*
 * Those that could do more than they are needed for: make code, or send signals to whoever has the
 * same user (tgkill, and fcntl with an owner and O_ASYNC).
 */
static int allow_in_part(scmp_filter_ctx ctx)
{
	const struct scmp_arg_cmp
		not_code = {.arg = 2, .op = SCMP_CMP_MASKED_EQ, .datum_a = PROT_EXEC},
		us = {.arg = 0, .op = SCMP_CMP_EQ, .datum_a = (scmp_datum_t)getpid()},
		getfl = {.arg = 1, .op = SCMP_CMP_EQ, .datum_a = F_GETFL},
		setfl = {.arg = 1, .op = SCMP_CMP_EQ, .datum_a = F_SETFL},
		no_flags = {.arg = 2, .op = SCMP_CMP_MASKED_EQ, .datum_a = UINT32_MAX};
	int r = seccomp_rule_add(ctx, SCMP_ACT_ALLOW, SCMP_SYS(mmap), 1, not_code);

	if (r == 0) /* abort's */
		r = seccomp_rule_add(ctx, SCMP_ACT_ALLOW, SCMP_SYS(tgkill), 1, us);
	if (r == 0)
		r = seccomp_rule_add(ctx, SCMP_ACT_ALLOW, SCMP_SYS(fcntl), 1, getfl);
	if (r == 0) /* a disk's flags are cleared; the argument is an int */
		r = seccomp_rule_add(ctx, SCMP_ACT_ALLOW, SCMP_SYS(fcntl), 2, setfl, no_flags);
	return r;
}

int filter_enter(const char *who)
{
	scmp_filter_ctx ctx = seccomp_init(SCMP_ACT_KILL_PROCESS);
	int r = ctx ? 0 : -ENOMEM;

	for (unsigned i = 0; i < sizeof(allowed) / sizeof(allowed[0]) && r == 0; i++)
		r = seccomp_rule_add(ctx, SCMP_ACT_ALLOW, allowed[i], 0);
	if (r == 0)
		r = allow_in_part(ctx);
	if (r == 0)
		r = seccomp_load(ctx);
	if (ctx)
		seccomp_release(ctx);
	return r < 0 ? log_fail(r, "%s: cannot install its filter of system calls: %s", who,
				strerror(-r))
		     : 0;
}
