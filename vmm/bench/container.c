/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The container, by whatever this host has: an OCI runtime with a bundle of ours, podman, or
 * namespaces alone. All get the same root file system and this host's network. Knows no load.
 */
#include "vmm/bench/container.h"

#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "vmm/bench/bench.h"
#include "vmm/bench/child.h"
#include "vmm/log.h"

const char *const container_runtimes[] = {"crun", "runc", "podman", "namespaces", NULL};

int container_known(const char *name)
{
	for (unsigned i = 0; container_runtimes[i]; i++)
		if (strcmp(container_runtimes[i], name) == 0)
			return 1;
	return 0;
}

int container_installed(const char *name)
{
	char path[PATH_MAX];

	return strcmp(name, "namespaces") == 0 || child_find(name, path, sizeof(path)) == 0;
}

static int is_root(void)
{
	return geteuid() == 0;
}

static int is_runtime(const struct bench *b, const char *name)
{
	return strcmp(b->runtime, name) == 0;
}

const char *container_memory_note(const struct bench *b)
{
	if (is_runtime(b, "namespaces"))
		return "not limited: namespaces alone cannot";
	return is_root() ? "limited by its cgroup" : "not limited: that needs root";
}

static json_t *id_map(unsigned id)
{
	return json_pack("[{s:i, s:i, s:i}]", "containerID", 0, "hostID", (int)id, "size", 1);
}

/* OCI runtime specification 1.0, config-linux.md. */
static json_t *linux_part(const struct bench *b)
{
	json_t *l = json_pack("{s:[{s:s}, {s:s}, {s:s}, {s:s}]}", "namespaces", "type", "pid",
			      "type", "ipc", "type", "uts", "type", "mount");
	json_t *spaces = json_object_get(l, "namespaces");

	if (is_root()) {
		json_object_set_new(l, "cgroupsPath",
				    json_sprintf("skiff-bench-%d", (int)getpid()));
		json_object_set_new(
			l, "resources",
			json_pack("{s:{s:I}}", "memory", "limit", (json_int_t)b->o.memory));
	} else {
		json_array_append_new(spaces, json_pack("{s:s}", "type", "user"));
		json_object_set_new(l, "uidMappings", id_map(geteuid()));
		json_object_set_new(l, "gidMappings", id_map(getegid()));
	}
	return l;
}

static json_t *bundle(const struct bench *b)
{
	json_t *c =
		json_pack("{s:s, s:{s:o, s:b}, s:s,"
			  " s:{s:b, s:{s:i, s:i}, s:[s, s], s:[s], s:s}}",
			  "ociVersion", "1.0.0", "root", "path", json_sprintf("%s/root", b->work),
			  "readonly", 0, "hostname", "bench", "process", "terminal", 0, "user",
			  "uid", 0, "gid", 0, "args", "/skiff-bench", "agent", "env",
			  "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
			  "cwd", "/data");
	static const struct {
		const char *where, *type, *options[4];
	} mounts[] = {
		{"/proc", "proc", {"nosuid", "noexec", "nodev"}},
		{"/dev", "tmpfs", {"nosuid", "strictatime", "mode=755", "size=65536k"}},
		{"/dev/shm", "tmpfs", {"nosuid", "noexec", "nodev", "mode=1777"}},
		{"/tmp", "tmpfs", {"nosuid", "nodev", "mode=1777"}},
	};
	json_t *list = json_array();

	for (size_t i = 0; i < sizeof(mounts) / sizeof(mounts[0]); i++) {
		json_t *options = json_array();

		for (size_t n = 0; n < 4 && mounts[i].options[n]; n++)
			json_array_append_new(options, json_string(mounts[i].options[n]));
		json_array_append_new(list,
				      json_pack("{s:s, s:s, s:s, s:o}", "destination",
						mounts[i].where, "type", mounts[i].type, "source",
						mounts[i].type, "options", options));
	}
	json_object_set_new(c, "mounts", list);
	json_object_set_new(c, "linux", linux_part(b));
	return c;
}

int container_build(const struct bench *b)
{
	char path[PATH_MAX];
	json_t *c;
	int r;

	snprintf(path, sizeof(path), "%s/bundle", b->work);
	if (mkdir(path, 0755) < 0 && errno != EEXIST)
		return log_fail(-errno, "bench: %s: %s", path, strerror(errno));
	snprintf(path, sizeof(path), "%s/bundle/config.json", b->work);
	c = bundle(b);
	r = c ? json_dump_file(c, path, JSON_INDENT(1)) : -1;
	json_decref(c);
	return r < 0 ? log_fail(-EIO, "bench: cannot write %s", path) : 0;
}

static void oci_runtime(const struct bench *b, struct words *w)
{
	words_add(w, "%s", b->runtime);
	words_add(w, "--root");
	words_add(w, "%s/state", b->work);
	if (is_runtime(b, "crun") && !is_root())
		words_add(w, "--cgroup-manager=disabled");
	else if (is_runtime(b, "crun"))
		words_add(w, "--cgroup-manager=cgroupfs");
}

/* More than one bench may run, and runc's names are the whole host's. */
static void add_id(struct words *w)
{
	words_add(w, "skiff-bench-%d", (int)getpid());
}

void container_command(const struct bench *b, struct words *w)
{
	words_init(w);
	if (is_runtime(b, "namespaces")) {
		words_add(w, "%s", b->self);
		words_add(w, "namespaces");
		words_add(w, "%s/root", b->work);
	} else if (is_runtime(b, "podman")) {
		words_add_all(w, (const char *const[]){"podman", "run", "--rm", "-i",
						       "--network=host", "--log-driver=none",
						       "--ulimit=host", "--workdir=/data", NULL});
		if (is_root())
			words_add(w, "--memory=%llu", (unsigned long long)b->o.memory);
		words_add(w, "--name");
		add_id(w);
		words_add(w, "--rootfs");
		words_add(w, "%s/root", b->work);
		words_add_all(w, (const char *const[]){"/skiff-bench", "agent", NULL});
	} else {
		oci_runtime(b, w);
		words_add_all(w, (const char *const[]){"run", "--bundle", NULL});
		words_add(w, "%s/bundle", b->work);
		add_id(w);
	}
}

void container_clean(const struct bench *b)
{
	struct child_spec spec = {.in = -1};
	struct words w;
	char text[256];

	if (!b->runtime || is_runtime(b, "namespaces"))
		return;
	words_init(&w);
	if (is_runtime(b, "podman")) {
		words_add_all(&w, (const char *const[]){"podman", "rm", "-f", NULL});
	} else {
		oci_runtime(b, &w);
		words_add_all(&w, (const char *const[]){"delete", "--force", NULL});
	}
	add_id(&w);
	spec.argv = w.v;
	child_capture(&spec, -1, text, sizeof(text));
}
