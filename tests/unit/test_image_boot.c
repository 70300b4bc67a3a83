/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The real skiff-image, started as skiff starts it: what comes out of raw and qcow2 images and of
 * chains of them, what is said where nothing does, what it gives up, and what becomes of a report
 * that is not what it should be. Skipped where mke2fs, sgdisk or the program are not.
 *
 * SKIFF_IMAGE names the program; by default it is ./skiff-image.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "loader/image/boot.h"
#include "tests/lib/cases.h"
#include "tests/lib/image_rig.h"
#include "tests/lib/qemu_img.h"
#include "tests/lib/said.h"
#include "vmm/companion.h"
#include "vmm/image_boot.h"

#define KERNEL  3000001u
#define INITRD  5000003u
#define CMDLINE "root=LABEL=cloudimg-rootfs ro console=tty1 console=ttyS0"

static const char *program;
static struct image_boot boot;
static uint64_t published; /* bytes of the image; 0: not told */

/* Ubuntu 24.04's layout: /boot is a partition of its own. */
static void make_disk(void)
{
	static const char *const words[] = {"-n",        "14:2048:+4M", "-n",    "15:0:+8M", "-n",
					    "16:0:+24M", "-n",          "1:0:0", NULL};

	image_rig_bytes("b/vmlinuz-6.8", 1, KERNEL);
	image_rig_bytes("b/ucode", 3, 33);
	image_rig_bytes("b/initrd.img-6.8", 2, INITRD);
	image_rig_text("b/config-6.8", "CONFIG_VIRTIO_PCI=y\nCONFIG_VIRTIO_BLK=m\n");
	image_rig_text("b/grub/grub.cfg", "menuentry 'Ubuntu' {\n linux /vmlinuz-6.8 " CMDLINE
					  "\n initrd /ucode /initrd.img-6.8\n}\n");
	image_rig_text("r/etc/os-release", "PRETTY_NAME=\"Ubuntu 24.04 \x1b[31mLTS\"\n");
	image_rig_ext("boot", "b", 24, "ext4", "BOOT", NULL, NULL);
	image_rig_ext("root", "r", 8, "ext4", "cloudimg-rootfs", NULL, NULL);
	image_rig_disk("disk", 64, words);
	image_rig_put("disk", 26624, "boot");
	image_rig_put("disk", 26624 + 49152, "root");
}

static int group_up(void **state)
{
	(void)state;
	said_start();
	image_rig_up();
	make_disk();
	return 0;
}

static int group_down(void **state)
{
	(void)state;
	image_rig_down();
	return 0;
}

/* The chain of @names, each `raw:FILE` or `qcow2:FILE`, up to NULL. */
static int find(const char *const *names)
{
	struct image_boot_file files[IMAGE_BOOT_DISKS_MAX];
	struct image_boot_params p = {.file = files, .program = program, .image_size = published};
	int r;

	said_clear();
	for (; *names; names++, p.n++) {
		const char *name = strchr(*names, ':') + 1;

		files[p.n].path = name;
		files[p.n].is_qcow2 = **names == 'q';
		files[p.n].fd = open(image_rig_path(name), O_RDONLY | O_CLOEXEC);
		assert_true(files[p.n].fd >= 0);
	}
	r = image_boot_find(&p, &boot);
	for (unsigned i = 0; i < p.n; i++) {
		assert_int_equal(fcntl(files[i].fd, F_GETFD), FD_CLOEXEC);
		close(files[i].fd);
	}
	return r;
}

static void assert_bytes(int fd, off_t at, uint32_t seed, size_t size)
{
	uint8_t *got = malloc(size);
	size_t wrong = 0;

	assert_int_equal(pread(fd, got, size, at), size);
	for (size_t i = 0; i < size; i++) {
		seed = seed * 1664525 + 1013904223;
		wrong += got[i] != seed >> 24;
	}
	free(got);
	CHECK(wrong == 0);
}

