/* SPDX-License-Identifier: Apache-2.0 */
/* Objects of a repository that one host cannot read. */
#include "repo_test.h"

#include "repo/generation.h"
#include "store/store_fault.h"
#include "store/store_internal.h"

static void
block_add(struct fixture *f, uint64_t seed, uint8_t id[BLOCK_ID_SIZE])
{
	uint8_t data[1000];

	fill(data, sizeof(data), seed);
	assert_int_equal(sink_put(f, BLOCK_DATA, data, sizeof(data), id), 0);
	assert_int_equal(writer_flush(f->writer), 0);
}

/* As another host, whose store fails so. */
static void
reopen_faulty(struct fixture *f, const char *prefix, uint64_t nth, int every,
    int err)
{
	const struct store_fault_conf plan = { .kind = STORE_FAULT_FAIL,
	    .verbs = STORE_FAULT_VERB(STORE_GET), .nth = nth, .every = every,
	    .err = err, .prefix = prefix };

	reopen_fresh(f);
	assert_int_equal(store_fault_wrap(f->repo->store, &plan,
	    &f->repo->store), 0);
}

/* A bad sector below one segment costs nothing; a store that is gone, or gives
 * nothing to this host, is an error. */
static void
test_segment_unreadable(void **ctx)
{
	static const int one[] = { -EIO, -EACCES, -FIRN_ECOLD };
	static const int all[] = { -ETIMEDOUT, -ECONNREFUSED, -EIO, -EACCES };
	struct fixture *f = *ctx;
	uint8_t id[4][BLOCK_ID_SIZE];
	unsigned i, k, n;

	for (i = 0; i < 4; i++)
		block_add(f, i, id[i]);
	for (k = 0; k < 3; k++) {
		reopen_faulty(f, "index/data/", 1, 0, one[k]);
		assert_int_equal(repo_sync(f->repo, PACK_DATA, &n), 0);
		assert_int_equal(n, 1);
		for (i = 0; i < 4; i++)
			assert_int_equal(index_has(repo_index(f->repo),
			    PACK_DATA, id[i]), 1);
		/* Nor does it end following. */
		reopen_faulty(f, "index/data/", 1, 0, one[k]);
		assert_int_equal(repo_follow(f->repo, PACK_DATA), 0);
		for (i = 0, n = 0; i < 4; i++)
			n += (unsigned)index_has(repo_index(f->repo),
			    PACK_DATA, id[i]);
		assert_int_equal(n, 3);
	}
	for (k = 0; k < 4; k++) {
		reopen_faulty(f, "index/data/", 1, 1, all[k]);
		assert_int_equal(repo_sync(f->repo, PACK_DATA, NULL), all[k]);
	}
}

/* A store whose objects of the index go on behind where its list says that they
 * end. */
static int
longer_get(struct store *s, const char *name, uint64_t off, void *buf,
    size_t len, size_t *got)
{
	int err = store_get(s->below, name, off, buf, len, got);

	if (err == 0 && strncmp(name, "index/", 6) == 0) {
		memset((uint8_t *)buf + *got, 0, len - *got);
		*got = len;
	}
	return err;
}

static int
longer_list(struct store *s, const char *prefix, int with_state,
    int (*fn)(void *ctx, const char *name, const struct store_stat *st),
    void *ctx)
{
	(void)with_state;
	return store_list(s->below, prefix, fn, ctx);
}

static void
longer_close(struct store *s)
{
	store_close(s->below);
	store_release(s);
	free(s);
}

/* What is behind the end is not looked at, however much it is. */
static void
test_segment_longer(void **ctx)
{
	static const struct store_ops ops = { .close = longer_close,
	    .get = longer_get, .list = longer_list };
	struct fixture *f = *ctx;
	struct store *longer = calloc(1, sizeof(*longer));
	uint8_t id[3][BLOCK_ID_SIZE];
	unsigned i, n;

	for (i = 0; i < 3; i++)
		block_add(f, i, id[i]);
	reopen_fresh(f);
	assert_non_null(longer);
	assert_int_equal(store_init(longer, &ops, f->url), 0);
	longer->below = f->repo->store;
	f->repo->store = longer;
	assert_int_equal(repo_sync(f->repo, PACK_DATA, &n), 0);
	assert_int_equal(n, 0);
	for (i = 0; i < 3; i++)
		assert_int_equal(index_has(repo_index(f->repo), PACK_DATA,
		    id[i]), 1);
}

