/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The fences around what looks into images, each from inside, in a child of its own: which system
 * calls are left, and how much of the host.
 */
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "loader/image/filter.h"
#include "tests/lib/cases.h"
#include "vmm/companion.h"
#include "vmm/jail.h"

/* In a child: 0..255 what @body returns, 128 + the signal that ended it. */
static int in_child(int (*body)(void))
{
	pid_t pid = fork();

	/* Not _exit(): the sanitizers would make system calls of their own there. */
	if (pid == 0)
		syscall(SYS_exit_group, body());
	return companion_wait(pid);
}

static int filtered(void)
{
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) || filter_enter("test"))
		return 1;
	return 0;
}

/* By system calls alone: the sanitizers' own allocator asks for more. */
static int harmless(void)
{
	int fd = open("/dev/zero", O_RDONLY | O_CLOEXEC);
	struct stat st;
	void *p;

	if (filtered())
		return 1;
	p = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (p == MAP_FAILED || pread(fd, p, 1, 0) != 1 || munmap(p, 4096))
		return 2;
	return fstat(fd, &st) || fcntl(fd, F_GETFL) < 0 || fcntl(fd, F_SETFL, 0) ? 3 : 0;
}

/* abort() does so; under the sanitizers it does more. */
static int signals_itself(void)
{
	return filtered() || raise(SIGABRT) ? 1 : 2;
}

static int signals_another(void)
{
	pid_t parent = getppid();

	return filtered() || syscall(SYS_tgkill, parent, parent, 0) ? 1 : 0;
}

static int is_signalled_for_another(void)
{
	pid_t parent = getppid();

	return filtered() || fcntl(0, F_SETOWN, parent) ? 1 : 0;
}

static int asks_for_signals(void)
{
	return filtered() || fcntl(0, F_SETFL, O_ASYNC) ? 1 : 0;
}

static int opens_a_file(void)
{
	return filtered() || open("/etc/passwd", O_RDONLY) >= 0 ? 1 : 0;
}

static int looks_for_a_file(void)
{
	struct stat st;

	return filtered() || stat("/etc/passwd", &st) == 0 ? 1 : 0;
}

static int looks_for_an_open_file(void)
{
	struct stat st;

	return filtered() || syscall(SYS_newfstatat, 0, "", &st, AT_EMPTY_PATH) ? 1 : 0;
}

static int makes_a_socket(void)
{
	return filtered() || socket(AF_UNIX, SOCK_STREAM, 0) >= 0 ? 1 : 0;
}

static int starts_a_program(void)
{
	return filtered() || execl("/bin/true", "true", NULL) ? 1 : 0;
}

static int makes_code(void)
{
	if (filtered())
		return 1;
	mmap(NULL, 4096, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	return 0;
}

static void test_the_filter(void **state)
{
	(void)state;
	assert_int_equal(in_child(harmless), 0);
	assert_int_equal(in_child(signals_itself), 128 + SIGABRT);
	assert_int_equal(in_child(signals_another), 128 + SIGSYS);
	assert_int_equal(in_child(is_signalled_for_another), 128 + SIGSYS);
	assert_int_equal(in_child(asks_for_signals), 128 + SIGSYS);
	assert_int_equal(in_child(opens_a_file), 128 + SIGSYS);
	assert_int_equal(in_child(looks_for_a_file), 128 + SIGSYS);
	assert_int_equal(in_child(looks_for_an_open_file), 128 + SIGSYS);
	assert_int_equal(in_child(makes_a_socket), 128 + SIGSYS);
	assert_int_equal(in_child(starts_a_program), 128 + SIGSYS);
	assert_int_equal(in_child(makes_code), 128 + SIGSYS);
}

static int takes_memory(void)
{
	struct jail jail = {.who = "test", .last_fd = 2, .memory = 64 << 20};

	if (jail_begin(&jail))
		return 1;
	return mmap(NULL, 65 << 20, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) == MAP_FAILED
		       ? 42
		       : 2;
}

static int writes_too_much(void)
{
	struct jail jail = {.who = "test", .last_fd = 2, .file_bytes = 4096};
	int fd;

	if (jail_begin(&jail))
		return 1;
	fd = memfd_create("x", 0);
	return ftruncate(fd, 8192) ? 2 : 3;
}

static void test_limits(void **state)
{
	(void)state;
	assert_int_equal(in_child(takes_memory), 42);
	assert_int_equal(in_child(writes_too_much), 128 + SIGXFSZ);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_the_filter),
		cmocka_unit_test(test_limits),
	};

	return cases_report(cmocka_run_group_tests(tests, NULL, NULL));
}
