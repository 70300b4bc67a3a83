/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Prepares a machine: see launch.h for what is done in which order. Main thread, before there is a
 * machine, between its boots, and after it. Each step is another room's; what stands here is their
 * order, and the texts of options that are made out of what they found.
 */
#include "vmm/launch.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "arch/arch.h"
#include "arch/host.h"
#include "devices/block/qcow2.h"
#include "loader/cmdline.h"
#include "loader/seed.h"
#include "vmm/boot_status.h"
#include "vmm/image_boot.h"
#include "vmm/kvm.h"
#include "vmm/launch_image.h"
#include "vmm/log.h"
#include "vmm/login.h"
#include "vmm/machine_dir.h"
#include "vmm/net_option.h"
#include "vmm/password.h"
#include "vmm/preflight.h"
#include "vmm/publish.h"
#include "vmm/shell_word.h"

#define DISK_SIZE      (20ull << 30)
#define TEXT_MAX       (4 * PATH_MAX)
#define RELOAD_SECONDS 20 /* in which nobody is heard */

struct launch {
	struct config config; /* what the machine gets */
	const char *append;   /* what the user adds to a command line; NULL: nothing */
	char name[MACHINE_NAME_MAX + 1];
	struct boot_status status;
	struct machine_dir dir;
	struct launch_image image;
	struct cmdline cmdline;
	int is_held; /* nobody sees the console until the login prompt */
	struct login login;
	struct login_keys keys;
	char hash[PASSWORD_HASH_SIZE];
	int seed_fd;
	char *disk, *seed, *net;                             /* texts of options */
	char kernel[PATH_MAX + 256], initrd[PATH_MAX + 256]; /* names, for messages */
	char hint[PATH_MAX + 128];
};

/* --- texts ----------------------------------------------------------------------------------- */

static void add_text(char *text, size_t size, const char *more)
{
	size_t n = strlen(text);

	snprintf(text + n, size - n, "%s", more);
}

/* A comma in a value is written twice. */
static void add_value(char *text, size_t size, const char *value)
{
	size_t n = strlen(text);

	for (; *value && n + 3 < size; value++) {
		if (*value == ',')
			text[n++] = ',';
		text[n++] = *value;
	}
	text[n] = '\0';
}

static char *new_text(const char *begin)
{
	char *text = malloc(TEXT_MAX);

	if (text)
		snprintf(text, TEXT_MAX, "%s", begin);
	return text;
}

/* -p: forwards of the first network that can have them, or of one that is made for them. */
static int set_up_network(struct launch *l)
{
	struct config *c = &l->config;
	unsigned n = 0;
	size_t len;
	int r = 0;

	if (c->n_nets == 0 && (c->image || c->n_publish))
		c->net[c->n_nets++] = "user";
	if (!c->n_publish)
		return 0;
	while (n < c->n_nets && strcmp(c->net[n], "user") != 0 &&
	       strncmp(c->net[n], "user,", 5) != 0)
		n++;
	if (n == c->n_nets)
		return log_fail(-EINVAL, "-p: %s: goes with `--net user`, which there is none of",
				c->publish[0]);
	l->net = new_text(c->net[n]);
	if (!l->net)
		return log_fail(-ENOMEM, "run: out of memory");
	for (unsigned i = 0; i < c->n_publish && r == 0; i++) {
		len = strlen(l->net);
		if (len + 2 < TEXT_MAX) {
			l->net[len] = ',';
			r = publish_to_hostfwd(c->publish[i], l->net + len + 1, TEXT_MAX - len - 1);
		}
	}
	c->net[n] = l->net;
	return r;
}

/* The machine's disk comes first: it is the guest's /dev/vda. */
static int set_up_disks(struct launch *l)
{
	struct config *c = &l->config;

	l->disk = new_text("format=qcow2,path=");
	if (!l->disk)
		return log_fail(-ENOMEM, "run: out of memory");
	add_value(l->disk, TEXT_MAX, l->dir.disk);
	add_text(l->disk, TEXT_MAX, ",backing=");
	add_value(l->disk, TEXT_MAX, l->image.path);
	memmove(&c->disk[1], &c->disk[0], c->n_disks * sizeof(c->disk[0]));
	c->disk[0] = l->disk;
	c->n_disks++;
	if (l->seed_fd < 0)
		return 0;
	l->seed = new_text("");
	if (!l->seed)
		return log_fail(-ENOMEM, "run: out of memory");
	snprintf(l->seed, TEXT_MAX, "fd=%d,ro,serial=cidata", l->seed_fd);
	c->disk[c->n_disks++] = l->seed;
	return 0;
}