static void assert_found(void)
{
	struct stat st;

	CHECK(!strcmp(boot.kernel, "/vmlinuz-6.8"));
	CHECK(!strcmp(boot.initrd, "/ucode"));
	CHECK(!strcmp(boot.cmdline, CMDLINE));
	CHECK(!strcmp(boot.from, "/grub/grub.cfg"));
	CHECK(!strcmp(boot.os, "Ubuntu 24.04 ?[31mLTS"));
	CHECK(!memcmp(boot.driver, "ymnnnnn", IMAGE_BOOT_DRIVERS));
	CHECK(boot.n_parts == 4 && boot.n_warnings == 0);
	CHECK(boot.part[3].number == 16 && boot.part[3].bytes == 24 << 20);
	CHECK(!strcmp(boot.part[3].type, "ext4") && !strcmp(boot.part[3].label, "BOOT"));
	CHECK(boot.part[3].partuuid[0] && boot.part[3].uuid[0]);
	assert_bytes(boot.kernel_fd, 0, 1, KERNEL);
	CHECK(fstat(boot.kernel_fd, &st) == 0 && st.st_size == KERNEL);
	assert_bytes(boot.initrd_fd, 0, 3, 33);
	assert_bytes(boot.initrd_fd, 36, 2, INITRD); /* each at a multiple of four */
	CHECK(fstat(boot.initrd_fd, &st) == 0 && st.st_size == 36 + INITRD);
	image_boot_free(&boot);
}

static void test_raw(void **state)
{
	(void)state;
	case_begin("raw");
	if (find((const char *const[]){"raw:disk", NULL}))
		fail_msg("%s", said());
	assert_found();
}

static void need_qemu_img(void)
{
	if (qemu_img_is_there())
		return;
	print_message("no qemu-img here\n");
	skip();
}

static void test_qcow2(void **state)
{
	static const char *const ways[] = {"compat=0.10", "compat=1.1", "compression_type=zstd",
					   "cluster_size=4096"};

	(void)state;
	need_qemu_img();
	for (unsigned i = 0; i < 4; i++) {
		case_begin("%s", ways[i]);
		CHECK(qemu_img("convert", "-c", "-O", "qcow2", "-o", ways[i],
			       image_rig_path("disk"), image_rig_path("q"), NULL) == 0);
		CHECK(find((const char *const[]){"qcow2:q", NULL}) == 0);
		assert_found();
	}
}

static void test_chains(void **state)
{
	(void)state;
	need_qemu_img();
	assert_int_equal(qemu_img("convert", "-c", "-O", "qcow2", image_rig_path("disk"),
				  image_rig_path("base"), NULL),
			 0);
	assert_int_equal(qemu_img("create", "-f", "qcow2", "-F", "qcow2", "-b", "base",
				  image_rig_path("mid"), "1G", NULL),
			 0);
	assert_int_equal(qemu_img("create", "-f", "qcow2", "-F", "qcow2", "-b", "mid",
				  image_rig_path("top"), NULL),
			 0);
	case_begin("three qcow2");
	CHECK(find((const char *const[]){"qcow2:top", "qcow2:mid", "qcow2:base", NULL}) == 0);
	assert_found();
	case_begin("one too few");
	CHECK(find((const char *const[]){"qcow2:top", "qcow2:mid", NULL}) == -ENOENT);
	CHECK(strstr(said(), "was not given"));
	case_begin("another format than the image says");
	CHECK(find((const char *const[]){"qcow2:top", "raw:mid", NULL}) == -ENOENT);
	CHECK(strstr(said(), "mid: given as raw, but the image above it says qcow2"));
	assert_int_equal(qemu_img("create", "-f", "qcow2", "-F", "raw", "-b", "disk",
				  image_rig_path("over"), NULL),
			 0);
	case_begin("over raw");
	CHECK(find((const char *const[]){"qcow2:over", "raw:disk", NULL}) == 0);
	assert_found();
	case_begin("raw that is qcow2");
	CHECK(find((const char *const[]){"raw:top", NULL}) == -ENOENT);
}

