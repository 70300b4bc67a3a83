/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What a container runtime does, as far as a measurement needs it. One thread, in a process of its
 * own that does nothing else. The network is the host's.
 */
#include "vmm/bench/namespaces.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "vmm/bench/agent.h"
#include "vmm/log.h"

static int fail(const char *what)
{
	return log_fail(-errno, "bench: namespaces: %s: %s", what, strerror(errno));
}

static int write_file(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? -1 : write(fd, text, strlen(text));

	if (fd >= 0)
		close(fd);
	return n < 0 ? -errno : 0;
}

/* root inside is who we are outside. */
static int map_user(uid_t uid, gid_t gid)
{
	char map[64];

	snprintf(map, sizeof(map), "0 %u 1", uid);
	if (write_file("/proc/self/setgroups", "deny") < 0 ||
	    write_file("/proc/self/uid_map", map) < 0)
		return fail("uid_map");
	snprintf(map, sizeof(map), "0 %u 1", gid);
	return write_file("/proc/self/gid_map", map) < 0 ? fail("gid_map") : 0;
}

/* In the new pid namespace: what a program expects below @root, then that is all there is. */
static int enter(const char *root)
{
	char path[PATH_MAX];

	if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
	    mount(root, root, NULL, MS_BIND | MS_REC, NULL) < 0)
		return fail(root);
	snprintf(path, sizeof(path), "%s/dev", root);
	if (mount("/dev", path, NULL, MS_BIND | MS_REC, NULL) < 0)
		return fail(path);
	snprintf(path, sizeof(path), "%s/proc", root);
	if (mount("proc", path, "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL) < 0)
		return fail(path);
	if (chdir(root) < 0 || syscall(SYS_pivot_root, ".", ".") < 0 ||
	    umount2(".", MNT_DETACH) < 0 || chdir("/data") < 0)
		return fail("pivot_root");
	return 0;
}

int namespaces_serve(const char *root)
{
	uid_t uid = getuid();
	gid_t gid = getgid();
	int flags = CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWIPC | CLONE_NEWUTS;
	int status = 0;
	pid_t pid;

	if (unshare(flags | (uid ? CLONE_NEWUSER : 0)) < 0) {
		fail("unshare");
		return 1;
	}
	if (uid && map_user(uid, gid) < 0)
		return 1;
	pid = fork();
	if (pid < 0) {
		fail("fork");
		return 1;
	}
	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		if (enter(root) < 0)
			_exit(1);
		agent_serve(STDIN_FILENO, STDOUT_FILENO);
		_exit(0);
	}
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	return WIFEXITED(status) ? WEXITSTATUS(status) : 1;
}