/* --- the machine's disk ---------------------------------------------------------------------- */

static int make_disk(struct launch *l)
{
	uint64_t wanted = l->config.disk_size, size = wanted ? wanted : DISK_SIZE;
	struct qcow2_creation what = {
		.path = l->dir.disk,
		.backing = l->image.path,
		.backing_format = l->image.qcow2 ? "qcow2" : "raw",
	};

	if (wanted && wanted < l->image.size)
		return log_fail(-EINVAL,
				"--disk-size: %" PRIu64 " bytes: the image has %" PRIu64
				" and cannot shrink: give at least that",
				wanted, l->image.size);
	what.size = size > l->image.size ? size : l->image.size;
	return qcow2_create(&what);
}

/* The disk is there; it may have to grow. */
static int grow_disk(const struct launch *l)
{
	uint64_t wanted = l->config.disk_size;
	struct qcow2_info info;
	int r = qcow2_info(l->dir.disk, &info);

	if (r < 0 || !wanted || wanted == info.size)
		return r;
	if (wanted < info.size)
		return log_fail(-EINVAL,
				"--disk-size: %" PRIu64 " bytes: machine %s has %" PRIu64
				" already, and a disk only grows",
				wanted, l->dir.name, info.size);
	return qcow2_resize(l->dir.disk, wanted);
}

/*
 * A machine stays over the image that it was made over, also when the same name stands for a newer
 * one by now.
 */
static int find_image(struct launch *l)
{
	const struct machine_dir *d = &l->dir;
	int r;

	if (d->is_new)
		return launch_image_find(l->config.image, l->config.image_format, &l->image);
	if (launch_image_is_file(l->config.image)) {
		r = launch_image_find(l->config.image, d->image_format, &l->image);
		if (r < 0)
			return r;
		if (strcmp(l->image.path, d->image) != 0)
			return log_fail(
				-EEXIST,
				"machine %s: lies over another image, %s: name that one, or "
				"give another --name (to remove %s removes the machine and "
				"all that is on its disk)",
				d->name, d->image, d->path);
	} else {
		if (!machine_dir_is_from(d, l->config.image) &&
		    !(d->image_name[0] && launch_image_is_same(d->image_name, l->config.image)))
			return log_fail(
				-EEXIST,
				"machine %s: was made from another image, %s: name that one, or "
				"give another --name (to remove %s removes the machine and all "
				"that is on its disk)",
				d->name, d->image_name[0] ? d->image_name : d->image, d->path);
		r = launch_image_again(d->image, d->image_format, &l->image);
		if (r < 0)
			return r;
	}
	if (!machine_dir_is_over(d, l->image.path, l->image.file_size, l->image.mtime_ns))
		return log_fail(
			-ESTALE,
			"machine %s: its image, %s, is not the file any more that the machine "
			"was made over: put that one back, or give another --name",
			d->name, d->image);
	return 0;
}

/* --- what boots ------------------------------------------------------------------------------ */