static void
test_record_unreadable(void **ctx)
{
	struct fixture *f = *ctx;
	struct generation_list list;
	struct generation g;
	struct genrec rec;
	unsigned i;

	genrec_init(&rec);
	rec.host = strdup("host");
	rec.series = strdup("s");
	rec.program = strdup("test");
	for (i = 1; i <= 4; i++) {
		rec.start.tv_sec = rec.end.tv_sec = i;
		assert_int_equal(generation_put(f->repo, &rec, &g), 0);
	}
	genrec_release(&rec);
	reopen_faulty(f, "gen/", 1, 0, -EIO);
	assert_int_equal(generation_list(f->repo, &list), 0);
	assert_int_equal(list.n, 3);
	assert_int_equal(list.nunread, 1);
	generation_list_release(&list);
	reopen_faulty(f, "gen/", 1, 1, -EACCES);
	assert_int_equal(generation_list(f->repo, &list), -EACCES);
	reopen_faulty(f, "gen/", 2, 1, -ETIMEDOUT);
	assert_int_equal(generation_list(f->repo, &list), -ETIMEDOUT);
}

/* Whoever names two, one of which cannot be read, gets neither. */
static void
test_find_ambiguous(void **ctx)
{
	struct generation g = { .id = { 0xab, 0xcd, 0x01 } };
	struct generation_unread u = { .id = { 0xab, 0xcd, 0x02 },
	    .end = { .tv_sec = 5 }, .err = -FIRN_ECORRUPT };
	struct generation_list list = { .v = &g, .n = 1, .unread = &u,
	    .nunread = 1, .damaged = 1 };
	const struct generation *found;

	(void)ctx;
	g.rec.end.tv_sec = 7;
	g.rec.host = g.rec.series = (char *)"x";
	assert_int_equal(generation_find(&list, "abcd", &found), -EEXIST);
	assert_int_equal(generation_find(&list, "abcd01", &found), 0);
	assert_ptr_equal(found, &g);
	assert_int_equal(generation_find(&list, "abcd02", &found),
	    -FIRN_ECORRUPT);
	assert_int_equal(generation_find(&list, "1970-01-01T000007Z", &found),
	    0);
	u.end.tv_sec = 7;
	assert_int_equal(generation_find(&list, "1970-01-01T000007Z", &found),
	    -EEXIST);
}

/* One key slot that cannot be read does not lock out the others. */
static void
test_slot_unreadable(void **ctx)
{
	static struct store_fault_conf plan = { .kind = STORE_FAULT_FAIL,
	    .verbs = STORE_FAULT_VERB(STORE_GET), .nth = 1, .err = -EIO,
	    .prefix = "keys/" };
	struct fixture *f = *ctx;
	struct keyslot_info info;
	struct store *inner;

	assert_int_equal(repo_key_add(f->repo, KEY_OWNER, "b", "secret", 6,
	    &info), 0);
	inner = f->repo->store;
	assert_int_equal(store_fault_wrap(inner, &plan, &f->repo->store), 0);
	assert_int_equal(repo_unlock(f->repo, &f->conf), 0);
	plan.every = 1;
	store_fault_set(f->repo->store, &plan);
	assert_int_equal(repo_unlock(f->repo, &f->conf), -EIO);
	plan.err = -ETIMEDOUT;
	store_fault_set(f->repo->store, &plan);
	assert_int_equal(repo_unlock(f->repo, &f->conf), -ETIMEDOUT);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_segment_unreadable),
		T(test_segment_longer),
		T(test_record_unreadable),
		cmocka_unit_test(test_find_ambiguous),
		T(test_slot_unreadable),
	};

	return cmocka_run_group_tests(tests, group_setup, NULL);
}