/* Whoever has the image open for writing keeps his lock. */
static void test_the_callers_lock_stays(void **state)
{
	struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
	int fd = open(image_rig_path("disk"), O_RDWR | O_CLOEXEC), other;
	struct image_boot_file file = {.fd = fd, .path = "disk"};

	(void)state;
	case_begin("locked");
	assert_int_equal(fcntl(fd, F_OFD_SETLK, &lock), 0);
	assert_int_equal(
		image_boot_find(&(struct image_boot_params){&file, 1, program, 0, 0}, &boot), 0);
	assert_found();
	other = open(image_rig_path("disk"), O_RDWR | O_CLOEXEC);
	lock.l_type = F_RDLCK;
	assert_int_equal(fcntl(other, F_OFD_SETLK, &lock), -1);
	close(other);
	close(fd);
}

/* --- nothing comes out of it ----------------------------------------------------------------- */

static int64_t now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000ll + ts.tv_nsec / 1000000;
}

static void refused(const char *name, const char *words)
{
	int64_t start = now_ms();
	const char *names[] = {name, NULL};

	case_begin("%s: %s", name, words);
	CHECK(find(names) == -ENOENT);
	if (!strstr(said(), words))
		fail_msg("%s: '%s' does not say so", case_name(), said());
	CHECK(now_ms() - start < 5000);
}

static void test_what_is_said_without_a_kernel(void **state)
{
	static const char *const words[] = {"-n", "1:2048:+2M", "-n", "2:0:0", NULL};

	(void)state;
	image_rig_disk("none", 16, words);
	image_rig_poke("none", (2048ull + 4096) * 512 + 65600, "_BHRfS_M", 8);
	refused("raw:none",
		"looked at partitions 1: 2.0 MiB unknown, 2: 13.0 MiB btrfs: only ext4 is "
		"read here, and the kernel seems to lie on btrfs or xfs: take kernel and "
		"initrd out of the guest and give --kernel and --initrd");
	image_rig_ext("none", "r", 8, "ext4", "", NULL, NULL);
	refused("raw:none", "looked at partitions 0: 8.0 MiB ext4: in ext4, at /boot and /");
	image_rig_text("none", "");
	assert_int_equal(truncate(image_rig_path("none"), 1 << 20), 0);
	refused("raw:none", "no partition table and no file system");
	assert_int_equal(truncate(image_rig_path("none"), 1000), 0);
	refused("raw:none", "not a multiple of 512");
	refused("qcow2:disk", "not a qcow2 image");
}

static void test_files_that_cannot_be(void **state)
{
	(void)state;
	image_rig_bytes("x/boot/vmlinuz-1", 1, 100);
	assert_int_equal(truncate(image_rig_path("x/boot/vmlinuz-1"), 300 << 20), 0);
	image_rig_ext("wrong", "x", 8, "ext4", "", NULL, NULL);
	refused("raw:wrong", "kernel of more than 256 MiB");
	image_rig_text("x/boot/vmlinuz-1", "k");
	image_rig_text("x/boot/initrd.img-1", "");
	image_rig_ext("wrong", "x", 8, "ext4", "", NULL, NULL);
	refused("raw:wrong", "initrd is empty");
	assert_int_equal(truncate(image_rig_path("x/boot/initrd.img-1"), 1025ll << 20), 0);
	image_rig_ext("wrong", "x", 8, "ext4", "", NULL, NULL);
	refused("raw:wrong", "initrd of more than 1024 MiB");
}

static void test_a_disk_that_was_cut_short(void **state)
{
	(void)state;
	image_rig_bytes("cut", 1, 0);
	image_rig_put("cut", 0, "disk");
	/* The table in front is there, /boot is not whole, the root is gone. */
	assert_int_equal(truncate(image_rig_path("cut"), 20 << 20), 0);
	refused("raw:cut", "looked at partitions 14: 4.0 MiB unknown, 15: 8.0 MiB unknown: ");
	/* The file system ends before its last block. */
	image_rig_ext("cut", "b", 24, "ext4", "", NULL, NULL);
	assert_int_equal(truncate(image_rig_path("cut"), 20 << 20), 0);
	refused("raw:cut", "only ext4 is read");
}