static int look_into_disk(const struct launch *l, unsigned seconds, struct image_boot *boot)
{
	struct image_boot_file file[2] = {
		{-1, l->dir.disk, 1},
		{-1, l->image.path, l->image.qcow2},
	};
	struct image_boot_params params = {
		.file = file,
		.n = 2,
		.seconds = seconds,
		/* A disk that has been in use may well have outgrown its image. */
		.image_size = l->dir.is_new ? l->image.size : 0,
	};
	int r = 0;

	for (unsigned i = 0; i < 2 && r == 0; i++) {
		file[i].fd = open(file[i].path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
		if (file[i].fd < 0)
			r = log_fail(-errno, "run: cannot open %s: %s", file[i].path,
				     strerror(errno));
	}
	if (r == 0)
		r = image_boot_find(&params, boot);
	for (unsigned i = 0; i < 2; i++)
		if (file[i].fd >= 0)
			close(file[i].fd);
	return r;
}

static void take_boot(struct launch *l, const struct image_boot *boot)
{
	l->config.kernel_fd = boot->kernel_fd;
	l->config.kernel = l->kernel;
	snprintf(l->kernel, sizeof(l->kernel), "%s:%s", l->image.path, boot->kernel);
	l->config.initrd_fd = boot->initrd_fd;
	l->config.initrd = boot->initrd_fd < 0 ? NULL : l->initrd;
	snprintf(l->initrd, sizeof(l->initrd), "%s:%s", l->image.path, boot->initrd);
}

static int find_boot(struct launch *l, struct image_boot *boot)
{
	int r;

	boot_status_doing(&l->status, "looking for the kernel");
	r = look_into_disk(l, 0, boot);
	if (r < 0)
		return r;
	take_boot(l, boot);
	boot_status_reached(&l->status, BOOT_IMAGE);
	return 0;
}

static int asks_for_messages(const struct cmdline *c)
{
	size_t len;

	return cmdline_has_word(c->text, "quiet") || cmdline_has_word(c->text, "debug") ||
	       cmdline_has_word(c->text, "ignore_loglevel") ||
	       cmdline_value(c->text, "loglevel", &len) != NULL;
}

/*
 * The image's own command line behind ours, and what the user adds to it. Where nobody sees the
 * console until the login prompt, `quiet`: half of all exits of a boot carry its messages, which
 * dmesg has, too.
 */
static int set_up_cmdline(struct launch *l, const struct image_boot *boot)
{
	const char *more = l->append;
	size_t len;
	int r = 0;

	if (boot)
		r = cmdline_append(&l->cmdline, arch_quick_words);
	else if (!more)
		more = arch_default_cmdline;
	if (r == 0 && boot)
		r = cmdline_append(&l->cmdline, boot->cmdline);
	if (r == 0 && more)
		r = cmdline_append(&l->cmdline, more);
	if (r == 0 && boot && l->is_held && !asks_for_messages(&l->cmdline))
		r = cmdline_append(&l->cmdline, "quiet");
	l->config.append = l->cmdline.text ? l->cmdline.text : "";
	if (r == 0 && l->config.image && !boot && !cmdline_value(l->config.append, "root", &len))
		log_line(LOG_WARN,
			 "--kernel: %s: is given no root=: add --append with root=... and console=",
			 l->config.kernel);
	return r;
}

/* See config.h. A guest that got another kernel, or other words for it, reboots for its sake. */
static int reload(void *arg)
{
	struct launch *l = arg;
	struct image_boot *boot = calloc(1, sizeof(*boot));
	struct cmdline was = l->cmdline;
	int r = boot ? look_into_disk(l, RELOAD_SECONDS, boot)
		     : log_fail(-ENOMEM, "run: out of memory");

	if (r == 0) {
		l->cmdline = (struct cmdline){0};
		r = set_up_cmdline(l, boot);
		cmdline_free(r == 0 ? &was : &l->cmdline);
		if (r == 0)
			take_boot(l, boot);
		else
			image_boot_free(boot);
	}
	if (r < 0) {
		l->cmdline = was;
		l->config.append = was.text ? was.text : "";
	}
	free(boot);
	return r;
}

/* --- the seed -------------------------------------------------------------------------------- */

static int read_files(struct launch *l, struct seed_params *p)
{
	const char *const path[SEED_FILES] = {
		[SEED_USER_DATA] = l->config.user_data,
		[SEED_META_DATA] = l->config.meta_data,
		[SEED_VENDOR_DATA] = l->config.vendor_data,
		[SEED_NETWORK_CONFIG] = l->config.network_config,
	};
	int r = 0;

	for (unsigned i = 0; i < SEED_FILES && r == 0; i++)
		if (path[i])
			r = seed_file_read((enum seed_file_kind)i, path[i], &p->files[i]);
	return r;
}

/* Who the guest's user is; of a machine that has started before, who it was. */
static int find_user(struct launch *l)
{
	const char *wanted = l->config.user, *was = l->dir.user;

	login_find(getuid(), getenv("SUDO_USER"), &l->login);
	if (wanted && !cloud_config_is_user(wanted))
		return log_fail(
			-EINVAL,
			"--user: %s: no login name: small letters, digits, - and _, at most %d",
			wanted, LOGIN_NAME_SIZE - 1);
	if (wanted && was[0] && strcmp(wanted, was) != 0)
		return log_fail(
			-EEXIST,
			"--user: %s: the user of machine %s is %s since its first start: leave "
			"--user out",
			wanted, l->dir.name, was);
	if (was[0])
		wanted = was;
	if (wanted)
		snprintf(l->login.name, sizeof(l->login.name), "%s", wanted);
	return 0;
}

/* Before anything that takes long. cloud-init sets it once, at a machine's first start. */
static int ask_password(struct launch *l)
{
	if (!l->config.password)
		return 0;
	if (l->dir.is_new) {
		l->dir.has_password = 1;
		return password_ask(STDIN_FILENO, l->login.name, l->hash);
	}
	password_skip(STDIN_FILENO);
	if (l->dir.has_password)
		log_line(LOG_INFO,
			 "%s: the password is what it was made at the machine's first start",
			 l->dir.name);
	else
		log_line(LOG_WARN,
			 "%s: --password: the machine was given none at its first start, and gets "
			 "none later: log in by ssh, with -p 2222:22, or remove %s to make it anew",
			 l->dir.name, l->dir.path);
	return 0;
}

static int make_seed(struct launch *l, const char *os)
{
	struct seed_params p = {.hostname = l->dir.name};
	char id[2 * sizeof(l->dir.uuid) + 8] = "skiff-";
	int r;

	if (l->config.no_cloud_init)
		return 0;
	for (unsigned i = 0; i < sizeof(l->dir.uuid); i++)
		snprintf(id + 6 + 2 * i, 3, "%02x", l->dir.uuid[i]);
	p.instance_id = id;
	p.user.doas = strncmp(os, "Alpine", 6) == 0;
	p.user.name = l->login.name;
	p.user.password_hash = l->hash[0] ? l->hash : NULL;
	r = read_files(l, &p);
	/* ssh-keygen may speak. */
	boot_status_clear(&l->status);
	if (r == 0 && !l->config.user_data)
		r = login_keys_find(l->login.home, l->dir.path, l->dir.is_new, &l->keys);
	p.user.keys = l->keys.text;
	if (r == 0)
		r = seed_create(&p, &l->seed_fd);
	explicit_bzero(l->hash, sizeof(l->hash));
	for (unsigned i = 0; i < SEED_FILES; i++)
		seed_file_free(&p.files[i]);
	return r;
}

/* How to get in, or that nobody can. */
static void make_hint(struct launch *l)
{
	const struct config *c = &l->config;
	char addr[64];
	unsigned port = 0;
	size_t n = 0;

	l->status.hint = l->hint;
	for (unsigned i = 0; i < c->n_publish && !port; i++)
		publish_is_of(c->publish[i], 22, addr, sizeof(addr), &port);
	if (c->no_cloud_init || c->user_data)
		return;
	if (port && l->keys.identity[0]) {
		/* What root has made, root alone may read. */
		n = (size_t)snprintf(l->hint, sizeof(l->hint), "%sssh -i ",
				     l->keys.made && getuid() == 0 && getenv("SUDO_USER") ? "sudo "
											  : "");
		shell_word_add(l->hint, sizeof(l->hint), l->keys.identity);
		n = strlen(l->hint);
	} else if (port && l->keys.text) {
		n = (size_t)snprintf(l->hint, sizeof(l->hint), "ssh");
	}
	if (n > 0)
		snprintf(l->hint + n, sizeof(l->hint) - n, " -p %u %s@%s", port, l->login.name,
			 addr);
	else if (!c->password && l->dir.is_new)
		log_line(
			LOG_WARN,
			"%s: nobody will be able to log in: give -p 2222:22 for ssh, or --password "
			"for the console",
			l->dir.name);
}

/* --- files that the user named --------------------------------------------------------------- */

static int open_file(const char *option, const char *path)
{
	/* O_NONBLOCK: a FIFO is refused by the loader, not waited for. */
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);

	if (fd < 0)
		return log_fail(-errno, "%s: cannot open %s: %s", option, path, strerror(errno));
	return fd;
}

