/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Before and after a bench: what it needs of this host, and the directory that it works in. One
 * thread.
 */
#include "vmm/bench/prepare.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "vmm/bench/bench.h"
#include "vmm/bench/child.h"
#include "vmm/bench/container.h"
#include "vmm/bench/measure.h"
#include "vmm/bench/progress.h"
#include "vmm/bench/root.h"
#include "vmm/bench/vm.h"
#include "vmm/companion.h"
#include "vmm/log.h"

#define SERVER_LIMIT_MS 10000

static int needs_vm(const struct bench *b)
{
	return bench_has_place(b, PLACE_VM) || bench_has_place(b, PLACE_QEMU);
}

/* --- what must be there ----------------------------------------------------------------------- */

/* Programs that are not there, and the Debian packages they are in. */
struct missing {
	char programs[256], packages[256];
	unsigned n;
};

static void need(struct missing *m, int wanted, const char *program, const char *package)
{
	size_t p = strlen(m->programs), q = strlen(m->packages);
	char path[PATH_MAX];

	if (!wanted || child_find(program, path, sizeof(path)) == 0)
		return;
	snprintf(m->programs + p, sizeof(m->programs) - p, "%s%s", m->n ? ", " : "", program);
	snprintf(m->packages + q, sizeof(m->packages) - q, " %s", package);
	m->n++;
}

static int check_tools(const struct bench *b)
{
	static const char *const tools[] = {"sysbench", "fio", "iperf3"};
	const char *container = b->o.container;
	struct missing m = {.n = 0};

	for (size_t i = 0; i < sizeof(tools) / sizeof(tools[0]); i++)
		need(&m, bench_has_tool(b, tools[i]), tools[i], tools[i]);
	need(&m, needs_vm(b), "mke2fs", "e2fsprogs");
	need(&m, bench_has_place(b, PLACE_QEMU), vm_qemu_program(), vm_qemu_package());
	if (container && strcmp(container, "namespaces") != 0)
		need(&m, bench_has_place(b, PLACE_CONTAINER), container, container);
	if (m.n == 0)
		return 0;
	return log_fail(-ENOENT, "bench: not installed: %s: `sudo apt install%s`", m.programs,
			m.packages);
}

/* The chart is worth a word now, not after an hour's work: the rest goes on. */
static void check_chart(struct bench *b)
{
	struct missing m = {.n = 0};

	need(&m, b->o.chart != NULL, "gnuplot", "gnuplot-nox");
	if (m.n == 0)
		return;
	log_line(LOG_WARN,
		 "bench: --chart: not installed: gnuplot: `sudo apt install gnuplot-nox`; "
		 "no chart will be drawn");
	b->o.chart = NULL;
	b->failed = 1;
}

/* What the result is written to is tried before it is there, too. */
static int check_outputs(const struct bench *b)
{
	const char *json = b->o.json, *chart = b->o.chart;
	int fd;

	if (json && strcmp(json, "-") != 0) {
		fd = open(json, O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
		if (fd < 0)
			return log_fail(-errno, "bench: --json: cannot write %s: %s", json,
					strerror(errno));
		close(fd);
	}
	if (chart && strpbrk(chart, "\"\\\n"))
		return log_fail(-EINVAL, "bench: --chart: %s: no quotes and backslashes, please",
				chart);
	if (chart && mkdir(chart, 0755) < 0 && errno != EEXIST)
		return log_fail(-errno, "bench: --chart: cannot make %s: %s", chart,
				strerror(errno));
	return 0;
}

static int check_cpus(const struct bench *b)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	if (sched_getaffinity(0, sizeof(set), &set) == 0 && (int)b->o.cpus > CPU_COUNT(&set))
		return log_fail(-EINVAL, "bench: --cpus: %u: this process may use %d", b->o.cpus,
				CPU_COUNT(&set));
	return 0;
}

