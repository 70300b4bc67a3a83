/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef VMM_KVM_H
#define VMM_KVM_H

#include <stddef.h>
#include <stdint.h>

#include "vmm/mem.h"

/*
 * The host's KVM: its device, one virtual machine made from it, and the one way to call it.
 *
 *   kvm_open -> kvm_require -> kvm_create_vm -> kvm_set_memory -> (the architecture, vCPUs) ->
 * kvm_close
 *
 * Filled in at start-up by one thread and read-only from then on.
 */
#define KVM_DEVICE "/dev/kvm"

struct kvm {
	int fd;          /* the device */
	int vm_fd;       /* the machine; -1 before kvm_create_vm() */
	size_t run_size; /* bytes of each vCPU's shared struct kvm_run */
};

/*
 * What an architecture asks of KVM. A table ends with a name of NULL; @why says what the
 * capability is for, to stand behind "it is for".
 */
struct kvm_cap {
	int cap; /* KVM_CAP_... */
	uint8_t needed;
	const char *name; /* without KVM_CAP_ */
	const char *why;
};

/*
 * ioctl() with -errno for an answer. A call that a signal interrupted is made again, except
 * KVM_RUN, where -EINTR is how a vCPU is called away. kvm_ioctl() is for calls that take a
 * pointer, kvm_ioctl_value() for those that take a number.
 */
int kvm_ioctl(int fd, unsigned long request, void *arg);
int kvm_ioctl_value(int fd, unsigned long request, unsigned long arg);

/*
 * Opens @path (NULL means KVM_DEVICE) and sees that it speaks KVM API version 12. 0, or -errno
 * after one sentence that says what stands in the way and what to do about it; then nothing is
 * open. kvm_close() closes what is open, the machine included.
 */
int kvm_open(struct kvm *kvm, const char *path);
void kvm_close(struct kvm *kvm);

/*
 * KVM_CHECK_EXTENSION, asked of the machine where there is one, else of the device: 0 if the
 * capability is absent, else what it answers (usually 1, sometimes a number).
 */
int kvm_has(const struct kvm *kvm, int cap);

/* 0, or -EOPNOTSUPP after one sentence that names each needed capability of @table not there. */
int kvm_require(const struct kvm *kvm, const struct kvm_cap *table);

/*
 * Makes the machine; one at a time. @type is what KVM_CREATE_VM takes: 0 on x86, on arm64 the
 * width of a guest-physical address in bits. 0, or -errno after a sentence. kvm_destroy_vm() gives
 * it up, its vCPUs' descriptors having been closed, so that a reboot can make a new one.
 */
int kvm_create_vm(struct kvm *kvm, unsigned long type);
void kvm_destroy_vm(struct kvm *kvm);

/* Gives each region of @mem to the machine as the memory slot of its index. 0, or -errno after a
 * sentence. */
int kvm_set_memory(const struct kvm *kvm, const struct mem *mem);

#endif
