/* SPDX-License-Identifier: Apache-2.0 */
/* Contents of files: a cache of their maps. */
#include <string.h>

#include "base/err.h"
#include "fs/files.h"
#include "fs/resolve.h"
#include "repo/filemap.h"

/* What a map takes: itself, and with a list one page of it, decoded. */
#define MAP_SIZE	1024u
#define MAP_LIST_SIZE	(192u << 10)

/* No padding: it is compared as bytes. */
struct map_key {
	uint64_t node;
	uint64_t epoch;
};

static void
map_free(void *value)
{
	filemap_free(value);
}

int
files_new(size_t memory, struct lru **out)
{
	return lru_new(memory, sizeof(struct map_key), map_free, out);
}

static int
map_load(struct firnfs *fs, uint64_t node, struct filemap **out, size_t *size)
{
	struct tree_pos pos = TREE_POS_INIT;
	const struct entry *e;
	struct dir_rec dir;
	int err;

	err = resolve_entry(fs, node, &pos, &dir);
	if (err != 0)
		return err;
	e = tree_entry(&pos);
	if (S_ISREG(e->mode)) {
		*size = MAP_SIZE;
		if (e->flags & ENTRY_LIST)
			*size = MAP_LIST_SIZE;
		else if (e->flags & ENTRY_INLINE)
			*size += e->size;
		err = filemap_new(fs->reader, e, out);
	} else {
		err = S_ISDIR(e->mode) ? -EISDIR : -EINVAL;
	}
	tree_pos_release(fs->tree, &pos);
	return err;
}

/* Held until lru_release(). */
static int
map_get(struct firnfs *fs, uint64_t node, struct lru_node **out)
{
	struct map_key key;
	struct filemap *map;
	struct dir_rec dir;
	size_t size;
	int ret;

	if (!dirs_get(fs->dirs, node_dir(node), &dir))
		return -ESTALE;
	key.node = node;
	key.epoch = dir.epoch;
	ret = lru_acquire(fs->maps, &key, out);
	if (ret != 0)
		return ret < 0 ? ret : 0;
	ret = map_load(fs, node, &map, &size);
	if (ret == 0)
		lru_loaded(fs->maps, *out, map, size);
	else
		lru_failed(fs->maps, *out, ret);
	return ret;
}

int
files_read(struct firnfs *fs, uint64_t node, uint64_t off, void *buf,
    size_t len, size_t *got)
{
	struct lru_node *held;
	int err;

	err = map_get(fs, node, &held);
	if (err != 0)
		return err;
	if (!atomic_load(&fs->data_used))
		atomic_store(&fs->data_used, 1);
	err = filemap_read(lru_value(held), off, buf, len, got);
	lru_release(fs->maps, held);
	return err;
}

int
files_pieces(struct firnfs *fs, uint64_t node, uint64_t off, size_t len,
    struct files_pieces *out)
{
	int err;

	err = map_get(fs, node, &out->held);
	if (err != 0)
		return err;
	if (!atomic_load(&fs->data_used))
		atomic_store(&fs->data_used, 1);
	out->size = filemap_size(lru_value(out->held));
	err = filemap_pieces(lru_value(out->held), off, len, &out->p);
	if (err != 0)
		lru_release(fs->maps, out->held);
	return err;
}

void
files_pieces_put(struct firnfs *fs, struct files_pieces *p)
{
	filemap_pieces_put(lru_value(p->held), &p->p);
	lru_release(fs->maps, p->held);
}

int
files_seek(struct firnfs *fs, uint64_t node, uint64_t off, int hole,
    uint64_t *out)
{
	struct lru_node *held;
	int err;

	err = map_get(fs, node, &held);
	if (err != 0)
		return err;
	err = filemap_seek(lru_value(held), off, hole, out);
	lru_release(fs->maps, held);
	return err;
}

int
files_seek_text(struct firnfs *fs, uint32_t number, uint64_t off, int hole,
    uint64_t *out)
{
	struct vnode_info info;
	struct stat st;

	if (!vtree_info(fs->vtree, number, &info))
		return -ESTALE;
	if (info.kind != VNODE_TEXT)
		return -EINVAL;
	resolve_stat_virtual(fs, &info, &st);
	if (off >= (uint64_t)st.st_size)
		return -ENXIO;
	*out = hole ? (uint64_t)st.st_size : off;
	return 0;
}