static void set_titles(struct bench *b)
{
	static const char *const titles[PLACE_KINDS] = {
		[PLACE_HOST] = "host",
		[PLACE_CONTAINER] = "container",
		[PLACE_VM] = "VM (skiff)",
		[PLACE_QEMU] = "VM (QEMU)",
	};

	for (unsigned p = 0; p < PLACE_KINDS; p++)
		snprintf(b->titles[p], sizeof(b->titles[p]), "%s", titles[p]);
}

int prepare_check(struct bench *b)
{
	ssize_t n = readlink("/proc/self/exe", b->self, sizeof(b->self) - 1);
	int r;

	if (n <= 0)
		return log_fail(-ENOENT, "bench: cannot find this program's own path in /proc");
	set_titles(b);
	r = companion_find("bench", "skiff", b->skiff, sizeof(b->skiff));
	if (r == 0)
		r = check_cpus(b);
	if (r == 0)
		r = check_tools(b);
	if (r == 0 && needs_vm(b))
		r = vm_check(b);
	if (r == 0 && needs_vm(b))
		r = vm_find_kernel(b);
	if (r == 0)
		check_chart(b);
	return r < 0 ? r : check_outputs(b);
}

/* About what the root, images and files of loads will take. */
static int check_space(const struct bench *b, const char *from, const char *dir)
{
	unsigned long long need_mib, free_mib, files_mib;
	unsigned kinds = 0; /* of files, a bit each */
	struct statvfs fs;

	for (unsigned i = 0; i < n_loads; i++)
		if (bench_has_load(b, i) && loads[i].files != LOAD_NO_FILES)
			kinds |= 1u << loads[i].files;
	files_mib = (unsigned long long)__builtin_popcount(kinds) * b->o.size_mib;
	if (statvfs(dir, &fs) < 0)
		return log_fail(-errno, "bench: %s: %s: %s", from, dir, strerror(errno));
	free_mib = (unsigned long long)fs.f_bavail * fs.f_frsize >> 20;
	need_mib = 200 + (unsigned)__builtin_popcount(b->o.places) * (files_mib + 150);
	if (free_mib >= need_mib)
		return 0;
	return log_fail(-ENOSPC,
			"bench: %s: %s: %llu MiB are free and about %llu are needed: give another "
			"directory by --dir",
			from, dir, free_mib, need_mib);
}

/* --- what is made ----------------------------------------------------------------------------- */

static int make_work(struct bench *b)
{
	const char *dir = b->o.dir, *from = "--dir";
	char path[PATH_MAX];
	int fd;

	if (!dir) {
		dir = getenv("TMPDIR");
		from = "TMPDIR";
	}
	if (!dir || !*dir) {
		dir = "/var/tmp";
		from = "--dir";
	}
	if (!realpath(dir, path))
		return log_fail(-errno, "bench: %s: %s: %s", from, dir, strerror(errno));
	if (strlen(path) > 2000 || strpbrk(path, ",\n"))
		return log_fail(-EINVAL, "bench: %s: %s: no commas and no very long paths, please",
				from, dir);
	if (check_space(b, from, path) < 0)
		return -ENOSPC;
	snprintf(b->work, sizeof(b->work), "%.2000s/skiff-bench.XXXXXX", path);
	if (!mkdtemp(b->work)) {
		b->work[0] = '\0';
		return log_fail(-errno, "bench: %s: cannot make a directory in %s: %s", from, dir,
				strerror(errno));
	}
	snprintf(path, sizeof(path), "%s/host", b->work);
	if (mkdir(path, 0755) < 0)
		return log_fail(-errno, "bench: %s: %s", path, strerror(errno));
	snprintf(path, sizeof(path), "%s/host/probe", b->work);
	fd = open(path, O_RDWR | O_CREAT | O_DIRECT | O_CLOEXEC, 0644);
	b->direct = fd >= 0;
	if (fd >= 0)
		close(fd);
	unlink(path);
	return 0;
}

