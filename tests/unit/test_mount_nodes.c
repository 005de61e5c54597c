/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a mount calls things by: directory records, the virtual part, inode
 * numbers, options, the ring of errors.  No kernel and no store.
 */
#include <getopt.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/err.h"
#include "base/log.h"
#include "fs/errors.h"
#include "fs/ino.h"
#include "fs/node.h"
#include "fs/options.h"
#include "fs/vtree.h"

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

static void
record_make(struct dirs *d, uint64_t node, struct dir_rec *rec)
{
	memset(rec, 0, sizeof(*rec));
	rec->node = node;
	assert_int_equal(dirs_make(d, rec), 0);
}

static size_t
records(struct dirs *d)
{
	uint64_t made;
	size_t n;

	dirs_stats(d, &n, &made);
	return n;
}

static void
test_node_ids(void **state)
{
	uint64_t node = node_make(7, 0);

	(void)state;
	assert_int_equal(node_dir(node), 7);
	assert_int_equal(node_ordinal(node), 0);
	node = node_make(NODE_DIR_MAX, UINT32_MAX - 1);
	assert_int_equal(node_dir(node), NODE_DIR_MAX);
	assert_int_equal(node_ordinal(node), UINT32_MAX - 1);
	assert_true((int64_t)node > 0);
}

static void
test_records_live_while_counted(void **state)
{
	struct dir_rec root, sub, again;
	struct dirs *d;

	(void)state;
	assert_int_equal(dirs_new(&d), 0);
	record_make(d, 100, &root);
	record_make(d, node_make(root.number, 3), &sub);
	assert_int_not_equal(root.number, sub.number);
	dirs_drop(d, root.number, 1);	/* its child still holds it */
	assert_int_equal(dirs_get(d, root.number, &again), 1);
	assert_int_equal(again.node, 100);
	dirs_count(d, sub.number, 5);
	dirs_drop(d, sub.number, 1);
	assert_int_equal(records(d), 2);
	dirs_drop(d, sub.number, 5);	/* the kernel forgot them all */
	assert_int_equal(records(d), 0);
	assert_int_equal(dirs_get(d, root.number, &again), 0);
	dirs_drop(d, sub.number, 9);	/* more than it was told: harmless */
	/* Known again: under another number. */
	record_make(d, 100, &again);
	assert_int_not_equal(again.number, root.number);
	dirs_free(d);
}

static void
test_record_is_shared(void **state)
{
	struct dir_rec one, two, held;
	struct dirs *d;

	(void)state;
	assert_int_equal(dirs_new(&d), 0);
	assert_int_equal(dirs_hold(d, 100, &held), 0);
	record_make(d, 100, &one);
	record_make(d, 100, &two);
	assert_int_equal(one.number, two.number);
	assert_int_equal(dirs_hold(d, 100, &held), 1);
	assert_int_equal(held.number, one.number);
	dirs_drop(d, one.number, 2);
	assert_int_equal(records(d), 1);
	dirs_drop(d, one.number, 1);
	assert_int_equal(records(d), 0);
	/* Its parent is gone. */
	memset(&one, 0, sizeof(one));
	one.node = node_make(12345, 0);
	assert_int_equal(dirs_make(d, &one), -ESTALE);
	dirs_free(d);
}

static void
test_numbers_start_again(void **state)
{
	struct dir_rec first, last, next;
	struct dirs *d;

	(void)state;
	assert_int_equal(dirs_new(&d), 0);
	record_make(d, 100, &first);
	assert_int_equal(first.number, 1);
	dirs_set_next(d, NODE_DIR_MAX);
	record_make(d, 101, &last);
	assert_int_equal(last.number, NODE_DIR_MAX);
	assert_int_equal(last.epoch, first.epoch);
	record_make(d, 102, &next);	/* 1 is taken */
	assert_int_equal(next.number, 2);
	assert_int_not_equal(next.epoch, first.epoch);
	dirs_free(d);
}

static void
test_many_records(void **state)
{
	struct dir_rec rec;
	struct dirs *d;
	uint32_t i;

	(void)state;
	assert_int_equal(dirs_new(&d), 0);
	for (i = 1; i <= 5000; i++)
		record_make(d, i, &rec);
	assert_int_equal(records(d), 5000);
	for (i = 1; i <= 5000; i++) {
		assert_int_equal(dirs_get(d, i, &rec), 1);
		assert_int_equal(rec.node, i);
		dirs_drop(d, i, 1);
	}
	assert_int_equal(records(d), 0);
	dirs_free(d);
}

