/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The virtual machines: kernel, an initramfs with this program as init and the modules that it
 * loads, a disk with the same root file system that the container has. skiff and QEMU get the same
 * of all, and as much as can be of the same settings.
 */
#include "vmm/bench/vm.h"

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "vmm/bench/bench.h"
#include "vmm/bench/child.h"
#include "vmm/bench/cpio.h"
#include "vmm/bench/guest.h"
#include "vmm/bench/modules.h"
#include "vmm/bench/root.h"
#include "vmm/log.h"

#ifdef __aarch64__
#define CONSOLE      "ttyAMA0"
#define QEMU         "qemu-system-aarch64"
#define QEMU_PACKAGE "qemu-system-arm"
#define QEMU_MACHINE "virt,gic-version=3"
#else
#define CONSOLE      "ttyS0"
#define QEMU         "qemu-system-x86_64"
#define QEMU_PACKAGE "qemu-system-x86"
#define QEMU_MACHINE "q35"
#endif

const char *vm_qemu_program(void)
{
	return QEMU;
}

const char *vm_qemu_package(void)
{
	return QEMU_PACKAGE;
}

int vm_check(const struct bench *b)
{
	char *argv[] = {(char *)b->skiff, "check", "--json", NULL};
	struct child_spec spec = {.argv = argv, .in = -1};
	static char text[65536];
	const char *verdict;
	json_t *report;
	int r = child_capture(&spec, b->stop_fd, text, sizeof(text));

	if (r == 0 || r == -ECANCELED)
		return r;
	report = json_loads(text, 0, NULL);
	verdict = json_string_value(json_object_get(report, "verdict"));
	log_line(LOG_ERROR,
		 "bench: vm: %s; `skiff check` explains it, and --without vm measures the rest",
		 verdict ? verdict : "`skiff check` says that Linux cannot run here");
	json_decref(report);
	return -ENOTSUP;
}

/* --- the kernel and its modules ------------------------------------------------------------- */

/*
 * The release of the kernel in file @path: a bzImage says it (Documentation/arch/x86/boot.rst,
 * kernel_version); of another, the running one's is assumed.
 */
static void release_of(const char *path, char *release, size_t size)
{
	unsigned char setup[0x210 + 0x4000];
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? -1 : read(fd, setup, sizeof(setup) - 1);
	struct utsname u;
	size_t at;

	if (fd >= 0)
		close(fd);
	if (n > 0x210 && memcmp(setup + 0x202, "HdrS", 4) == 0) {
		at = (size_t)(setup[0x20e] | setup[0x20f] << 8) + 0x200;
		setup[n] = '\0';
		if (at > 0x200 && at < (size_t)n) {
			snprintf(release, size, "%.*s", (int)strcspn((char *)setup + at, " "),
				 setup + at);
			return;
		}
	}
	uname(&u);
	snprintf(release, size, "%.*s", (int)size - 1, u.release);
}

int vm_find_kernel(struct bench *b)
{
	static char kernel[PATH_MAX], modules[128];
	char release[96];
	struct utsname u;
	const char *from = b->o.kernel ? "--kernel: " : "";

	uname(&u);
	if (!b->o.kernel) {
		snprintf(kernel, sizeof(kernel), "/boot/vmlinuz-%s", u.release);
		b->o.kernel = kernel;
	}
	if (access(b->o.kernel, R_OK) < 0)
		return log_fail(-errno, "bench: %s%s: %s: %s", from, b->o.kernel, strerror(errno),
				errno == EACCES ? "it is root's: make it readable, or give a copy "
						  "by --kernel FILE"
						: "give the guest's kernel by --kernel FILE");
	/* It is started in another directory. */
	if (realpath(b->o.kernel, kernel))
		b->o.kernel = kernel;
	if (!b->o.modules) {
		release_of(b->o.kernel, release, sizeof(release));
		snprintf(modules, sizeof(modules), "/lib/modules/%s", release);
		b->o.modules = modules;
	}
	if (strcmp(b->o.modules, "none") != 0 && access(b->o.modules, R_OK) < 0)
		return log_fail(-errno,
				"bench: %s: %s: give the directory of the guest's modules by "
				"--modules DIR, or none",
				b->o.modules, strerror(errno));
	return 0;
}

/* What the guest needs; only `more` where its kernel has it, for ext4's checksums. */
static const struct {
	const char *name;
	int more;
} wanted[] = {
	{"crc32c_generic", 1}, {"crc32c_intel", 1}, {"virtio_pci", 0},
	{"virtio_blk", 0},     {"virtio_net", 0},   {"ext4", 0},
};

