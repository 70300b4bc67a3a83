/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Looks at the machine that measures. Reads /proc and /sys and asks tools for their versions;
 * changes nothing.
 */
#include "vmm/bench/environment.h"

#include <dirent.h>
#include <errno.h>
#include <sched.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/sysinfo.h>
#include <sys/utsname.h>
#include <sys/vfs.h>
#include <time.h>
#include <unistd.h>

#include "vmm/bench/bench.h"
#include "vmm/bench/child.h"
#include "vmm/bench/container.h"
#include "vmm/bench/vm.h"

#define CPU_DIR "/sys/devices/system/cpu/"

void environment_add(struct environment *e, const char *key, const char *fmt, ...)
{
	char *value;
	va_list ap;

	if (e->n == ENVIRONMENT_MAX)
		return;
	value = e->item[e->n].value;
	snprintf(e->item[e->n].key, sizeof(e->item[e->n].key), "%s", key);
	va_start(ap, fmt);
	vsnprintf(value, sizeof(e->item[e->n].value), fmt, ap);
	va_end(ap);
	for (; *value; value++)
		if (*value < ' ' || *value > '~')
			*value = '?';
	e->n++;
}

const char *environment_value(const struct environment *e, const char *key)
{
	for (unsigned i = 0; i < e->n; i++)
		if (strcmp(e->item[i].key, key) == 0)
			return e->item[i].value;
	return "unknown";
}

/* The first line of a file, or "unknown". */
static const char *first_line(const char *path, char *line, int size)
{
	FILE *f = fopen(path, "re");

	if (!f || !fgets(line, size, f))
		snprintf(line, (size_t)size, "unknown");
	line[strcspn(line, "\n")] = '\0';
	if (f)
		fclose(f);
	return line;
}

/* The value of the first line `KEY : VALUE` of /proc/cpuinfo whose key begins so; 0 if none. */
static int cpuinfo(const char *key, char *value, size_t size)
{
	FILE *f = fopen("/proc/cpuinfo", "re");
	static char line[8192];
	int found = 0;

	while (f && !found && fgets(line, sizeof(line), f)) {
		char *colon = strchr(line, ':');

		if (!colon || strncmp(line, key, strlen(key)) != 0)
			continue;
		line[strcspn(line, "\n")] = '\0';
		snprintf(value, size, "%s", colon + 1 + (colon[1] == ' '));
		found = 1;
	}
	if (f)
		fclose(f);
	return found;
}

static void read_cpu(struct environment *e)
{
	static char text[8192];
	char word[64];
	cpu_set_t set;
	const char *virtual = "unknown whose"; /* arm64 has no such flag */

	/* arm64 has no model name in words. */
	if (!cpuinfo("model name", text, sizeof(text)) && !cpuinfo("CPU part", text, sizeof(text)))
		snprintf(text, sizeof(text), "unknown");
	environment_add(e, "cpu", "%s", text);
	CPU_ZERO(&set);
	sched_getaffinity(0, sizeof(set), &set);
	environment_add(e, "cpus_of_host", "%d", CPU_COUNT(&set));
	environment_add(e, "governor", "%s",
			first_line(CPU_DIR "cpu0/cpufreq/scaling_governor", word, sizeof(word)));
	if (cpuinfo("flags", text, sizeof(text)))
		virtual = strstr(text, " hypervisor")
				  ? "nested: this host is a virtual machine itself"
				  : "this host's own processor";
	environment_add(e, "kvm", "%s", access("/dev/kvm", F_OK) < 0 ? "none" : virtual);
}

static void read_kernel(struct environment *e)
{
	struct utsname u;
	char line[512];

	if (uname(&u) == 0)
		environment_add(e, "kernel", "%s %s %s", u.sysname, u.release, u.machine);
	environment_add(e, "command_line", "%s", first_line("/proc/cmdline", line, sizeof(line)));
	environment_add(e, "clocksource", "%s",
			first_line("/sys/devices/system/clocksource/clocksource0/"
				   "current_clocksource",
				   line, sizeof(line)));
	environment_add(
		e, "transparent_hugepages", "%s",
		first_line("/sys/kernel/mm/transparent_hugepage/enabled", line, sizeof(line)));
}

