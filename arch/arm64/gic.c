/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The in-kernel interrupt controllers. Main thread. Facts are those of Linux's
 * Documentation/virt/kvm/devices/arm-vgic*.rst. Descriptors of KVM's devices are closed when all is
 * set up: the devices live as long as the VM.
 */
#include <errno.h>
#include <linux/kvm.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>

#include "arch/arm64/gic.h"
#include "arch/arm64/layout.h"
#include "vmm/kvm.h"
#include "vmm/log.h"

/* The descriptor of a new device of KVM's, or -errno: -ENODEV if this host has no such thing. */
static int create(int vm_fd, uint32_t type)
{
	struct kvm_create_device device = {.type = type};
	int r = kvm_ioctl(vm_fd, KVM_CREATE_DEVICE, &device);

	return r < 0 ? r : (int)device.fd;
}

static int set(int fd, uint32_t group, uint64_t attr, const void *value)
{
	struct kvm_device_attr a = {
		.group = group,
		.attr = attr,
		.addr = (uintptr_t)value,
	};

	return kvm_ioctl(fd, KVM_SET_DEVICE_ATTR, &a);
}

static int set_address(int fd, uint64_t attr, uint64_t address)
{
	return set(fd, KVM_DEV_ARM_VGIC_GRP_ADDR, attr, &address);
}

/* Tells the GIC its two frames and how many interrupts it has, and lets it begin. */
static int set_up(int fd, uint64_t frame_attr, uint64_t frame)
{
	const uint32_t intids = LAYOUT_INTIDS;
	uint64_t dist_attr = frame_attr == KVM_VGIC_V2_ADDR_TYPE_CPU ? KVM_VGIC_V2_ADDR_TYPE_DIST
								     : KVM_VGIC_V3_ADDR_TYPE_DIST;
	int r = set_address(fd, dist_attr, LAYOUT_GICD);

	if (r == 0)
		r = set_address(fd, frame_attr, frame);
	if (r == 0)
		r = set(fd, KVM_DEV_ARM_VGIC_GRP_NR_IRQS, 0, &intids);
	if (r == 0)
		r = set(fd, KVM_DEV_ARM_VGIC_GRP_CTRL, KVM_DEV_ARM_VGIC_CTRL_INIT, NULL);
	close(fd);
	return r;
}

static int create_its(int vm_fd)
{
	int fd = create(vm_fd, KVM_DEV_TYPE_ARM_VGIC_ITS);
	int r;

	if (fd < 0)
		return fd;
	r = set_address(fd, KVM_VGIC_ITS_ADDR_TYPE, LAYOUT_ITS);
	if (r == 0)
		r = set(fd, KVM_DEV_ARM_VGIC_GRP_CTRL, KVM_DEV_ARM_VGIC_CTRL_INIT, NULL);
	close(fd);
	return r;
}

static int create_v2(int vm_fd)
{
	int fd = create(vm_fd, KVM_DEV_TYPE_ARM_VGIC_V2);
	int r = fd < 0 ? fd : set_up(fd, KVM_VGIC_V2_ADDR_TYPE_CPU, LAYOUT_GICC);

	if (r < 0)
		return log_fail(r, "kvm: cannot create a GICv2: %s", strerror(-r));
	return 2;
}

int gic_create(int vm_fd)
{
	int fd = create(vm_fd, KVM_DEV_TYPE_ARM_VGIC_V3);
	int r;

	if (fd == -ENODEV)
		return create_v2(vm_fd);
	r = fd < 0 ? fd : set_up(fd, KVM_VGIC_V3_ADDR_TYPE_REDIST, LAYOUT_GICR);
	if (r < 0)
		return log_fail(r, "kvm: cannot create a GICv3: %s", strerror(-r));
	r = create_its(vm_fd);
	if (r < 0)
		return log_fail(r, "kvm: cannot create an ITS for the GICv3: %s", strerror(-r));
	return 3;
}