/* A chain with a new, larger disk on top, over an image of which @size bytes were published. */
static int find_published(const char *const *names, uint64_t size)
{
	int r;

	published = size;
	r = find(names);
	published = 0;
	return r;
}

static void test_an_image_that_was_cut_short_under_a_disk(void **state)
{
	static const char *const chain[] = {"qcow2:new", "raw:cut", NULL};
	static const struct {
		const char *from;
		unsigned bytes;
	} cuts[] = {
		{"disk", (64 << 20) - 512}, /* the copy of the table */
		{"disk", 60 << 20},         /* the partition of the root, and not what is in it */
		{"disk", 20 << 20},
		{"whole", (24 << 20) - 4096},
	};

	(void)state;
	need_qemu_img();
	image_rig_ext("whole", "b", 24, "ext4", "", NULL, NULL);
	for (unsigned i = 0; i < sizeof(cuts) / sizeof(cuts[0]); i++) {
		char words[80];

		case_begin("%s cut to %u bytes", cuts[i].from, cuts[i].bytes);
		unlink(image_rig_path("cut"));
		image_rig_text("cut", "");
		image_rig_put("cut", 0, cuts[i].from);
		CHECK(truncate(image_rig_path("cut"), i < 3 ? 64 << 20 : 24 << 20) == 0);
		CHECK(qemu_img("create", "-f", "qcow2", "-F", "raw", "-b", "cut",
			       image_rig_path("new"), "1G", NULL) == 0);
		CHECK(find_published(chain, i < 3 ? 64 << 20 : 24 << 20) == 0);
		image_boot_free(&boot);
		CHECK(truncate(image_rig_path("cut"), cuts[i].bytes) == 0);
		CHECK(find_published(chain, cuts[i].bytes) == -ENOENT);
		snprintf(words, sizeof(words), "and it ends at byte %u: fetch it again",
			 cuts[i].bytes);
		if (!strstr(said(), "it was cut short") || !strstr(said(), words))
			fail_msg("%s: '%s' does not say so", case_name(), said());
	}
	/* A disk that a guest has used is not judged by what its image once had. */
	case_begin("not judged");
	CHECK(truncate(image_rig_path("cut"), 24 << 20) == 0);
	CHECK(find(chain) == 0);
	image_boot_free(&boot);
}

/* --- what it gives up ------------------------------------------------------------------------ */

/* The value of @key in a file of /proc, up to the line's end. */
static const char *proc_value(pid_t pid, const char *file, const char *key)
{
	static char text[8192], path[64];
	char *at;
	ssize_t n;
	int fd;

	snprintf(path, sizeof(path), "/proc/%d/%s", (int)pid, file);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	n = fd < 0 ? 0 : read(fd, text, sizeof(text) - 1);
	if (fd >= 0)
		close(fd);
	text[n > 0 ? n : 0] = '\0';
	at = strstr(text, key);
	if (!at)
		return "";
	at += strlen(key);
	at += strspn(at, " \t");
	at[strcspn(at, "\n")] = '\0';
	return at;
}

/*
 * The program, held in its first line of report by a pipe that is full: so it is behind all its
 * fences. The pipe's other end in *@report.
 */
