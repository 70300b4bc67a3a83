/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Opening KVM and making one machine of it. Runs on the main thread before any vCPU exists; only
 * kvm_ioctl() is called later, by any thread. Knows nothing of registers, interrupt controllers
 * or devices. Most of it is sentences: a host where KVM cannot be had is the first thing that
 * many people meet.
 */
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/kvm.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "vmm/kvm.h"
#include "vmm/log.h"

/* The only version since Linux 2.6.22 (api.rst, KVM_GET_API_VERSION). */
#define API_VERSION 12

int kvm_ioctl_value(int fd, unsigned long request, unsigned long arg)
{
	int r;

	do
		r = ioctl(fd, request, arg);
	while (r < 0 && errno == EINTR && request != KVM_RUN);
	return r < 0 ? -errno : r;
}

int kvm_ioctl(int fd, unsigned long request, void *arg)
{
	return kvm_ioctl_value(fd, request, (unsigned long)arg);
}

static int in_group(gid_t gid)
{
	gid_t groups[256];
	int i, n;

	if (getegid() == gid)
		return 1;
	n = getgroups(sizeof(groups) / sizeof(groups[0]), groups);
	for (i = 0; i < n; i++) {
		if (groups[i] == gid)
			return 1;
	}
	return 0;
}

static int fail_absent(const char *path, int err)
{
	return log_fail(
		err,
		"kvm: %s: %s: is virtualisation (VT-x, AMD-V, EL2) switched on in the firmware, "
		"and is the kernel's KVM module loaded (on x86 'sudo modprobe kvm_intel' or 'sudo "
		"modprobe kvm_amd', on arm64 it is built in)? In a virtual machine, its host must "
		"allow nested virtualisation",
		path, strerror(-err));
}

/* The file permissions keep us out: say whose they are and how to get past them. */
static int fail_permission(const char *path, const struct stat *st)
{
	const struct group *gr = getgrgid(st->st_gid);
	char group[64];

	if (gr)
		snprintf(group, sizeof(group), "%s", gr->gr_name);
	else
		snprintf(group, sizeof(group), "%u", (unsigned)st->st_gid);

	if ((st->st_mode & 0060) != 0060)
		return log_fail(
			-EACCES,
			"kvm: %s: not permitted: its mode %04o lets only its owner in; 'sudo "
			"chgrp kvm %s && sudo chmod 0660 %s' opens it to the group kvm",
			path, st->st_mode & 07777, path, path);
	if (in_group(st->st_gid))
		return log_fail(
			-EACCES,
			"kvm: %s: not permitted, although this process is in its group %s: look "
			"at its access list ('getfacl %s') and at the sandbox this runs in",
			path, group, path);
	return log_fail(
		-EACCES,
		"kvm: %s: not permitted: it belongs to the group %s; join it with 'sudo usermod "
		"-aG %s \"$USER\"' and log in again",
		path, group, group);
}

/* Opens @path, or says why that cannot be: the descriptor, or -errno. */
static int open_device(const char *path)
{
	struct stat st;
	int fd, err;

	if (stat(path, &st)) {
		err = -errno;
		if (err == -ENOENT)
			return fail_absent(path, err);
		return log_fail(err, "kvm: %s: %s; give the KVM device's path", path,
				strerror(-err));
	}
	if (!S_ISCHR(st.st_mode))
		return log_fail(-ENODEV,
				"kvm: %s: not a KVM device, nor any device; the usual path is %s",
				path, KVM_DEVICE);

	fd = open(path, O_RDWR | O_CLOEXEC | O_NOCTTY);
	if (fd >= 0)
		return fd;
	err = -errno;
	if (err == -EACCES)
		return fail_permission(path, &st);
	if (err == -EPERM)
		return log_fail(
			err,
			"kvm: %s: the container or sandbox this runs in forbids the device; start "
			"it with --device %s",
			path, path);
	if (err == -ENODEV || err == -ENXIO)
		return fail_absent(path, err);
	return log_fail(err, "kvm: %s: open: %s", path, strerror(-err));
}