/* SipHash-2-4 of the reference's key and the bytes 0 to 7, from the paper's
 * reference implementation. */
static void
test_ino_is_siphash(void **state)
{
	uint8_t key[16];
	struct ino_key k;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(key); i++)
		key[i] = (uint8_t)i;
	ino_key_init(&k, key, key + 8);
	assert_true(ino_placed(&k, 0x0706050403020100u, 3) ==
	    (0x93f5f5799a932462u >> 1) + 3);
}

static void
test_ino(void **state)
{
	static const uint8_t id[8] = { 1 }, other[8] = { 2 }, root[8] = { 3 };
	struct ino_key a, b;

	(void)state;
	ino_key_init(&a, id, root);
	ino_key_init(&b, other, root);
	assert_true(ino_placed(&a, 5, 1) == ino_placed(&a, 5, 1));
	assert_true(ino_placed(&a, 5, 1) != ino_placed(&a, 6, 1));
	assert_true(ino_placed(&a, 5, 1) + 1 == ino_placed(&a, 5, 2));
	assert_true(ino_placed(&a, 5, 1) != ino_placed(&b, 5, 1));
	assert_true(ino_linked(&a, 1, 2) == ino_linked(&a, 1, 2));
	assert_true(ino_linked(&a, 1, 2) != ino_linked(&a, 2, 2));
	assert_true(ino_linked(&a, 1, 2) != ino_linked(&b, 1, 2));
	assert_true(ino_linked(&a, 1, 2) > UINT32_MAX);
}

static void
generation_set(struct generation *g, const char *host, const char *series,
    time_t end, uint8_t id)
{
	memset(g, 0, sizeof(*g));
	genrec_init(&g->rec);
	g->rec.host = strdup(host);
	g->rec.series = strdup(series);
	g->rec.end.tv_sec = end;
	g->rec.root[0] = id;
	g->id[0] = id;
}

static void
list_release(struct generation *v, size_t n)
{
	size_t i;

	for (i = 0; i < n; i++)
		genrec_release(&v[i].rec);
}

/* Walk from the root; fails the test when a part is missing. */
static struct vnode_info
walk(struct vtree *v, const char *path)
{
	struct vnode_info info = { .number = VTREE_ROOT };
	size_t len;

	while (*path != '\0') {
		len = strcspn(path, "/");
		if (!vtree_find(v, info.number, path, len, &info))
			fail_msg("no '%s'", path);
		path += len + (path[len] == '/');
	}
	return info;
}

static int
is_there(struct vtree *v, uint32_t dir, const char *name)
{
	struct vnode_info info;

	return vtree_find(v, dir, name, strlen(name), &info);
}

static void
assert_target(struct vtree *v, const char *path, const char *target)
{
	struct buf b = BUF_INIT(4096);

	assert_int_equal(vtree_target(v, walk(v, path).number, &b), 0);
	assert_string_equal((char *)b.data, target);
	buf_release(&b);
}

static void
test_vtree_shows(void **state)
{
	struct generation g[3];
	struct generation_list list = { .v = g, .n = COUNT(g) };
	struct buf path = BUF_INIT(4096);
	struct vtree *v;

	(void)state;
	generation_set(&g[0], "web", "etc", 1000, 0xa0);
	generation_set(&g[1], "web", "etc", 1000, 0xb0);
	generation_set(&g[2], "db", "pg", 2000, 0xc0);
	assert_int_equal(genrec_add_tag(&g[0].rec, "keep"), 0);
	assert_int_equal(genrec_add_tag(&g[0].rec, "keep"), 0);
	assert_int_equal(vtree_new(&v), 0);
	assert_int_equal(is_there(v, VTREE_ROOT, "latest"), 0);
	assert_int_equal(vtree_update(v, &list), 0);
	assert_target(v, "latest", "hosts/db/pg/1970-01-01T003320Z");
	assert_target(v, "hosts/db/pg/latest", "1970-01-01T003320Z");
	/* Two of one second. */
	assert_int_equal(walk(v, "hosts/web/etc/1970-01-01T001640Z").gen->
	    id[0], 0xa0);
	assert_int_equal(walk(v, "hosts/web/etc/1970-01-01T001640Z-"
	    "b000000000000000").gen->id[0], 0xb0);
	assert_target(v, "hosts/web/etc/latest",
	    "1970-01-01T001640Z-b000000000000000");
	assert_target(v, "ids/a000000000000000",
	    "../hosts/web/etc/1970-01-01T001640Z");
	assert_target(v, "tags/keep/1970-01-01T001640Z",
	    "../../hosts/web/etc/1970-01-01T001640Z");
	assert_target(v, "tags/keep/latest", "1970-01-01T001640Z");
	assert_int_equal(walk(v, "hosts").subdirs, 2);
	assert_int_equal(walk(v, ".firn/errors").text, VTEXT_ERRORS);
	assert_int_equal(vtree_path(v, walk(v,
	    "hosts/db/pg/1970-01-01T003320Z").number, &path), 0);
	assert_string_equal(buf_cstr(&path), "/hosts/db/pg/1970-01-01T003320Z");
	buf_release(&path);
	vtree_free(v);
	list_release(g, COUNT(g));
}