static int open_kernel(struct launch *l)
{
	struct config *c = &l->config;

	c->kernel_fd = open_file("--kernel", c->kernel);
	if (c->kernel_fd < 0)
		return c->kernel_fd;
	if (c->initrd)
		c->initrd_fd = open_file("--initrd", c->initrd);
	return c->initrd && c->initrd_fd < 0 ? c->initrd_fd : 0;
}

static int check(const struct launch *l, const struct image_boot *boot)
{
	struct preflight p = {
		.image = boot,
		.more_disks = l->config.n_disks,
		.arch = arch_image,
		.memory = l->config.memory,
		.cmdline = l->cmdline.text ? l->cmdline.text : "",
		.kernel = l->config.kernel,
		.initrd = l->config.initrd,
		.kernel_fd = l->config.kernel_fd,
		.initrd_fd = l->config.initrd_fd,
	};

	return preflight_check(&p);
}

/* --- the whole ------------------------------------------------------------------------------- */

/* What can be judged before anything takes long: the ports, this host. */
static int check_first(struct launch *l)
{
	struct net_option option;
	struct kvm kvm = {.fd = -1, .vm_fd = -1};
	int r = set_up_network(l);

	for (unsigned i = 0; i < l->config.n_nets && r == 0; i++)
		r = net_option_parse(l->config.net[i], &option);
	if (r < 0 || !l->config.image)
		return r;
	r = kvm_open(&kvm, l->config.kvm_path);
	kvm_close(&kvm);
	return r;
}

