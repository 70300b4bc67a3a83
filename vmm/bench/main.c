/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * skiff-bench: what `skiff bench` starts. Checks first whatever can be checked, makes the places,
 * measures, reports, and cleans up whichever way it ends. The same program is the agent in every
 * place and the guest's first process. One thread.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "vmm/bench/agent.h"
#include "vmm/bench/bench.h"
#include "vmm/bench/chart.h"
#include "vmm/bench/guest.h"
#include "vmm/bench/measure.h"
#include "vmm/bench/namespaces.h"
#include "vmm/bench/prepare.h"
#include "vmm/bench/report.h"
#include "vmm/bench/table.h"
#include "vmm/log.h"
#include "vmm/signals.h"

enum { EXIT_OK = 0, EXIT_FAILED = 1, EXIT_USAGE = 2, EXIT_INTERRUPTED = 130 };

static int stop_pipe[2];

static void stop(int sig)
{
	int saved = errno;

	(void)sig;
	if (write(stop_pipe[1], "", 1) < 0)
		errno = saved;
	errno = saved;
}

static void catch_signal(int sig)
{
	struct sigaction act = {.sa_handler = stop, .sa_flags = SA_RESTART};

	if (!signal_is_ignored(sig))
		sigaction(sig, &act, NULL);
}

/* From here on a signal makes @b->stop_fd readable, for good. */
static int catch_signals(struct bench *b)
{
	if (pipe2(stop_pipe, O_CLOEXEC | O_NONBLOCK) < 0)
		return log_fail(-errno, "bench: no pipe: %s", strerror(errno));
	b->stop_fd = stop_pipe[0];
	catch_signal(SIGINT);
	catch_signal(SIGTERM);
	catch_signal(SIGHUP);
	signal(SIGPIPE, SIG_IGN);
	return 0;
}

static int report(struct bench *b)
{
	int json_only = b->o.json && strcmp(b->o.json, "-") == 0;
	int r = 0;

	if (!json_only)
		table_print(b, stdout);
	if (b->o.json)
		r = report_write(b, b->o.json);
	if (b->o.chart && r == 0)
		r = chart_draw(b, b->o.chart);
	return r;
}

static int bench(struct bench *b)
{
	int status, r;

	if (catch_signals(b) < 0)
		return EXIT_USAGE;
	r = prepare_check(b);
	if (r == 0)
		r = prepare_make(b);
	status = r == -ECANCELED ? EXIT_INTERRUPTED : r < 0 ? EXIT_USAGE : EXIT_OK;
	if (r == 0) {
		r = measure_all(b);
		if (r == 0)
			r = report(b);
		status = r == -ECANCELED      ? EXIT_INTERRUPTED
			 : r < 0 || b->failed ? EXIT_FAILED
					      : EXIT_OK;
	}
	prepare_undo(b);
	return status;
}

static void list_loads(const struct bench_options *o)
{
	struct load_settings s = {
		.cpus = o->cpus,
		.seconds = o->seconds,
		.size_mib = o->size_mib,
		.direct = 1,
		.server = "HOST",
		.port = 5201,
	};
	struct words w;

	for (unsigned i = 0; i < n_loads; i++) {
		printf("%-14s", loads[i].name);
		load_command(&loads[i], &s, &w);
		for (unsigned n = 0; n < w.n; n++)
			printf(" %s", w.v[n]);
		putchar('\n');
	}
}

int main(int argc, char **argv)
{
	static struct bench b;

	/* Only a first process: it ends by turning the machine off. */
	if (getpid() == 1 && strcmp(argv[0], "/init") == 0)
		guest_init();
	if (getpid() == 1 && argc == 2 && strcmp(argv[1], "guest") == 0)
		guest_serve();
	if (argc == 2 && strcmp(argv[1], "agent") == 0) {
		agent_serve(STDIN_FILENO, STDOUT_FILENO);
		return EXIT_OK;
	}
	if (argc == 3 && strcmp(argv[1], "namespaces") == 0)
		return namespaces_serve(argv[2]);
	if (bench_options_parse(argc - 1, argv + 1, &b.o) < 0)
		return EXIT_USAGE;
	if (b.o.help) {
		options_print_help();
		return EXIT_OK;
	}
	if (b.o.list) {
		list_loads(&b.o);
		return EXIT_OK;
	}
	return bench(&b);
}