static void
test_vtree_changes(void **state)
{
	struct generation g[2];
	struct generation_list list = { .v = g, .n = 1 };
	struct vnode_info first, link, dir, now;
	struct vtree *v;

	(void)state;
	generation_set(&g[0], "web", "etc", 1000, 0xa0);
	generation_set(&g[1], "web", "etc", 2000, 0xb0);
	assert_int_equal(vtree_new(&v), 0);
	assert_int_equal(vtree_update(v, &list), 0);
	first = walk(v, "hosts/web/etc/1970-01-01T001640Z");
	link = walk(v, "latest");
	dir = walk(v, "hosts/web/etc");
	/* The same again changes nothing. */
	assert_int_equal(vtree_update(v, &list), 0);
	now = walk(v, "hosts/web/etc");
	assert_int_equal(now.number, dir.number);
	assert_int_equal(now.mtime.tv_nsec, dir.mtime.tv_nsec);
	/* A new one. */
	list.n = 2;
	assert_int_equal(vtree_update(v, &list), 0);
	assert_int_equal(walk(v, "hosts/web/etc/1970-01-01T001640Z").number,
	    first.number);
	assert_int_not_equal(walk(v, "latest").number, link.number);
	now = walk(v, "hosts/web/etc");
	assert_int_equal(now.number, dir.number);
	assert_true(now.mtime.tv_sec != dir.mtime.tv_sec ||
	    now.mtime.tv_nsec != dir.mtime.tv_nsec);
	/* The old one is forgotten, but answers who is in it. */
	list.v = &g[1];
	list.n = 1;
	assert_int_equal(vtree_update(v, &list), 0);
	assert_int_equal(is_there(v, dir.number, "1970-01-01T001640Z"), 0);
	assert_int_equal(vtree_info(v, first.number, &now), 1);
	assert_int_equal(now.gen->id[0], 0xa0);
	/* All are; then they come back. */
	list.n = 0;
	assert_int_equal(vtree_update(v, &list), 0);
	assert_int_equal(is_there(v, VTREE_ROOT, "latest"), 0);
	list.v = g;
	list.n = 1;
	assert_int_equal(vtree_update(v, &list), 0);
	assert_int_equal(walk(v, "hosts/web/etc/1970-01-01T001640Z").number,
	    first.number);
	assert_int_equal(walk(v, "latest").number, link.number);
	vtree_free(v);
	list_release(g, COUNT(g));
}

/* While somebody lists, the list changes: what stays is seen, and once. */
static void
test_vtree_listing(void **state)
{
	struct generation g[40];
	struct generation_list list = { .v = g, .n = COUNT(g) };
	struct vnode_info info;
	char name[256];
	uint32_t dir, after = 0;
	size_t i, seen = 0;
	struct vtree *v;

	(void)state;
	for (i = 0; i < COUNT(g); i++)
		generation_set(&g[i], "h", "s", 1000 + (time_t)i,
		    (uint8_t)(i + 1));
	assert_int_equal(vtree_new(&v), 0);
	list.n = 20;
	assert_int_equal(vtree_update(v, &list), 0);
	dir = walk(v, "hosts/h/s").number;
	for (i = 0; i < 10; i++) {
		assert_int_equal(vtree_next(v, dir, after, name, &info), 1);
		seen += info.kind == VNODE_GEN;
		after = info.number;
	}
	list.n = 40;
	assert_int_equal(vtree_update(v, &list), 0);
	while (vtree_next(v, dir, after, name, &info)) {
		assert_true(info.number > after);
		seen += info.kind == VNODE_GEN;
		after = info.number;
	}
	assert_int_equal(seen, 40);
	vtree_free(v);
	list_release(g, COUNT(g));
}