static pid_t start_held(int *report)
{
	int ends[2], k = memfd_create("k", MFD_CLOEXEC), i = memfd_create("i", MFD_CLOEXEC);
	int disk = open(image_rig_path("disk"), O_RDONLY | O_CLOEXEC);
	static char parent[16], full[65536];
	char *argv[] = {"skiff-image", "boot", "--parent", parent, "raw:disk", NULL};
	unsigned tries = 0;
	pid_t pid;

	snprintf(parent, sizeof(parent), "%d", (int)getpid());
	assert_int_equal(pipe2(ends, O_CLOEXEC | O_NONBLOCK), 0);
	while (write(ends[1], full, sizeof(full)) > 0)
		;
	assert_int_equal(fcntl(ends[1], F_SETFL, 0), 0);
	assert_int_equal(fcntl(ends[0], F_SETFL, 0), 0);
	assert_int_equal(
		companion_start("test", program, argv,
				(struct companion_fd[]){{ends[1], 3}, {k, 4}, {i, 5}, {disk, 6}}, 4,
				&pid),
		0);
	close(ends[1]);
	close(disk);
	close(k);
	close(i);
	while (strcmp(proc_value(pid, "status", "\nSeccomp:"), "2") != 0 && tries++ < 5000)
		poll(NULL, 0, 1);
	*report = ends[0];
	return pid;
}

static void test_what_the_program_gave_up(void **state)
{
	static char got[65536];
	int report;
	pid_t pid = start_held(&report);

	(void)state;
	assert_string_equal(proc_value(pid, "status", "\nSeccomp:"), "2");
	assert_string_equal(proc_value(pid, "status", "\nNoNewPrivs:"), "1");
	assert_string_equal(proc_value(pid, "status", "\nCapEff:"), "0000000000000000");
	assert_int_equal(strncmp(proc_value(pid, "limits", "Max address space"), "268435456 ", 10),
			 0);
	assert_int_equal(strncmp(proc_value(pid, "limits", "Max cpu time"), "30 ", 3), 0);
	assert_int_equal(strncmp(proc_value(pid, "limits", "Max file size"), "1073741824 ", 11), 0);
	assert_int_equal(strncmp(proc_value(pid, "limits", "Max open files"), "7 ", 2), 0);
	assert_int_equal(strncmp(proc_value(pid, "limits", "Max core file size"), "0 ", 2), 0);
	while (read(report, got, sizeof(got)) > 0)
		;
	assert_int_equal(companion_wait(pid), 0);
	close(report);
}

/* Ctrl-C ends skiff; nobody waits for skiff-image then, and it does not stay. */
static void test_it_ends_with_its_parent(void **state)
{
	int over[2], report = -1;
	struct pollfd pfd = {0};
	struct iovec byte = {"x", 1};
	union {
		struct cmsghdr head;
		char room[CMSG_SPACE(sizeof(int))];
	} control = {0};
	struct msghdr msg = {.msg_iov = &byte,
			     .msg_iovlen = 1,
			     .msg_control = &control,
			     .msg_controllen = sizeof(control)};
	pid_t middle;

	(void)state;
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, over), 0);
	middle = fork();
	if (middle == 0) {
		start_held(&report);
		control.head = (struct cmsghdr){CMSG_LEN(sizeof(int)), SOL_SOCKET, SCM_RIGHTS};
		memcpy(CMSG_DATA(&control.head), &report, sizeof(int));
		sendmsg(over[1], &msg, 0);
		pause();
	}
	close(over[1]);
	byte.iov_base = (char[1]){0};
	assert_int_equal(recvmsg(over[0], &msg, MSG_CMSG_CLOEXEC), 1);
	memcpy(&pfd.fd, CMSG_DATA(&control.head), sizeof(int));
	/* Nobody reads it, so it writes still. */
	assert_int_equal(poll(&pfd, 1, 0), 0);
	kill(middle, SIGINT);
	assert_int_equal(companion_wait(middle), 128 + SIGINT);
	assert_int_equal(poll(&pfd, 1, 5000), 1);
	assert_int_equal(pfd.revents, POLLHUP);
	close(pfd.fd);
	close(over[0]);
}

/* --- another program in its place ------------------------------------------------------------ */

