/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where blocks are.  What the index does not know may have been stored by
 * another host meanwhile, or lie in a pack that no segment lists any more: so
 * we look again, but not for each block.
 */
#include <time.h>

#include "base/err.h"
#include "base/hex.h"
#include "base/log.h"
#include "repo/reader_internal.h"
#include "repo/repo_internal.h"

#define RESYNC_SECONDS	5	/* between looks for new segments on a miss */
#define COMPARE_SECONDS	60	/* between looks which packs are there */

/* 1 when *last is so many seconds ago, which is then now.  Under look_lock. */
static int
is_due(time_t *last, time_t seconds)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	if (*last != 0 && now.tv_sec - *last < seconds)
		return 0;
	*last = now.tv_sec;
	return 1;
}

int
packs_compare(struct reader *rd, enum pack_kind kind)
{
	int ret = 0;

	pthread_mutex_lock(&rd->look_lock);
	if (is_due(&rd->compared[kind], COMPARE_SECONDS))
		ret = repo_packs_compare(rd->repo, kind, NULL);
	pthread_mutex_unlock(&rd->look_lock);
	return ret < 0 ? ret : 0;
}

/* The same for segments that are new. */
static int
segments_look(struct reader *rd, enum pack_kind kind)
{
	int ret = 0;

	pthread_mutex_lock(&rd->look_lock);
	if (is_due(&rd->synced[kind], RESYNC_SECONDS) ||
	    repo_sync_due(rd->repo, kind))
		ret = repo_sync(rd->repo, kind, NULL);
	pthread_mutex_unlock(&rd->look_lock);
	return ret;
}

/* A block that no segment lists, as far as we looked: 1 found, 0, -errno. */
static int
block_find_again(struct reader *rd, enum pack_kind kind,
    const uint8_t id[BLOCK_ID_SIZE], struct index_place *at)
{
	struct index *ix = repo_index(rd->repo);
	size_t absent;
	int ret;

	ret = segments_look(rd, kind);
	if (ret == 0)
		ret = index_find(ix, kind, id, at);
	if (ret == 0)
		ret = index_absent_count(ix, kind, &absent);
	if (ret == 0 && absent > 0) {
		ret = packs_compare(rd, kind);
		if (ret == 0)
			ret = index_find(ix, kind, id, at);
		if (ret == 0) {
			ret = repo_salvage_find(rd->repo, kind, id, at);
			if (ret == 1)
				atomic_fetch_add(&rd->salvaged, 1);
		}
	}
	/* A segment may be gone altogether, and its packs still there. */
	if (ret == 0) {
		ret = repo_adopt_once(rd->repo, kind);
		if (ret >= 0)
			ret = index_find(ix, kind, id, at);
	}
	return ret;
}

int
block_find(struct reader *rd, enum block_type type,
    const uint8_t id[BLOCK_ID_SIZE], struct index_place *at)
{
	enum pack_kind kind = block_pack_kind(type);
	char hex[2 * BLOCK_ID_SIZE + 1];
	int ret;

	ret = repo_sync_once(rd->repo, kind);
	if (ret == 0)
		ret = index_find(repo_index(rd->repo), kind, id, at);
	if (ret == 0)
		ret = block_find_again(rd, kind, id, at);
	if (ret == 0) {
		hex_encode(id, BLOCK_ID_SIZE, hex);
		ret = log_err(-FIRN_EMISSING,
		    "no pack that is there has the %s block %.16s",
		    pack_kind_name(kind), hex);
	}
	return ret < 0 ? ret : 0;
}
