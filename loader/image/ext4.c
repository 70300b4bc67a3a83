/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Files of an ext4 file system, by libext2fs over a reader. On the only thread of skiff-image,
 * behind its jail: the library is not trusted with what strangers made. What would let it take
 * memory without bounds is judged here before it is called.
 *
 * Of a file in extents whole runs are copied; others (ext2's block maps, inline data) go through
 * the library block by block.
 */
#include "loader/image/ext4.h"

#include <errno.h>
#include <ext2fs/ext2fs.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "loader/image/ext4_io.h"
#include "loader/le.h"

#define SUPER_AT        1024u
#define SUPER_LEN       1024u
#define DESCRIPTORS_MAX (16u << 20) /* bytes: a file system of 32 TiB */
#define LINKS_MAX       16u         /* followed for one path */
#define NAMES_MAX       4096u       /* of one directory */
#define PIECE           (1u << 20)

struct ext4 {
	struct reader *reader;
	uint64_t start, len;
	ext2_filsys fs;
	uint8_t *piece; /* PIECE bytes while a file is copied */
};

static int to_errno(const struct ext4 *fs, errcode_t e)
{
	if (e == 0)
		return 0;
	if (fs->reader->budget < READER_COST)
		return -EDQUOT;
	switch (e) {
	case EXT2_ET_FILE_NOT_FOUND:
		return -ENOENT;
	case EXT2_ET_NO_DIRECTORY:
		return -ENOTDIR;
	case EXT2_ET_SYMLINK_LOOP:
		return -ELOOP;
	case EXT2_ET_NO_MEMORY:
		return -ENOMEM;
	case EXT2_ET_UNSUPP_FEATURE:
	case EXT2_ET_RO_UNSUPP_FEATURE:
		return -ENOTSUP;
	default:
		return e > 0 && e < 4096 ? -(int)e : -EUCLEAN;
	}
}

/* Sizes that the library takes at their word when it allocates. */
static int judge_super(struct ext4 *fs)
{
	uint64_t blocks, block, groups, descriptor = 32;
	uint8_t s[SUPER_LEN];
	uint32_t per_group;
	int r;

	if (fs->len < SUPER_AT + SUPER_LEN)
		return -EUCLEAN;
	r = reader_read(fs->reader, fs->start + SUPER_AT, s, sizeof(s));
	if (r < 0)
		return r;
	if (le16_get(s + 56) != 0xef53 || le32_get(s + 24) > 6)
		return -EUCLEAN;
	block = 1024ull << le32_get(s + 24);
	blocks = le32_get(s + 4);
	if (le32_get(s + 96) & EXT4_FEATURE_INCOMPAT_64BIT) {
		blocks |= (uint64_t)le32_get(s + 0x150) << 32;
		descriptor = le16_get(s + 0xfe);
	}
	per_group = le32_get(s + 32);
	if (per_group < 256 || descriptor < 32 || descriptor > 1024)
		return -EUCLEAN;
	if (blocks == 0 || blocks > fs->len / block)
		return -ENODATA; /* the disk ends before it does */
	groups = (blocks + per_group - 1) / per_group;
	return groups * descriptor > DESCRIPTORS_MAX ? -EFBIG : 0;
}

int ext4_open(struct reader *r, uint64_t start, uint64_t len, struct ext4 **out)
{
	struct ext4 *fs = calloc(1, sizeof(*fs));
	char name[EXT4_IO_NAME];
	int res;

	if (!fs)
		return -ENOMEM;
	fs->reader = r;
	fs->start = start;
	fs->len = len;
	res = judge_super(fs);
	if (res == 0) {
		ext4_io_name(&(struct ext4_io){r, start, len}, name);
		res = to_errno(fs, ext2fs_open2(name, NULL, EXT2_FLAG_64BITS, 0, 0,
						&ext4_io_manager, &fs->fs));
	}
	if (res < 0) {
		fs->fs = NULL;
		ext4_close(fs);
		return res;
	}
	*out = fs;
	return 0;
}

void ext4_close(struct ext4 *fs)
{
	if (!fs)
		return;
	if (fs->fs)
		ext2fs_free(fs->fs);
	free(fs);
}

int ext4_needs_recovery(const struct ext4 *fs)
{
	return !!ext2fs_has_feature_journal_needs_recovery(fs->fs->super);
}

/* --- paths ----------------------------------------------------------------------------------- */

/* What is still to be walked; links put their targets in front of it. */
struct walk {
	char rest[2 * PATH_MAX];
	char done[256];
	ext2_ino_t dir;
	unsigned links;
};

static int read_link(struct ext4 *fs, ext2_ino_t ino, struct ext2_inode *inode, char *out,
		     size_t size)
{
	ext2_file_t file;
	unsigned got = 0;
	errcode_t e;

	if (inode->i_size == 0 || inode->i_size >= size)
		return -ENAMETOOLONG;
	if (ext2fs_is_fast_symlink(inode)) {
		if (inode->i_size >= sizeof(inode->i_block))
			return -EUCLEAN;
		memcpy(out, inode->i_block, inode->i_size);
		out[inode->i_size] = '\0';
		return 0;
	}
	e = ext2fs_file_open2(fs->fs, ino, inode, 0, &file);
	if (e)
		return to_errno(fs, e);
	e = ext2fs_file_read(file, out, inode->i_size, &got);
	ext2fs_file_close(file);
	out[got] = '\0';
	return to_errno(fs, e);
}

/* The walk goes on at the link's target. */
static int follow(struct ext4 *fs, struct walk *w, ext2_ino_t ino, struct ext2_inode *inode)
{
	char target[PATH_MAX], rest[sizeof(w->rest)];
	int r;

	if (++w->links > LINKS_MAX)
		return -ELOOP;
	r = read_link(fs, ino, inode, target, sizeof(target));
	if (r < 0)
		return r;
	r = snprintf(rest, sizeof(rest), "%s/%s", target, w->rest);
	if (r < 0 || (size_t)r >= sizeof(rest))
		return -ENAMETOOLONG;
	memcpy(w->rest, rest, (size_t)r + 1);
	if (target[0] == '/') {
		w->dir = EXT2_ROOT_INO;
		w->done[0] = '\0';
	}
	return 0;
}

static void note_step(struct walk *w, const char *name, size_t len)
{
	size_t n = strlen(w->done);
	char *slash;

	if (len == 2 && !memcmp(name, "..", 2)) {
		slash = strrchr(w->done, '/');
		if (slash)
			*slash = '\0';
		return;
	}
	snprintf(w->done + n, sizeof(w->done) - n, "/%.*s", (int)len, name);
}

/* Takes one name off the walk: 0 with *@ino and *@inode, or -errno. */
static int step(struct ext4 *fs, struct walk *w, ext2_ino_t *ino, struct ext2_inode *inode)
{
	size_t lead = strspn(w->rest, "/"), len = strcspn(w->rest + lead, "/");
	char name[EXT2_NAME_LEN + 1];
	errcode_t e;

	if (len > EXT2_NAME_LEN)
		return -ENAMETOOLONG;
	memcpy(name, w->rest + lead, len);
	name[len] = '\0';
	memmove(w->rest, w->rest + lead + len, strlen(w->rest + lead + len) + 1);
	*ino = w->dir;
	if (len == 0 || (len == 1 && name[0] == '.')) {
		e = ext2fs_read_inode(fs->fs, *ino, inode);
		if (e)
			return to_errno(fs, e);
		/* All others were found to be directories before; the root is what it is. */
		return LINUX_S_ISDIR(inode->i_mode) ? 0 : -EUCLEAN;
	}
	e = ext2fs_lookup(fs->fs, w->dir, name, (int)len, NULL, ino);
	if (!e)
		e = ext2fs_read_inode(fs->fs, *ino, inode);
	if (e)
		return to_errno(fs, e);
	if (LINUX_S_ISLNK(inode->i_mode))
		return follow(fs, w, *ino, inode);
	note_step(w, name, len);
	return 0;
}

static int walk(struct ext4 *fs, const char *path, struct walk *w, ext2_ino_t *ino,
		struct ext2_inode *inode)
{
	int r;

	if (strlen(path) >= PATH_MAX)
		return -ENAMETOOLONG;
	*w = (struct walk){.dir = EXT2_ROOT_INO};
	memcpy(w->rest, path, strlen(path) + 1);
	do {
		r = step(fs, w, ino, inode);
		if (r < 0)
			return r;
		if (LINUX_S_ISDIR(inode->i_mode))
			w->dir = *ino;
		else if (!LINUX_S_ISLNK(inode->i_mode) && w->rest[strspn(w->rest, "/")])
			return -ENOTDIR;
	} while (w->rest[strspn(w->rest, "/")] || LINUX_S_ISLNK(inode->i_mode));
	return 0;
}

int ext4_find(struct ext4 *fs, const char *path, struct ext4_file *file)
{
	struct ext2_inode inode;
	ext2_ino_t ino;
	struct walk w;
	int r = walk(fs, path, &w, &ino, &inode);

	if (r < 0)
		return r;
	if (LINUX_S_ISDIR(inode.i_mode))
		return -EISDIR;
	if (!LINUX_S_ISREG(inode.i_mode))
		return -EINVAL;
	*file = (struct ext4_file){.ino = ino, .size = EXT2_I_SIZE(&inode)};
	snprintf(file->path, sizeof(file->path), "%s", w.done);
	return 0;
}

/* --- contents -------------------------------------------------------------------------------- */

/* 0 with *@got, which is less than @want at the file's end alone. */
static int read_some(struct ext4 *fs, ext2_file_t file, void *to, size_t want, size_t *got)
{
	*got = 0;
	while (*got < want) {
		unsigned n = 0;
		errcode_t e =
			ext2fs_file_read(file, (char *)to + *got, (unsigned)(want - *got), &n);

		if (e)
			return to_errno(fs, e);
		if (n == 0)
			break;
		*got += n;
	}
	return 0;
}

char *ext4_read_text(struct ext4 *fs, const char *path, size_t max, int *err)
{
	struct ext4_file found;
	ext2_file_t file;
	char *text;
	size_t got;

	*err = ext4_find(fs, path, &found);
	if (*err < 0)
		return NULL;
	if (found.size > max) {
		*err = -EFBIG;
		return NULL;
	}
	text = malloc(found.size + 1);
	*err = text ? to_errno(fs, ext2fs_file_open(fs->fs, found.ino, 0, &file)) : -ENOMEM;
	if (*err == 0) {
		*err = read_some(fs, file, text, found.size, &got);
		ext2fs_file_close(file);
	}
	if (*err < 0) {
		free(text);
		return NULL;
	}
	text[got] = '\0';
	return text;
}

static int is_zero(const uint8_t *p, size_t len)
{
	return len == 0 || (p[0] == 0 && !memcmp(p, p + 1, len - 1));
}

static int write_piece(int fd, const uint8_t *p, size_t len, uint64_t at)
{
	if (is_zero(p, len))
		return 0;
	while (len > 0) {
		ssize_t n = pwrite(fd, p, len, (off_t)at);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n < 0 ? -errno : -EIO;
		p += n;
		at += (uint64_t)n;
		len -= (size_t)n;
	}
	return 0;
}

/* The bytes of one extent, as far as the file reaches. */
static int copy_extent(struct ext4 *fs, const struct ext4_file *file, const struct ext2fs_extent *e,
		       int fd, uint64_t at)
{
	uint64_t block = fs->fs->blocksize, off = e->e_lblk * block;
	uint64_t left = (uint64_t)e->e_len * block, from = e->e_pblk * block;
	int r = 0;

	if (e->e_flags & EXT2_EXTENT_FLAGS_UNINIT || off >= file->size)
		return 0;
	if (left > file->size - off)
		left = file->size - off;
	if (e->e_pblk > fs->len / block || left > fs->len - from)
		return -EUCLEAN;
	while (left > 0 && r == 0) {
		size_t n = left < PIECE ? (size_t)left : PIECE;

		r = reader_read(fs->reader, fs->start + from, fs->piece, n);
		if (r == 0)
			r = write_piece(fd, fs->piece, n, at + off);
		from += n;
		off += n;
		left -= n;
	}
	return r;
}

/*
 * The leaves in their order. One that does not lie behind the last is refused: else a few of them
 * could stand for any number of bytes.
 */
static int copy_extents(struct ext4 *fs, const struct ext4_file *file, int fd, uint64_t at)
{
	ext2_extent_handle_t handle;
	struct ext2fs_extent e;
	uint64_t next = 0;
	errcode_t err;
	int r = 0;

	err = ext2fs_extent_open(fs->fs, file->ino, &handle);
	if (err)
		return to_errno(fs, err);
	err = ext2fs_extent_get(handle, EXT2_EXTENT_ROOT, &e);
	while (!err && r == 0) {
		if (e.e_flags & EXT2_EXTENT_FLAGS_LEAF) {
			r = e.e_lblk < next ? -EUCLEAN : copy_extent(fs, file, &e, fd, at);
			next = e.e_lblk + e.e_len;
		}
		/* Nothing that is second-visited on the way up is looked at again. */
		do {
			err = ext2fs_extent_get(handle, EXT2_EXTENT_NEXT, &e);
		} while (!err && e.e_flags & EXT2_EXTENT_FLAGS_SECOND_VISIT);
	}
	ext2fs_extent_free(handle);
	if (r == 0 && err != EXT2_ET_EXTENT_NO_NEXT && err != EXT2_ET_NO_CURRENT_NODE)
		r = to_errno(fs, err);
	return r;
}

static int copy_blocks(struct ext4 *fs, const struct ext4_file *file, int fd, uint64_t at)
{
	uint64_t done = 0;
	ext2_file_t f;
	size_t got;
	int r = to_errno(fs, ext2fs_file_open(fs->fs, file->ino, 0, &f));

	if (r < 0)
		return r;
	while (done < file->size && r == 0) {
		uint64_t left = file->size - done;

		/* Of inline data the library would read more than the file has. */
		r = read_some(fs, f, fs->piece, left < PIECE ? (size_t)left : PIECE, &got);
		if (r == 0 && got == 0)
			r = -EUCLEAN;
		if (r == 0)
			r = write_piece(fd, fs->piece, got, at + done);
		done += got;
	}
	ext2fs_file_close(f);
	return r;
}

int ext4_copy(struct ext4 *fs, const struct ext4_file *file, int fd, uint64_t at)
{
	struct ext2_inode inode;
	int r = to_errno(fs, ext2fs_read_inode(fs->fs, file->ino, &inode));

	if (r < 0)
		return r;
	if (ftruncate(fd, (off_t)(at + file->size)))
		return -errno;
	fs->piece = malloc(PIECE);
	if (!fs->piece)
		return -ENOMEM;
	r = inode.i_flags & EXT4_EXTENTS_FL ? copy_extents(fs, file, fd, at)
					    : copy_blocks(fs, file, fd, at);
	free(fs->piece);
	fs->piece = NULL;
	return r;
}

/* --- directories ----------------------------------------------------------------------------- */

struct listing {
	int (*each)(void *arg, const char *name);
	void *arg;
	unsigned n;
};

static int list_entry(struct ext2_dir_entry *e, int offset, int block_size, char *buf, void *priv)
{
	struct listing *l = priv;
	char name[EXT2_NAME_LEN + 1];
	int len = ext2fs_dirent_name_len(e);

	(void)offset;
	(void)block_size;
	(void)buf;
	memcpy(name, e->name, (size_t)len);
	name[len] = '\0';
	if (!strcmp(name, ".") || !strcmp(name, ".."))
		return 0;
	return ++l->n > NAMES_MAX || l->each(l->arg, name) ? DIRENT_ABORT : 0;
}

int ext4_list(struct ext4 *fs, const char *path, int (*each)(void *arg, const char *name),
	      void *arg)
{
	struct listing l = {.each = each, .arg = arg};
	struct ext2_inode inode;
	ext2_ino_t ino;
	struct walk w;
	int r = walk(fs, path, &w, &ino, &inode);

	if (r < 0)
		return r;
	if (!LINUX_S_ISDIR(inode.i_mode))
		return -ENOTDIR;
	return to_errno(fs, ext2fs_dir_iterate(fs->fs, ino, 0, NULL, list_entry, &l));
}
