/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Tells kernels apart by the bytes they start with and hands each to the room that knows it; what
 * is not a kernel for this machine it names, so that a slip of the hand is understood at once. Runs
 * on the main thread before any vCPU does. Knows magic numbers only.
 */
#include "loader/load.h"

#include <errno.h>
#include <string.h>

#include "loader/arm64.h"
#include "loader/bzimage.h"
#include "loader/decompress.h"
#include "loader/elf.h"
#include "loader/file.h"
#include "vmm/log.h"

#define HEAD_LEN        4096

/* Kernels come in files of up to some hundred MiB; a disk that was named by mistake does not. */
#define KERNEL_FILE_MAX (1ULL << 30)

/* Files that people have at hand and give by mistake. The magic that others contain comes last. */
static const struct {
	unsigned off;
	const char *magic;
	unsigned len;
	const char *what;
} mistakes[] = {
	{0, "070701", 6, "an initrd (cpio archive); give it as the initrd"},
	{0, "070702", 6, "an initrd (cpio archive); give it as the initrd"},
	{0, "QFI\xfb", 4, "a qcow2 disk image; give it as a disk"},
	{0, "KDMV", 4, "a VMDK disk image; convert it and give it as a disk"},
	{0, "hsqs", 4, "a squashfs file system; give it as a disk"},
	{0, "#!", 2, "a script; give the kernel that it starts"},
	{0, "!<arch>\n", 8, "a Debian package or an archive; unpack it and give its vmlinuz"},
	{0, "\xed\xab\xee\xdb", 4, "an RPM package; unpack it and give its vmlinuz"},
	{0, "\x27\x05\x19\x56", 4, "a U-Boot uImage; give the kernel it was made from"},
	{0, "PK\3\4", 4, "a zip archive; unpack it"},
	{257, "ustar", 5, "a tar archive; unpack it"},
	{512, "EFI PART", 8, "a disk image; give it as a disk"},
	{1080, "\x53\xef", 2, "an ext4 file system; give it as a disk"},
	{510, "\x55\xaa", 2, "a disk image or boot sector; give it as a disk"},
	{0, "MZ", 2, "an EFI program; give the kernel that it starts"},
};

/* An ISO 9660 file system says so in its first volume descriptor (ECMA-119 §8.1). */
#define ISO_MAGIC_OFF 0x8001
#define ISO_MAGIC     "CD001"

static int not_a_kernel(const struct file *f, const uint8_t *head, size_t len)
{
	enum decompress_format packed = decompress_probe(head, len);
	char iso[sizeof(ISO_MAGIC) - 1];
	int r;

	if (packed != DECOMPRESS_UNKNOWN)
		return log_fail(
			-EINVAL,
			"kernel %s: is a file compressed with %s, maybe an initrd; give the "
			"bzImage (vmlinuz)",
			f->path, decompress_name(packed));
	if (f->size >= ISO_MAGIC_OFF + sizeof(iso)) {
		r = file_read(f, ISO_MAGIC_OFF, iso, sizeof(iso));
		if (r < 0)
			return r;
		if (memcmp(iso, ISO_MAGIC, sizeof(iso)) == 0)
			return log_fail(
				-EINVAL,
				"kernel %s: is an ISO image; give it as a disk, and a kernel "
				"from it",
				f->path);
	}
	for (size_t i = 0; i < sizeof(mistakes) / sizeof(mistakes[0]); i++)
		if (len >= mistakes[i].off + mistakes[i].len &&
		    memcmp(head + mistakes[i].off, mistakes[i].magic, mistakes[i].len) == 0)
			return log_fail(-EINVAL, "kernel %s: is %s", f->path, mistakes[i].what);
	return log_fail(-EINVAL,
			"kernel %s: is no kernel known here; give a bzImage, an ELF vmlinux with a "
			"PVH note, or an arm64 Image",
			f->path);
}

static int load_x86_64(const struct file *f, const uint8_t *head, size_t len,
		       const struct load_params *p, struct mem *mem, struct image *img)
{
	if (bzimage_probe(head, len))
		return bzimage_load(f, head, len, p, mem, img);
	if (len >= 4 && memcmp(head, "\177ELF", 4) == 0)
		return elf_load(f, head, len, mem, img);
	if (arm64_probe(head, len) || arm64_probe_zboot(head, len))
		return log_fail(-EINVAL,
				"kernel %s: is for arm64, but this machine is x86-64; give a "
				"kernel for x86-64",
				f->path);
	return not_a_kernel(f, head, len);
}

static int load_arm64(const struct file *f, const uint8_t *head, size_t len,
		      const struct load_params *p, struct mem *mem, struct image *img)
{
	if (bzimage_probe(head, len))
		return log_fail(-EINVAL,
				"kernel %s: is for x86, but this machine is arm64; give a kernel "
				"for arm64",
				f->path);
	if (len >= 4 && memcmp(head, "\177ELF", 4) == 0)
		return log_fail(-EINVAL,
				"kernel %s: is an ELF file; on arm64 give the Image (vmlinuz)",
				f->path);
	if (arm64_probe(head, len) || arm64_probe_zboot(head, len) ||
	    decompress_probe(head, len) != DECOMPRESS_UNKNOWN)
		return arm64_load(f, head, len, p, mem, img);
	return not_a_kernel(f, head, len);
}

int load_kernel(int fd, const struct load_params *p, struct mem *mem, struct image *img)
{
	uint8_t head[HEAD_LEN];
	struct file f;
	size_t len;
	int r;

	r = file_init(&f, fd, "kernel", p->path);
	if (r < 0)
		return r;
	len = f.size < sizeof(head) ? f.size : sizeof(head);
	r = file_read(&f, 0, head, len);
	if (r < 0)
		return r;
	if (f.size > KERNEL_FILE_MAX)
		return not_a_kernel(&f, head, len);
	if (p->arch == IMAGE_ARCH_ARM64)
		return load_arm64(&f, head, len, p, mem, img);
	return load_x86_64(&f, head, len, p, mem, img);
}