int kvm_open(struct kvm *kvm, const char *path)
{
	int r, size;

	kvm->vm_fd = -1;
	kvm->run_size = 0;
	if (!path)
		path = KVM_DEVICE;

	kvm->fd = open_device(path);
	if (kvm->fd < 0)
		return kvm->fd;

	r = kvm_ioctl_value(kvm->fd, KVM_GET_API_VERSION, 0);
	if (r < 0) {
		r = log_fail(-ENODEV, "kvm: %s: not a KVM device (%s); the usual path is %s", path,
			     strerror(-r), KVM_DEVICE);
		goto out_close;
	}
	if (r != API_VERSION) {
		r = log_fail(-EPROTO,
			     "kvm: %s: speaks API version %d and not %d; use a current kernel",
			     path, r, API_VERSION);
		goto out_close;
	}
	size = kvm_ioctl_value(kvm->fd, KVM_GET_VCPU_MMAP_SIZE, 0);
	if (size < (int)sizeof(struct kvm_run)) {
		r = log_fail(-EPROTO,
			     "kvm: %s: KVM_GET_VCPU_MMAP_SIZE: %d is too small; use a current "
			     "kernel",
			     path, size);
		goto out_close;
	}
	kvm->run_size = (size_t)size;
	return 0;

out_close:
	kvm_close(kvm);
	return r;
}

void kvm_close(struct kvm *kvm)
{
	kvm_destroy_vm(kvm);
	if (kvm->fd >= 0)
		close(kvm->fd);
	kvm->fd = -1;
}

int kvm_has(const struct kvm *kvm, int cap)
{
	int fd = kvm->vm_fd >= 0 ? kvm->vm_fd : kvm->fd;
	int r = kvm_ioctl_value(fd, KVM_CHECK_EXTENSION, (unsigned long)cap);

	return r < 0 ? 0 : r;
}

int kvm_require(const struct kvm *kvm, const struct kvm_cap *table)
{
	char names[512] = "";
	size_t used = 0;

	for (; table->name; table++) {
		if (!table->needed || kvm_has(kvm, table->cap))
			continue;
		if (used < sizeof(names))
			used += (size_t)snprintf(names + used, sizeof(names) - used, " %s",
						 table->name);
	}
	if (!used)
		return 0;
	return log_fail(-EOPNOTSUPP,
			"kvm: this kernel's KVM lacks what a guest needs:%s; use a newer "
			"kernel, and `skiff check` for the whole picture",
			names);
}

int kvm_create_vm(struct kvm *kvm, unsigned long type)
{
	int fd = kvm_ioctl_value(kvm->fd, KVM_CREATE_VM, type);

	if (fd == -ENOMEM)
		return log_fail(
			fd, "kvm: a machine cannot be made: the host has no memory left for it");
	if (fd == -EBUSY || fd == -EOPNOTSUPP)
		return log_fail(
			fd,
			"kvm: a machine cannot be made: %s: another hypervisor may hold the "
			"processor's virtualisation; stop it and try again",
			strerror(-fd));
	if (fd < 0)
		return log_fail(
			fd,
			"kvm: a machine cannot be made: KVM_CREATE_VM: %s; see `skiff check` "
			"and the kernel's log",
			strerror(-fd));
	kvm->vm_fd = fd;
	return 0;
}

void kvm_destroy_vm(struct kvm *kvm)
{
	if (kvm->vm_fd >= 0)
		close(kvm->vm_fd);
	kvm->vm_fd = -1;
}

int kvm_set_memory(const struct kvm *kvm, const struct mem *mem)
{
	unsigned i;
	int r;

	for (i = 0; i < mem->count; i++) {
		const struct mem_region *m = &mem->region[i];
		struct kvm_userspace_memory_region slot = {
			.slot = i,
			.guest_phys_addr = m->base,
			.memory_size = m->len,
			.userspace_addr = (uintptr_t)m->host,
		};

		r = kvm_ioctl(kvm->vm_fd, KVM_SET_USER_MEMORY_REGION, &slot);
		if (r < 0)
			return log_fail(
				r,
				"kvm: guest memory at %#llx, %llu MiB: KVM refuses it: %s; ask for "
				"less memory",
				(unsigned long long)m->base, (unsigned long long)m->len >> 20,
				strerror(-r));
	}
	return 0;
}