static int with_script(const char *script, unsigned seconds)
{
	struct image_boot_file file = {.path = "disk"};
	char text[512];
	int r;

	snprintf(text, sizeof(text), "#!/bin/sh\n%s\n", script);
	image_rig_text("script", text);
	assert_int_equal(chmod(image_rig_path("script"), 0755), 0);
	file.fd = open(image_rig_path("disk"), O_RDONLY | O_CLOEXEC);
	said_clear();
	r = image_boot_find(
		&(struct image_boot_params){&file, 1, image_rig_path("script"), seconds, 0}, &boot);
	close(file.fd);
	return r;
}

static void test_programs_that_do_otherwise(void **state)
{
	int64_t start = now_ms();

	(void)state;
	assert_int_equal(with_script("echo oh dear >&2; exit 3", 0), -EPROTO);
	assert_non_null(strstr(said(), "status 3: oh dear"));
	assert_int_equal(with_script("echo 'kernel /k' >&3; exit 0", 0), -EPROTO);
	assert_int_equal(with_script("printf 'kernel /k\\nend\\n' >&3; exit 0", 0), -EPROTO);
	assert_non_null(strstr(said(), "of a size that cannot be"));
	assert_int_equal(with_script("echo k >&4; printf 'kernel /k\\nend\\n' >&3; exit 1", 0),
			 -EPROTO);
	assert_int_equal(with_script("echo k >&4; printf 'kernel /k\\nend\\n' >&3", 0), 0);
	assert_int_equal(boot.initrd_fd, -1);
	image_boot_free(&boot);
	assert_int_equal(with_script("kill -SYS $$", 0), -EPROTO);
	assert_non_null(strstr(said(), "not to be trusted"));
	assert_int_equal(with_script("kill -XCPU $$", 0), -ETIMEDOUT);
	assert_int_equal(with_script("exec yes >&3", 0), -EMSGSIZE);
	assert_int_equal(with_script("exec tail -f /dev/null", 1), -ETIMEDOUT);
	assert_in_range(now_ms() - start, 1000, 20000);
	assert_int_equal(
		image_boot_find(&(struct image_boot_params){NULL, 0, program, 0, 0}, &boot),
		-EINVAL);
}

/* It may say anything, and does not get to say it all on the terminal. */
static void test_programs_that_talk_too_much(void **state)
{
	char script[256];

	(void)state;
	assert_int_equal(with_script("echo k >&4; yes 'warning w' | head -n 3000 >&3; "
				     "printf 'kernel /k\\nend\\n' >&3",
				     0),
			 0);
	assert_int_equal(boot.n_warnings, IMAGE_BOOT_WARNINGS);
	assert_int_equal(said_count(), IMAGE_BOOT_WARNINGS);
	image_boot_free(&boot);
	assert_int_equal(with_script("yes 'error e' | head -n 3000 >&3", 0), -ENOENT);
	assert_string_equal(said(), "e");
	assert_in_range(said_count(), 1, 8);
	/* A command line is whole, or there is none. */
	snprintf(script, sizeof(script),
		 "echo k >&4; printf 'kernel /k\\ncmdline %%%us\\nend\\n' x >&3",
		 (unsigned)sizeof(boot.cmdline) - 1);
	assert_int_equal(with_script(script, 0), 0);
	assert_int_equal(strlen(boot.cmdline), sizeof(boot.cmdline) - 1);
	image_boot_free(&boot);
	snprintf(script, sizeof(script),
		 "echo k >&4; printf 'kernel /k\\ncmdline %%%us\\nend\\n' x >&3",
		 (unsigned)sizeof(boot.cmdline));
	assert_int_equal(with_script(script, 0), -EMSGSIZE);
	assert_non_null(strstr(said(), "command line of more than 2047 bytes"));
}

static const struct {
	const char *text;
	int err;
} reports[] = {
	{"", -EPROTO},
	{"end\n", -EPROTO},
	{"kernel /k\n", -EPROTO},
	{"kernel /k\nend\n", 0},
	{"kernel /k\nend", 0},
	{"kernel /k\nerror no\nend\n", -ENOENT},
	{"kernel /k\nend\nerror too late\n", 0},
	{"kernel\nend\n", -EPROTO},
	{"\n\n \n  x\nkernel /k\nend\n", 0},
};

