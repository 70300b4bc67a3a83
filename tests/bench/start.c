/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What it costs to come to the first KVM_RUN: the CPU time of skiff's own start, on this machine,
 * which needs a /dev/kvm but none that can run Linux. Each run is a process of its own that builds
 * the machine as `skiff run` does and takes it down again. Putting kernel and initrd into RAM
 * (reading, unpacking, relocating) is counted apart: it depends on the kernel more than on us.
 *
 * usage: start RUNS OPTION...          (options as for `skiff run`)
 * Prints medians in milliseconds: `start: own=N loading=N took=N exec=N created=N`. Exec is what
 * passed before main() and part of own, took is the loading by the clock on the wall, created is
 * the sum.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "vmm/clock.h"
#include "vmm/config.h"
#include "vmm/launch.h"
#include "vmm/machine.h"

enum { EXEC, LOADING, CREATED, TOOK, FIGURES };

static double cpu_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &ts);
	return (double)ts.tv_sec * 1e3 + (double)ts.tv_nsec / 1e6;
}

/* The child's half: one machine. */
static int run_one(int argc, char **argv)
{
	double figure[FIGURES] = {[EXEC] = cpu_ms()};
	uint64_t start_ns = clock_now_ns();
	struct launch *launch;
	struct config config;
	struct machine m;
	int r;

	if (config_parse(argc, argv, &config) < 0 || launch_prepare(&config, start_ns, &launch) < 0)
		return 2;
	r = machine_create(&m, launch_config(launch), start_ns);
	figure[CREATED] = cpu_ms();
	figure[LOADING] = (double)m.load_cpu_ns / 1e6;
	figure[TOOK] = (double)m.load_ns / 1e6;
	if (r == 0)
		printf("%f %f %f %f\n", figure[EXEC], figure[LOADING], figure[CREATED],
		       figure[TOOK]);
	fflush(stdout);
	machine_destroy(&m);
	launch_end(launch);
	return r == 0 ? 0 : 2;
}

static int compare(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static double median(double *v, unsigned n)
{
	qsort(v, n, sizeof(*v), compare);
	return (v[(n - 1) / 2] + v[n / 2]) / 2;
}

/* Runs this program again, as a child that makes one machine. */
static int run_child(char **argv, double figure[FIGURES])
{
	int fd[2], status;
	pid_t pid;
	FILE *f;
	int n;

	if (pipe(fd) < 0)
		return -1;
	pid = fork();
	if (pid == 0) {
		dup2(fd[1], STDOUT_FILENO);
		close(fd[0]);
		close(fd[1]);
		argv[1] = (char *)"one";
		execv("/proc/self/exe", argv);
		_exit(126);
	}
	close(fd[1]);
	f = fdopen(fd[0], "r");
	n = fscanf(f, "%lf %lf %lf %lf", &figure[EXEC], &figure[LOADING], &figure[CREATED],
		   &figure[TOOK]);
	fclose(f);
	if (waitpid(pid, &status, 0) < 0 || !WIFEXITED(status) || WEXITSTATUS(status))
		return -1;
	return n == FIGURES ? 0 : -1;
}

int main(int argc, char **argv)
{
	unsigned runs = argc > 1 ? (unsigned)atoi(argv[1]) : 0;
	double *v[FIGURES], *own, figure[FIGURES];

	if (argc > 2 && !strcmp(argv[1], "one"))
		return run_one(argc - 2, argv + 2);
	if (argc < 3 || runs < 1 || runs > 1000) {
		fputs("usage: start RUNS OPTION...\n", stderr);
		return 2;
	}
	own = calloc(runs, sizeof(*own));
	for (unsigned k = 0; k < FIGURES; k++)
		v[k] = calloc(runs, sizeof(*v[k]));
	for (unsigned i = 0; i < runs; i++) {
		if (run_child(argv, figure) < 0)
			return 1;
		for (unsigned k = 0; k < FIGURES; k++)
			v[k][i] = figure[k];
		own[i] = figure[CREATED] - figure[LOADING];
	}
	printf("start: own=%.2f loading=%.2f took=%.2f exec=%.2f created=%.2f\n", median(own, runs),
	       median(v[LOADING], runs), median(v[TOOK], runs), median(v[EXEC], runs),
	       median(v[CREATED], runs));
	return 0;
}
