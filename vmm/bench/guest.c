/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The first process of the guest: modules, the disk as root, the network, the agent, power-off.
 * Nothing here runs on the host. There is nobody to report to but the console, whose last lines the
 * host shows when a machine ends before it is ready.
 */
#include "vmm/bench/guest.h"

#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/reboot.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

#include "vmm/bench/agent.h"

static _Noreturn void off(void)
{
	/* What the serial port has not sent yet would be lost. */
	tcdrain(STDOUT_FILENO);
	sync();
	reboot(RB_POWER_OFF);
	for (;;)
		pause();
}

static _Noreturn void give_up(const char *what)
{
	printf("skiff-bench guest: %s: %s\n", what, strerror(errno));
	fflush(stdout);
	off();
}

static void mount_at(const char *type, const char *where)
{
	mkdir(where, 0755);
	if (mount(type, where, type, 0, NULL) < 0 && errno != EBUSY)
		give_up(where);
}

/* The console without echo and without a terminal's ideas of lines. */
static void open_console(void)
{
	int fd = open("/dev/console", O_RDWR);
	struct termios t;

	if (fd < 0)
		return;
	if (tcgetattr(fd, &t) == 0) {
		cfmakeraw(&t);
		tcsetattr(fd, TCSANOW, &t);
	}
	for (int i = 0; i < 3; i++)
		dup2(fd, i);
	if (fd > 2)
		close(fd);
}

static void load_modules(void)
{
	FILE *f = fopen(GUEST_ORDER, "re");
	char name[128], path[192];

	while (f && fgets(name, sizeof(name), f)) {
		int fd;

		name[strcspn(name, "\n")] = '\0';
		snprintf(path, sizeof(path), GUEST_MODULES "/%s", name);
		fd = open(path, O_RDONLY | O_CLOEXEC);
		if (fd < 0 || (syscall(SYS_finit_module, fd, "", 0) < 0 && errno != EEXIST &&
			       errno != ENODEV))
			printf("skiff-bench guest: module %s: %s\n", name, strerror(errno));
		if (fd >= 0)
			close(fd);
	}
	if (f)
		fclose(f);
}

void guest_init(void)
{
	static const char *const kept[] = {"/dev", "/proc", "/sys"};
	char to[64];

	mount_at("devtmpfs", "/dev");
	mount_at("proc", "/proc");
	mount_at("sysfs", "/sys");
	open_console();
	load_modules();
	mkdir("/new", 0755);
	/* The disk is there when its driver has been loaded, or soon after. */
	for (int left = 500; access(GUEST_DISK, F_OK) < 0 && left; left--)
		usleep(10000);
	if (mount(GUEST_DISK, "/new", "ext4", 0, NULL) < 0)
		give_up("mount " GUEST_DISK);
	for (size_t i = 0; i < sizeof(kept) / sizeof(kept[0]); i++) {
		snprintf(to, sizeof(to), "/new%s", kept[i]);
		if (mount(kept[i], to, NULL, MS_MOVE, NULL) < 0)
			give_up(to);
	}
	if (chdir("/new") < 0 || mount(".", "/", NULL, MS_MOVE, NULL) < 0 || chroot(".") < 0)
		give_up("root");
	execl("/skiff-bench", "skiff-bench", "guest", NULL);
	give_up("/skiff-bench");
}

/* The name of the first interface that is no loopback: 0 or -ENODEV. */
static int find_interface(char *name)
{
	DIR *d = opendir("/sys/class/net");
	struct dirent *e;
	int r = -ENODEV;

	while (d && r < 0 && (e = readdir(d))) {
		if (e->d_name[0] == '.' || strcmp(e->d_name, "lo") == 0)
			continue;
		snprintf(name, IFNAMSIZ, "%.*s", IFNAMSIZ - 1, e->d_name);
		r = 0;
	}
	if (d)
		closedir(d);
	return r;
}

static void set_address(int s, struct ifreq *req, unsigned long what, const char *address)
{
	struct sockaddr_in *in = (struct sockaddr_in *)&req->ifr_addr;

	in->sin_family = AF_INET;
	inet_pton(AF_INET, address, &in->sin_addr);
	ioctl(s, what, req);
}

static void bring_up(int s, struct ifreq *req)
{
	if (ioctl(s, SIOCGIFFLAGS, req) == 0) {
		req->ifr_flags |= IFF_UP;
		ioctl(s, SIOCSIFFLAGS, req);
	}
}

static void set_up_network(void)
{
	int s = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	struct ifreq req = {.ifr_name = "lo"};

	if (s < 0)
		return;
	bring_up(s, &req);
	memset(&req, 0, sizeof(req));
	if (find_interface(req.ifr_name) == 0) {
		set_address(s, &req, SIOCSIFADDR, GUEST_ADDRESS);
		set_address(s, &req, SIOCSIFNETMASK, "255.255.255.0");
		bring_up(s, &req);
	}
	close(s);
}

void guest_serve(void)
{
	setenv("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", 1);
	mount_at("tmpfs", "/tmp");
	mount_at("tmpfs", "/dev/shm");
	set_up_network();
	if (chdir("/data") < 0)
		give_up("/data");
	agent_serve(STDIN_FILENO, STDOUT_FILENO);
	mount(NULL, "/", NULL, MS_REMOUNT | MS_RDONLY, NULL);
	off();
}