static int list_modules(struct modules *m, const char *dir)
{
	for (size_t i = 0; i < sizeof(wanted) / sizeof(wanted[0]); i++) {
		int r = modules_add(m, dir, wanted[i].name);

		if (r == -EIO)
			return log_fail(r,
					"bench: %s: has no modules.dep: give a directory that "
					"depmod knows, such as /lib/modules/RELEASE",
					dir);
		if (r < 0 && !(wanted[i].more && r == -ENOENT))
			return log_fail(r, "bench: %s: has no module %s, which the guest needs",
					dir, wanted[i].name);
	}
	return 0;
}

/* Copies one, unpacked: guests' kernels may not know how. */
static int add_module(const struct bench *b, const char *from, const char *name)
{
	static const struct {
		const char *end, *argv[4];
	} unpack[] = {
		{".xz", {"xz", "-dc"}},
		{".zst", {"zstd", "-qdc"}},
		{".gz", {"gzip", "-dc"}},
	};
	char to[PATH_MAX], text[256];
	size_t len = strlen(from);

	snprintf(to, sizeof(to), "%s/first" GUEST_MODULES "/%s", b->work, name);
	for (size_t i = 0; i < sizeof(unpack) / sizeof(unpack[0]); i++) {
		const char *argv[] = {unpack[i].argv[0], unpack[i].argv[1], from, NULL};
		struct child_spec spec = {.argv = (char *const *)argv, .in = -1};
		size_t end = strlen(unpack[i].end);
		int r;

		if (len < end || strcmp(from + len - end, unpack[i].end) != 0)
			continue;
		r = child_to_file(&spec, b->stop_fd, to, text, sizeof(text));
		if (r == -ENOENT)
			return log_fail(r, "bench: %s: needs %s to unpack it: install that", from,
					argv[0]);
		return r == 0 || r == -ECANCELED
			       ? r
			       : log_fail(-EIO, "bench: %s: cannot be unpacked: %.*s", from,
					  (int)strcspn(text, "\n"), text);
	}
	return root_copy(from, to);
}

static int add_modules(const struct bench *b)
{
	char order[MODULES_MAX * 16] = "", path[PATH_MAX], name[16];
	struct modules m = {.n = 0};
	int r = 0;

	if (strcmp(b->o.modules, "none") != 0)
		r = list_modules(&m, b->o.modules);
	for (unsigned i = 0; r == 0 && i < m.n; i++) {
		size_t used = strlen(order);

		snprintf(name, sizeof(name), "%u.ko", i);
		snprintf(order + used, sizeof(order) - used, "%s\n", name);
		snprintf(path, sizeof(path), "%s/%s", b->o.modules, m.path[i]);
		if (i == 0) {
			/* The directory, which root_copy() makes and a program's output does not.
			 */
			char first[PATH_MAX];

			snprintf(first, sizeof(first), "%s/first", b->work);
			r = root_add_text(first, GUEST_ORDER, "");
		}
		if (r == 0)
			r = add_module(b, path, name);
	}
	modules_free(&m);
	if (r < 0)
		return r;
	snprintf(path, sizeof(path), "%s/first", b->work);
	return root_add_text(path, GUEST_ORDER, order);
}

/* --- initramfs and disks --------------------------------------------------------------------- */

static int make_initramfs(const struct bench *b)
{
	char dir[PATH_MAX], out[PATH_MAX];
	int r;

	snprintf(dir, sizeof(dir), "%s/first", b->work);
	snprintf(out, sizeof(out), "%s/initramfs", b->work);
	r = root_make(dir);
	if (r == 0)
		r = root_add_program(dir, b->self, "/init", b->stop_fd);
	if (r == 0)
		r = add_modules(b);
	return r < 0 ? r : cpio_write("bench: initramfs", dir, out);
}

