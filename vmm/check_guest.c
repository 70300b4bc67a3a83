/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The micro-guest behind a time limit. KVM_RUN of a broken KVM may never return, so the guest runs
 * in a child process; the result lies in a page that both share, so that what was found before a
 * hang is not lost. Main thread, before any other thread exists (fork).
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "arch/host.h"
#include "vmm/check_guest.h"
#include "vmm/log.h"

/* Shared by parent and child. */
struct result {
	struct probe probe;
	int status;     /* of arch_probe(); 1: not done */
	char said[512]; /* the sentence that went with an error */
};

static void keep_line(void *arg, enum log_level level, const char *line)
{
	struct result *result = arg;

	(void)level;
	snprintf(result->said, sizeof(result->said), "%s", line);
}

_Noreturn static void child(struct kvm *kvm, struct result *result)
{
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	log_set_sink(keep_line, result);
	result->status = arch_probe(kvm, &result->probe);
	_exit(0);
}

/*
 * Waits until the child is gone, which closes the last write end of the pipe. 0 if it is, 1 if its
 * time ran out: then it is killed and left to the kernel, for it may be stuck there.
 */
static int wait_for(pid_t pid, int pipe_fd, unsigned limit_ms)
{
	struct pollfd p = {.fd = pipe_fd, .events = POLLIN};
	int r;

	do
		r = poll(&p, 1, (int)limit_ms);
	while (r < 0 && errno == EINTR);
	if (r == 1) {
		waitpid(pid, NULL, 0);
		return 0;
	}
	kill(pid, SIGKILL);
	return 1;
}

/* Runs the child; 0 it ended, 1 it was killed, or -errno. */
static int run_child(struct kvm *kvm, struct result *result, unsigned limit_ms)
{
	int ends[2], r;
	pid_t pid;

	if (pipe2(ends, O_CLOEXEC) < 0)
		return -errno;
	fflush(NULL);
	pid = fork();
	if (pid == 0)
		child(kvm, result);
	r = pid < 0 ? -errno : 0;
	close(ends[1]);
	if (r == 0)
		r = wait_for(pid, ends[0], limit_ms);
	close(ends[0]);
	return r;
}

static void add_step(struct check_report *report, const struct probe_step *step)
{
	switch (step->state) {
	case PROBE_OK:
		check_add(report, CHECK_OK, "guest", step->name, "runs");
		break;
	case PROBE_FAILED:
		check_add(report, CHECK_MISSING, "guest", step->name, "%s%s%s", step->what,
			  step->cause[0] ? ": " : "", step->cause);
		break;
	case PROBE_RUNNING:
		check_add(report, CHECK_MISSING, "guest", step->name,
			  "KVM does not come back from it");
		break;
	case PROBE_ABSENT:
		check_add(report, CHECK_NOTE, "guest", step->name,
			  "not offered to guests by this KVM; Linux does without");
		break;
	case PROBE_NOT_RUN:
		break;
	}
}

void check_guest(struct check_report *report, struct kvm *kvm, unsigned limit_ms)
{
	struct result *result;
	int r;

	result = mmap(NULL, sizeof(*result), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1,
		      0);
	if (result == MAP_FAILED) {
		check_add(report, CHECK_MISSING, "guest", "test", "no memory: %s", strerror(errno));
		return;
	}
	result->status = 1;
	r = run_child(kvm, result, limit_ms);
	for (unsigned i = 0; i < result->probe.n; i++)
		add_step(report, &result->probe.step[i]);
	if (r < 0)
		check_add(report, CHECK_MISSING, "guest", "test",
			  "cannot start a process for it: %s", strerror(-r));
	else if (result->status < 0)
		check_add(report, CHECK_MISSING, "guest", "test", "%s", result->said);
	else if (r == 1)
		check_add(report, CHECK_MISSING, "guest", "test", "did not end within %u ms",
			  limit_ms);
	else if (result->status > 0)
		check_add(report, CHECK_MISSING, "guest", "test",
			  "its process died before the end");
	munmap(result, sizeof(*result));
}