static int make_root(const struct bench *b)
{
	static const char *const tools[] = {"sysbench", "fio", "iperf3"};
	char root[PATH_MAX], cache[PATH_MAX];
	int r;

	snprintf(root, sizeof(root), "%s/root", b->work);
	r = root_make(root);
	if (r == 0)
		r = root_add_program(root, b->self, "/skiff-bench", b->stop_fd);
	for (size_t i = 0; r == 0 && i < sizeof(tools) / sizeof(tools[0]); i++)
		if (bench_has_tool(b, tools[i]))
			r = root_add_tool(root, tools[i], b->stop_fd);
	if (r == 0)
		r = root_add_shell(root, b->stop_fd);
	if (r == 0)
		r = root_add_text(root, "/etc/passwd", "root:x:0:0:root:/root:/bin/sh\n");
	/* Where libraries lie elsewhere, the cache tells their loader so. */
	if (r == 0 && access("/etc/ld.so.cache", R_OK) == 0) {
		snprintf(cache, sizeof(cache), "%s/root/etc/ld.so.cache", b->work);
		r = root_copy("/etc/ld.so.cache", cache);
	}
	return r;
}

/* A TCP port of the loopback interface that nobody listens at. */
static unsigned free_port(void)
{
	struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t len = sizeof(a);
	int s = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	unsigned port = 5201;

	if (s >= 0 && bind(s, (struct sockaddr *)&a, len) == 0 &&
	    getsockname(s, (struct sockaddr *)&a, &len) == 0)
		port = ntohs(a.sin_port);
	if (s >= 0)
		close(s);
	return port;
}

/* Does the file hold the word by now? */
static int says(const char *path, const char *word)
{
	FILE *f = fopen(path, "re");
	char line[256];
	int found = 0;

	while (f && !found && fgets(line, sizeof(line), f))
		found = strstr(line, word) != NULL;
	if (f)
		fclose(f);
	return found;
}

/* The other end of the TCP loads, for all places; it may use all processors. */
static int start_server(struct bench *b)
{
	char port[16], path[PATH_MAX];
	char *argv[] = {"iperf3", "-s", "-B", "127.0.0.1", "-p", port, "--forceflush", NULL};
	struct pollfd stop = {.fd = b->stop_fd, .events = POLLIN};
	struct child_spec spec = {.argv = argv, .in = -1};
	int r;

	b->port = free_port();
	snprintf(port, sizeof(port), "%u", b->port);
	snprintf(path, sizeof(path), "%s/iperf3.log", b->work);
	spec.out = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
	spec.err = spec.out;
	r = child_start(&spec, &b->server);
	close(spec.out);
	for (int left_ms = SERVER_LIMIT_MS; r == 0 && !says(path, "listening"); left_ms -= 20) {
		if (left_ms <= 0)
			r = -ETIMEDOUT;
		else if (poll(&stop, 1, 20) == 1)
			r = -ECANCELED;
	}
	if (r < 0 && r != -ECANCELED)
		log_fail(r, "bench: iperf3 does not listen at 127.0.0.1 port %s", port);
	return r;
}

int prepare_make(struct bench *b)
{
	int r = make_work(b);

	progress_begin(1);
	progress_step(0, "the root file system, of this host's programs");
	if (r == 0)
		r = make_root(b);
	if (r == 0 && bench_has_tool(b, "iperf3"))
		r = start_server(b);
	progress_clear();
	if (r == 0 && bench_has_place(b, PLACE_CONTAINER))
		r = measure_choose_runtime(b);
	if (r == 0 && needs_vm(b)) {
		progress_step(0, "the guest's disk");
		r = vm_build(b);
		progress_clear();
	}
	if (r == 0)
		environment_read(&b->environment, b);
	return r;
}

void prepare_undo(struct bench *b)
{
	if (b->server > 0)
		child_end(b->server, 500);
	if (b->work[0])
		root_remove(b->work);
}