/* Room for the root, for files of both kinds of loads, and as much again for ext4 itself. */
static int make_disk(const struct bench *b, const char *name)
{
	unsigned long long mib;
	struct child_spec spec = {.in = -1};
	struct words w;
	char root[PATH_MAX], text[512];
	int r;

	snprintf(root, sizeof(root), "%s/root", b->work);
	mib = (root_size(root) >> 20) * 3 / 2 + 3ull * b->o.size_mib + 128;
	words_init(&w);
	words_add_all(&w, (const char *const[]){"mke2fs", "-q", "-F", "-t", "ext4", "-E",
						"root_owner=0:0,lazy_itable_init=0,"
						"lazy_journal_init=0",
						"-d", NULL});
	words_add(&w, "%s", root);
	words_add(&w, "%s/%s.img", b->work, name);
	words_add(&w, "%lluM", mib);
	spec.argv = w.v;
	r = child_capture(&spec, b->stop_fd, text, sizeof(text));
	if (r > 0)
		return log_fail(-EIO, "bench: mke2fs: %.*s", (int)strcspn(text, "\n"), text);
	return r;
}

int vm_build(const struct bench *b)
{
	int r = make_initramfs(b);

	if (r == 0 && bench_has_place(b, PLACE_VM))
		r = make_disk(b, place_names[PLACE_VM]);
	if (r == 0 && bench_has_place(b, PLACE_QEMU))
		r = make_disk(b, place_names[PLACE_QEMU]);
	return r;
}

/* --- commands -------------------------------------------------------------------------------- */

/* What this host's kernel was told of mitigations holds for the guest's, too. */
static void add_mitigations(char *line, size_t size)
{
	static const char *const keys[] = {
		"mitigations=",
		"pti=",
		"nopti",
		"kpti=",
		"nospectre_",
		"spectre_v2=",
		"spectre_v2_user=",
		"spectre_bhi=",
		"spec_store_bypass_disable=",
		"nospec_store_bypass_disable",
		"spec_rstack_overflow=",
		"ssbd=",
		"l1tf=",
		"mds=",
		"tsx_async_abort=",
		"mmio_stale_data=",
		"reg_file_data_sampling=",
		"gather_data_sampling=",
		"srbds=",
		"retbleed=",
		"indirect_target_selection=",
		"tsa=",
	};
	char text[4096], *save = NULL;
	FILE *f = fopen("/proc/cmdline", "re");

	if (!f || !fgets(text, sizeof(text), f))
		text[0] = '\0';
	if (f)
		fclose(f);
	for (char *word = strtok_r(text, " \n", &save); word; word = strtok_r(NULL, " \n", &save)) {
		for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
			size_t used = strlen(line);

			if (strncmp(word, keys[i], strlen(keys[i])) == 0)
				snprintf(line + used, size - used, " %s", word);
		}
	}
}

static void add_kernel(const struct bench *b, struct words *w, const char *dashes)
{
	char line[512] = "console=" CONSOLE " quiet panic=-1";

	add_mitigations(line, sizeof(line));
	words_add(w, "%skernel", dashes);
	words_add(w, "%s", b->o.kernel);
	words_add(w, "%sinitrd", dashes);
	words_add(w, "%s/initramfs", b->work);
	words_add(w, "%sappend", dashes);
	words_add(w, "%s", line);
}

void vm_skiff_command(const struct bench *b, struct words *w)
{
	words_init(w);
	words_add(w, "%s", b->skiff);
	words_add(w, "run");
	add_kernel(b, w, "--");
	words_add(w, "--cpus");
	words_add(w, "%u", b->o.cpus);
	words_add(w, "--memory");
	words_add(w, "%lluM", (unsigned long long)b->o.memory >> 20);
	words_add(w, "--disk");
	words_add(w, "path=%s/vm.img%s", b->work, b->direct ? ",direct=on" : "");
	words_add_all(w, (const char *const[]){"--net", "user", "--no-reboot", NULL});
}

void vm_qemu_command(const struct bench *b, struct words *w)
{
	words_init(w);
	words_add_all(w, (const char *const[]){QEMU, "-accel", "kvm", "-cpu", "host", "-M",
					       QEMU_MACHINE, "-nodefaults", "-display", "none",
					       "-serial", "stdio", "-no-reboot", NULL});
	add_kernel(b, w, "-");
	words_add(w, "-smp");
	words_add(w, "%u", b->o.cpus);
	words_add(w, "-m");
	words_add(w, "%llu", (unsigned long long)b->o.memory >> 20);
	words_add_all(w, (const char *const[]){"-object", "iothread,id=io", "-device",
					       "virtio-blk-pci,drive=disk,iothread=io", "-netdev",
					       "user,id=net", "-device",
					       "virtio-net-pci,netdev=net", "-drive", NULL});
	words_add(w, "if=none,id=disk,format=raw,aio=io_uring,cache=%s,file=%s/qemu.img",
		  b->direct ? "none" : "writeback", b->work);
}