static void test_reports(void **state)
{
	char text[65536];

	(void)state;
	for (unsigned i = 0; i < sizeof(reports) / sizeof(reports[0]); i++) {
		case_begin("'%s'", reports[i].text);
		memcpy(text, reports[i].text, strlen(reports[i].text) + 1);
		CHECK(image_boot_parse(text, &boot) == reports[i].err);
	}
	/* Too many, too long, and not to be printed. */
	text[0] = '\0';
	for (unsigned i = 0; i < 300; i++)
		strncat(text, "part 1\t2\tx\twarning a\x1b[0m\nwarning w\x07\n",
			sizeof(text) - strlen(text) - 1);
	strncat(text, "part 99999999999999999999\t-1\t0123456789012345678901234567890\n",
		sizeof(text) - strlen(text) - 1);
	strncat(text, "os \xc2\x9b\xff~\n", sizeof(text) - strlen(text) - 1);
	strncat(text, "driver VIRTIO_PCI\tz\ndriver EXT4_FS\tm\ndriver\ndriver \t\tm\n",
		sizeof(text) - strlen(text) - 1);
	memset(text + strlen(text), 'k', 5000);
	snprintf(text + strlen(text), 200,
		 "\nkernel /a b\tc\ncmdline a\x1b"
		 "b\nend\n");
	case_begin("a long one");
	CHECK(image_boot_parse(text, &boot) == 0);
	CHECK(boot.n_parts == IMAGE_BOOT_PARTS && boot.n_warnings == IMAGE_BOOT_WARNINGS);
	CHECK(!strcmp(boot.warning[0], "w?"));
	CHECK(!strcmp(boot.part[0].label, "warning a?[0m"));
	CHECK(!strcmp(boot.cmdline, "a?b"));
	CHECK(!strcmp(boot.os, "???~") && !strcmp(boot.kernel, "/a b c"));
	CHECK(boot.driver[IMAGE_BOOT_EXT4] == 'm' && boot.driver[IMAGE_BOOT_VIRTIO_PCI] == '?');
	/* What is changed in a command line is not changed in silence. */
	case_begin("letters that are not ASCII");
	said_clear();
	snprintf(text, sizeof(text), "kernel /k\xc3\xbc\ncmdline root=LABEL=\xc3\xbc\nend\n");
	CHECK(image_boot_parse(text, &boot) == 0);
	CHECK(!strcmp(boot.kernel, "/k??") && !strcmp(boot.cmdline, "root=LABEL=??"));
	CHECK(said_count() == 1 && boot.n_warnings == 1 && strstr(said(), "command line"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_raw),
		cmocka_unit_test(test_qcow2),
		cmocka_unit_test(test_chains),
		cmocka_unit_test(test_the_callers_lock_stays),
		cmocka_unit_test(test_what_is_said_without_a_kernel),
		cmocka_unit_test(test_files_that_cannot_be),
		cmocka_unit_test(test_a_disk_that_was_cut_short),
		cmocka_unit_test(test_an_image_that_was_cut_short_under_a_disk),
		cmocka_unit_test(test_what_the_program_gave_up),
		cmocka_unit_test(test_it_ends_with_its_parent),
		cmocka_unit_test(test_programs_that_do_otherwise),
		cmocka_unit_test(test_programs_that_talk_too_much),
		cmocka_unit_test(test_reports),
	};

	program = getenv("SKIFF_IMAGE") ? getenv("SKIFF_IMAGE") : "./skiff-image";
	if (access(program, X_OK)) {
		printf("there is no %s: make\n", program);
		return 77;
	}
	if (!image_rig_is_there())
		return 77;
	return cases_report(cmocka_run_group_tests(tests, group_up, group_down));
}