static int
parse(struct options *o, const char *list)
{
	static char program[] = "firnfs", flag[] = "-o", repo[] = "repo",
	    dir[] = "dir";	/* options point there */
	char *copy = strdup(list);
	char *argv[] = { program, repo, dir, flag, copy, NULL };
	int err;

	optind = 0;
	err = options_parse(o, 5, argv);
	free(copy);
	return err;
}

static void
test_options(void **state)
{
	static const char *const bad[] = { "bogus", "bogus=1", "refresh=x",
	    "refresh=-1", "refresh=", "memory=1", "memory=5Q",
	    "cache-size=99999999999T", "cache-size=1M", "no-cache=1",
	    "password-file", "password-file=a,password-command=b", "cold=",
	    "cold=often", "thaw-tier=slow", "thaw-days=0", "thaw-days=99999",
	    "thaw-budget=-1", "thaw-budget=1.", "thaw-poll=0" };
	struct options o;
	size_t i;

	(void)state;
	assert_int_equal(parse(&o, "rw,dev,suid,nosuid,user=joe,x-foo=1,"
	    "_netdev,refresh=7,memory=32m,cache-size=2G,region=a\\,b,"
	    "context=x\\,y"), 0);
	assert_string_equal(o.repo, "repo");
	assert_string_equal(o.dir, "dir");
	assert_int_equal(o.refresh, 7);
	assert_int_equal(o.memory, 32 << 20);
	assert_true(o.cache_size == 2ull << 30);
	assert_string_equal(o.region, "a,b");
	assert_string_equal(buf_cstr(&o.pass), "nosuid,context=x\\,y");
	assert_int_equal(o.cold, COLD_FAIL);
	assert_int_equal(o.thaw_tier, STORE_THAW_STANDARD);
	assert_true(o.thaw_budget == UINT64_MAX);
	options_release(&o);
	assert_int_equal(parse(&o, "cold=wait,thaw-tier=bulk,thaw-days=3,"
	    "thaw-budget=2.5,thaw-poll=9"), 0);
	assert_int_equal(o.cold, COLD_WAIT);
	assert_int_equal(o.thaw_tier, STORE_THAW_BULK);
	assert_int_equal(o.thaw_days, 3);
	assert_int_equal(o.thaw_poll, 9);
	assert_true(o.thaw_budget == 2500000000u);
	options_release(&o);
	for (i = 0; i < COUNT(bad); i++) {
		if (parse(&o, bad[i]) != -EINVAL)
			fail_msg("'%s' was taken", bad[i]);
		options_release(&o);
	}
}

static void
test_errors(void **state)
{
	struct buf b = BUF_INIT(1u << 20);
	struct errors *e;
	char line[32];
	int i;

	(void)state;
	assert_int_equal(errors_new(&e), 0);
	for (i = 0; i < 200; i++) {
		snprintf(line, sizeof(line), "line %d.", i);
		errors_note(e, line);
	}
	errors_note(e, "line 199.");
	assert_int_equal(errors_text(e, &b), 0);
	assert_non_null(buf_cstr(&b));
	assert_null(strstr((char *)b.data, "line 1."));
	assert_non_null(strstr((char *)b.data, "line 199. (2 times since"));
	assert_int_equal(errors_fresh(e, "a", 10), 1);
	assert_int_equal(errors_fresh(e, "a", 10), 0);
	assert_int_equal(errors_fresh(e, "b", 10), 1);
	buf_release(&b);
	errors_free(e);
	assert_int_equal(errors_errno(-FIRN_ECORRUPT), EIO);
	assert_int_equal(errors_errno(-FIRN_EMISSING), EIO);
	assert_int_equal(errors_errno(-ETIMEDOUT), EIO);
	assert_int_equal(errors_errno(-FIRN_ECOLD), EAGAIN);
	assert_int_equal(errors_errno(-ENXIO), ENXIO);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_node_ids),
		cmocka_unit_test(test_records_live_while_counted),
		cmocka_unit_test(test_record_is_shared),
		cmocka_unit_test(test_numbers_start_again),
		cmocka_unit_test(test_many_records),
		cmocka_unit_test(test_ino_is_siphash),
		cmocka_unit_test(test_ino),
		cmocka_unit_test(test_vtree_shows),
		cmocka_unit_test(test_vtree_changes),
		cmocka_unit_test(test_vtree_listing),
		cmocka_unit_test(test_options),
		cmocka_unit_test(test_errors),
	};

	log_init("test_mount_nodes", LOG_LEVEL_ERR);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