/* @boot: NULL if the kernel is one that the user named. */
static int prepare_image(struct launch *l, struct image_boot *boot)
{
	int r = machine_dir_open(&l->dir, l->name, l->config.ephemeral);

	l->config.uuid = l->dir.uuid;
	if (r == 0)
		r = find_user(l);
	if (r == 0)
		r = ask_password(l);
	if (r == 0)
		r = find_image(l);
	if (r == 0)
		r = l->dir.is_new ? make_disk(l) : grow_disk(l);
	if (r == 0 && boot)
		r = find_boot(l, boot);
	if (r == 0)
		r = make_seed(l, boot ? boot->os : "");
	return r;
}

static int prepare(struct launch *l, uint64_t start_ns)
{
	struct config *c = &l->config;
	struct image_boot *boot = NULL;
	int r;

	if (c->name && strlen(c->name) >= sizeof(l->name))
		return log_fail(-EINVAL, "--name: %s: longer than %d characters", c->name,
				MACHINE_NAME_MAX);
	if (c->name)
		snprintf(l->name, sizeof(l->name), "%s", c->name);
	else if (c->image)
		machine_dir_name(c->image, l->name);
	if (c->image) {
		boot_status_begin(&l->status, l->name, start_ns, c->quiet);
		c->boot = &l->status;
		c->rng = 1;
		l->is_held = boot_status_will_hold(&l->status, c->console);
	}
	if (c->kernel) {
		r = open_kernel(l);
	} else {
		boot = calloc(1, sizeof(*boot));
		c->reload = reload;
		c->reload_arg = l;
		r = boot ? 0 : log_fail(-ENOMEM, "run: out of memory");
	}
	if (r == 0)
		r = check_first(l);
	if (r == 0 && c->image)
		r = prepare_image(l, boot);
	if (r == 0)
		r = set_up_cmdline(l, boot);
	if (r == 0)
		r = check(l, boot);
	if (r == 0 && c->image)
		r = set_up_disks(l);
	if (r == 0 && c->image)
		make_hint(l);
	free(boot);
	boot_status_clear(&l->status);
	return r;
}

int launch_prepare(const struct config *given, uint64_t start_ns, struct launch **out)
{
	struct launch *l = calloc(1, sizeof(*l));
	int r;

	if (!l)
		return log_fail(-ENOMEM, "run: out of memory");
	l->config = *given;
	l->append = given->append;
	l->image.lock = l->seed_fd = -1;
	r = prepare(l, start_ns);
	if (r == 0) {
		*out = l;
		return 0;
	}
	if (l->config.kernel_fd >= 0)
		close(l->config.kernel_fd);
	if (l->config.initrd_fd >= 0)
		close(l->config.initrd_fd);
	if (l->seed_fd >= 0)
		close(l->seed_fd);
	launch_end(l);
	return r;
}

const struct config *launch_config(const struct launch *l)
{
	return &l->config;
}

int launch_started(struct launch *l)
{
	int r = 0;

	if (l->config.image && l->dir.is_new) {
		if (!launch_image_is_file(l->config.image))
			snprintf(l->dir.image_name, sizeof(l->dir.image_name), "%s",
				 l->config.image);
		r = machine_dir_set_user(&l->dir, l->login.name);
		if (r == 0)
			r = machine_dir_keep(&l->dir, l->image.path,
					     l->image.qcow2 ? "qcow2" : "raw", l->image.file_size,
					     l->image.mtime_ns);
	}
	launch_image_settle(&l->image);
	return r;
}

void launch_end(struct launch *l)
{
	if (!l)
		return;
	if (l->config.boot_report && l->status.watch.last != BOOT_NONE)
		boot_status_report(&l->status);
	launch_image_settle(&l->image);
	machine_dir_close(&l->dir);
	login_keys_free(&l->keys);
	cmdline_free(&l->cmdline);
	free(l->disk);
	free(l->seed);
	free(l->net);
	free(l);
}
