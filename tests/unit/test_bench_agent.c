/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The agent at the other end of two pipes, in a process of its own, with tools that are scripts of
 * this test's.
 */
#include <errno.h>
#include <limits.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "vmm/bench/agent.h"
#include "vmm/bench/root.h"

#define SETTINGS "set cpus=1 seconds=1 size=16 direct=1 port=5201 server=127.0.0.1\n"

static struct {
	char dir[64];
	pid_t pid;
	int to;
	FILE *from;
} agent;

static void tool(const char *name, const char *script)
{
	char as[64], path[PATH_MAX];

	snprintf(as, sizeof(as), "/%s", name);
	assert_int_equal(root_add_text(agent.dir, as, script), 0);
	snprintf(path, sizeof(path), "%s/%s", agent.dir, name);
	assert_int_equal(chmod(path, 0755), 0);
}

static int start(void **state)
{
	int to[2], from[2];
	char path[128];

	(void)state;
	snprintf(agent.dir, sizeof(agent.dir), "/tmp/test_bench_agent.XXXXXX");
	if (!mkdtemp(agent.dir) || pipe(to) < 0 || pipe(from) < 0)
		return -1;
	agent.pid = fork();
	if (agent.pid == 0) {
		close(to[1]);
		close(from[0]);
		snprintf(path, sizeof(path), "%s:/usr/bin:/bin", agent.dir);
		setenv("PATH", path, 1);
		if (chdir(agent.dir) == 0)
			agent_serve(to[0], from[1]);
		_exit(0);
	}
	close(to[0]);
	close(from[1]);
	agent.to = to[1];
	agent.from = fdopen(from[0], "r");
	return agent.pid < 0;
}

static int stop(void **state)
{
	(void)state;
	if (agent.to >= 0)
		close(agent.to);
	fclose(agent.from);
	waitpid(agent.pid, NULL, 0);
	root_remove(agent.dir);
	return 0;
}

static void say(const char *line)
{
	assert_int_equal(write(agent.to, line, strlen(line)), strlen(line));
}

static void expect(const char *answer)
{
	char line[AGENT_LINE_MAX], want[AGENT_LINE_MAX];

	assert_non_null(fgets(line, sizeof(line), agent.from));
	snprintf(want, sizeof(want), AGENT_MARK "%s\n", answer);
	assert_string_equal(line, want);
}

static void test_figure(void **state)
{
	(void)state;
	tool("sysbench", "#!/bin/sh\necho \"    events per second:   12.5\"\n");
	expect("ready");
	say(SETTINGS);
	expect("set");
	say("run cpu\n");
	expect("figure cpu 12.5");
	say("run cpu\r\n"); /* as a console may end lines */
	expect("figure cpu 12.5");
	say("end\n");
	assert_null(fgets((char[8]){""}, 8, agent.from));
}

/*
 * Files are written once, before the first load that needs them, and anew: sysbench would leave
 * those of an earlier agent as they are.
 */
static void test_prepared_once(void **state)
{
	(void)state;
	tool("sysbench", "#!/bin/sh\n"
			 "for last; do :; done\n"
			 "case $last in\n"
			 "cleanup) rm -f old;;\n"
			 "prepare) [ ! -e old ] && echo >>prepared;;\n"
			 "run) [ -e prepared ] && echo \"    reads/s: $(wc -l <prepared)\";;\n"
			 "esac\n");
	assert_int_equal(root_add_text(agent.dir, "/old", ""), 0);
	expect("ready");
	say(SETTINGS);
	expect("set");
	say("prepare fileio-rndrd\n");
	expect("prepared fileio-rndrd");
	say("run fileio-rndrd\n");
	expect("figure fileio-rndrd 1");
	say("prepare fileio-seqrd\n");
	expect("prepared fileio-seqrd");
	say("run fileio-rndrd\n");
	expect("figure fileio-rndrd 1");
	say("prepare cpu\n");
	expect("prepared cpu");
}

static void test_failures(void **state)
{
	(void)state;
	tool("sysbench", "#!/bin/sh\necho 'FATAL: no luck' >&2\nexit 3\n");
	tool("iperf3", "#!/bin/sh\necho '{ \"end\": 5 }'\n");
	expect("ready");
	say(SETTINGS);
	expect("set");
	say("run cpu\n");
	expect("failed cpu sysbench ended with status 3: FATAL: no luck");
	say("run tcp-send\n");
	expect("failed tcp-send iperf3 printed no figure that is understood; it said: { \"end\": 5 }");
	say("run nothing\n");
	expect("failed nothing no such load");
	say("set nonsense\n");
	expect("failed set not understood: nonsense");
}

/* When who asked is gone, the tool ends too, however long it would have run. */
static void test_gone(void **state)
{
	char line[64], path[PATH_MAX];
	pid_t pid = 0;
	FILE *f;

	(void)state;
	snprintf(path, sizeof(path), "%s/pid", agent.dir);
	assert_int_equal(mkfifo(path, 0600), 0);
	tool("sysbench", "#!/bin/sh\necho $$ >pid\nexec sleep 1000\n");
	expect("ready");
	say(SETTINGS);
	expect("set");
	say("run cpu\n");
	f = fopen(path, "r"); /* until the tool has opened the other end */
	assert_non_null(f);
	assert_non_null(fgets(line, sizeof(line), f));
	fclose(f);
	pid = atoi(line);
	assert_true(pid > 0);
	close(agent.to);
	agent.to = -1;
	expect("failed cpu sysbench: Operation canceled");
	assert_null(fgets(line, sizeof(line), agent.from));
	assert_int_equal(kill(pid, 0), -1);
	assert_int_equal(errno, ESRCH);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_figure, start, stop),
		cmocka_unit_test_setup_teardown(test_prepared_once, start, stop),
		cmocka_unit_test_setup_teardown(test_failures, start, stop),
		cmocka_unit_test_setup_teardown(test_gone, start, stop),
	};

	signal(SIGPIPE, SIG_IGN);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
