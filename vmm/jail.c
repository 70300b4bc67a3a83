/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The lowering of a program's privileges, step by step, each with its reason. Runs once, on the
 * only thread, in skiff-netd and skiff-image. Knows nothing of what they do.
 */
#include "vmm/jail.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/capability.h>
#include <linux/close_range.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "vmm/log.h"

#define NOBODY 65534

static int limit(int what, rlim_t value)
{
	struct rlimit now, lim = {value, value};

	if (getrlimit((__rlimit_resource_t)what, &now))
		return -errno;
	if (now.rlim_max < value)
		lim.rlim_cur = lim.rlim_max = now.rlim_max;
	return setrlimit((__rlimit_resource_t)what, &lim) ? -errno : 0;
}

static int set_limits(const struct jail *jail)
{
	/* Guests' secrets are in our memory; no core shall hold them. */
	int r = limit(RLIMIT_CORE, 0);

	if (!r && jail->files)
		r = limit(RLIMIT_NOFILE, jail->files);
	if (!r && jail->memory)
		r = limit(RLIMIT_AS, jail->memory);
	if (!r && jail->file_bytes)
		r = limit(RLIMIT_FSIZE, jail->file_bytes);
	if (!r && jail->cpu_seconds)
		r = limit(RLIMIT_CPU, jail->cpu_seconds);
	return r;
}

int jail_begin(const struct jail *jail)
{
	int fd, r;

	/* Descriptors that leaked in would be a stranger's once a library is. */
	if (syscall(SYS_close_range, (unsigned)jail->last_fd + 1, ~0u, 0)) {
		for (fd = jail->last_fd + 1; fd < 65536; fd++)
			close(fd);
	}
	fd = open("/dev/null", O_RDWR);
	if (fd < 0)
		return log_fail(-errno, "%s: cannot open /dev/null: %s", jail->who,
				strerror(errno));
	dup2(fd, STDIN_FILENO);
	if (fd > STDIN_FILENO)
		close(fd);
	/* Ctrl-C at the VM's terminal is for the guest; -1 if we lead a session already. */
	setsid();
	signal(SIGPIPE, SIG_IGN);
	umask(077);

	r = set_limits(jail);
	if (r)
		return log_fail(r, "%s: cannot set limits: %s", jail->who, strerror(-r));
	return 0;
}

/* Nobody owns little; root owns what it could write to even without capabilities. */
static int leave_root(void)
{
	if (geteuid() != 0)
		return 0;
	/* In a user namespace that maps one user only there is no one else to become. */
	if (setgroups(0, NULL) && errno != EPERM)
		return -errno;
	if (setresgid(NOBODY, NOBODY, NOBODY) && errno != EINVAL && errno != EPERM)
		return -errno;
	if (setresuid(NOBODY, NOBODY, NOBODY) && errno != EINVAL && errno != EPERM)
		return -errno;
	return 0;
}

static int drop_capabilities(void)
{
	struct __user_cap_header_struct head = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct none[2] = {0};

	return syscall(SYS_capset, &head, none) ? -errno : 0;
}

int jail_enter(const struct jail *jail, pid_t parent)
{
	int r = leave_root();

	if (r)
		return log_fail(r, "%s: cannot become nobody: %s", jail->who, strerror(-r));
	r = drop_capabilities();
	if (r)
		return log_fail(r, "%s: cannot drop capabilities: %s", jail->who, strerror(-r));
	/* Nothing that is executed from here on gains anything, and seccomp may follow. */
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))
		return log_fail(-errno, "%s: cannot set no_new_privs: %s", jail->who,
				strerror(errno));
	/* Other processes of the same user may not read guests' data out of us. */
	prctl(PR_SET_DUMPABLE, 0);
	if (!parent)
		return 0;
	/* Cleared by a change of user, so set last; it may have died before. */
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != parent)
		return -ESRCH;
	return 0;
}