/* Each that matters here, and in one line which are open. */
static void read_mitigations(struct environment *e)
{
	DIR *d = opendir(CPU_DIR "vulnerabilities");
	char path[300], line[160], key[40], open[160] = "";
	struct dirent *f;

	while (d && (f = readdir(d))) {
		if (f->d_name[0] == '.')
			continue;
		snprintf(path, sizeof(path), CPU_DIR "vulnerabilities/%s", f->d_name);
		first_line(path, line, sizeof(line));
		if (strcmp(line, "Not affected") == 0)
			continue;
		snprintf(key, sizeof(key), "mitigation.%.28s", f->d_name);
		environment_add(e, key, "%s", line);
		/* Some say first what it is that is: `KVM: Vulnerable`. */
		if (strstr(line, "Vulnerable") || strstr(line, "No mitigations")) {
			size_t used = strlen(open);

			snprintf(open + used, sizeof(open) - used, " %.40s", f->d_name);
		}
	}
	environment_add(e, "mitigations", "%s%s",
			*open ? "missing for"
			: d   ? "all there are"
			      : "unknown",
			open);
	if (d)
		closedir(d);
}

static void read_places(struct environment *e, const struct bench *b)
{
	if (bench_has_place(b, PLACE_CONTAINER)) {
		environment_add(e, "container.runtime", "%s", b->runtime);
		environment_add(e, "container.memory", "%s", container_memory_note(b));
		environment_add(e, "container.network", "the host's");
	}
	if (bench_has_place(b, PLACE_VM) || bench_has_place(b, PLACE_QEMU)) {
		environment_add(e, "guest.kernel", "%s", b->o.kernel);
		environment_add(e, "guest.modules", "%s", b->o.modules);
	}
}

/* The first line that `TOOL --version` prints. */
static void read_version(struct environment *e, const char *tool)
{
	char *argv[] = {(char *)tool, "--version", NULL};
	struct child_spec spec = {.argv = argv, .in = -1};
	char text[2048], key[40];

	if (child_capture(&spec, -1, text, sizeof(text)) != 0)
		snprintf(text, sizeof(text), "unknown");
	snprintf(key, sizeof(key), "version.%.30s", tool);
	environment_add(e, key, "%.*s", (int)strcspn(text, "\n"), text);
}

static void read_versions(struct environment *e, const struct bench *b)
{
	static const char *const tools[] = {"sysbench", "fio", "iperf3"};

	environment_add(e, "version.skiff", "%s", SKIFF_VERSION);
	for (size_t i = 0; i < sizeof(tools) / sizeof(tools[0]); i++)
		if (bench_has_tool(b, tools[i]))
			read_version(e, tools[i]);
	if (b->runtime && strcmp(b->runtime, "namespaces") != 0)
		read_version(e, b->runtime);
	if (bench_has_place(b, PLACE_QEMU))
		read_version(e, vm_qemu_program());
}

void environment_read(struct environment *e, const struct bench *b)
{
	time_t now = time(NULL);
	char date[32];
	struct tm tm;
	struct sysinfo info;

	strftime(date, sizeof(date), "%Y-%m-%dT%H:%M:%SZ", gmtime_r(&now, &tm));
	environment_add(e, "date", "%s", date);
	read_cpu(e);
	if (sysinfo(&info) == 0)
		environment_add(e, "memory_of_host", "%llu MiB",
				(unsigned long long)info.totalram * info.mem_unit >> 20);
	read_kernel(e);
	read_mitigations(e);
	environment_add(e, "page_cache_of_fio", "%s",
			b->direct ? "passed by (O_DIRECT)"
				  : "used: the file system of --dir has no O_DIRECT");
	read_places(e, b);
	read_versions(e, b);
}
