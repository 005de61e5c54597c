/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The block index used by threads and processes at once, and removed
 * meanwhile.
 */
#include "index_test.h"
#include "slow.h"

/* --- many at once ------------------------------------------------------- */

struct reader {
	struct index *ix;
	atomic_uint *loaded;
	atomic_int *stop;
	uint32_t each;
	uint64_t looked;
	int wrong;
};

static void *
read_all_the_time(void *arg)
{
	struct reader *r = arg;
	uint64_t n = (uintptr_t)arg;
	unsigned loaded;
	int ret;

	while (!atomic_load(r->stop)) {
		loaded = atomic_load(r->loaded);
		n = mix(n + 1);
		ret = look(r->ix, PACK_DATA, UNIFORM, loaded > 0 ?
		    n % ((uint64_t)loaded * r->each) : n | UINT64_C(1) << 60);
		r->wrong |= ret != (loaded > 0);
		r->wrong |= look(r->ix, PACK_DATA, UNIFORM,
		    n | UINT64_C(1) << 60) != 0;
		r->looked++;
	}
	return NULL;
}

static void
test_threads(void **state)
{
	enum { THREADS = 4, SEGMENTS = 24, EACH = ROUNDS(30000) };
	struct index *ix = reopen(NULL, *state);
	struct reader r[THREADS];
	pthread_t tid[THREADS];
	atomic_uint loaded = 0;
	atomic_int stop = 0;
	uint32_t i;

	for (i = 0; i < THREADS; i++) {
		r[i] = (struct reader){ ix, &loaded, &stop, EACH, 0, 0 };
		assert_int_equal(pthread_create(&tid[i], NULL,
		    read_all_the_time, &r[i]), 0);
	}
	for (i = 0; i < SEGMENTS; i++) {
		assert_int_equal(add(ix, PACK_DATA, UNIFORM, i,
		    (uint64_t)i * EACH, EACH), 0);
		atomic_store(&loaded, i + 1);
		assert_int_equal(index_state_put(ix, "n", &i, sizeof(i)), 0);
	}
	atomic_store(&stop, 1);
	for (i = 0; i < THREADS; i++) {
		pthread_join(tid[i], NULL);
		assert_int_equal(r[i].wrong, 0);
	}
	index_close(ix);
}

static void *
add_some(void *arg)
{
	struct reader *r = arg;
	unsigned i;

	for (i = 0; i < 6; i++) {
		r->wrong |= add(r->ix, PACK_DATA, UNIFORM,
		    r->looked * 100 + i, r->looked * 1000000 + i * 20000u,
		    20000);
	}
	return NULL;
}

/* Writers in threads and in another process at once, then all is there. */
static void
test_writers(void **state)
{
	struct reader r[2];
	pthread_t tid[2];
	struct index *ix;
	int status;
	pid_t pid;
	uint32_t i;

	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		r[0] = (struct reader){ .looked = 3 };
		if (index_open(((struct dir *)*state)->path, repo,
		    &r[0].ix) != 0)
			_exit(1);
		add_some(&r[0]);
		index_close(r[0].ix);
		_exit(r[0].wrong != 0);
	}
	ix = reopen(NULL, *state);
	for (i = 0; i < 2; i++) {
		r[i] = (struct reader){ .ix = ix, .looked = i + 1 };
		assert_int_equal(pthread_create(&tid[i], NULL, add_some,
		    &r[i]), 0);
	}
	for (i = 0; i < 2; i++) {
		pthread_join(tid[i], NULL);
		assert_int_equal(r[i].wrong, 0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	for (i = 1; i <= 3; i++)
		check_range(ix, UNIFORM, i * UINT64_C(1000000), 120000, 1, 1);
	assert_int_equal(stats(ix).segments, 18);
	index_close(ix);
}

static void
test_removed(void **state)
{
	struct index *ix = reopen(NULL, *state);
	struct index *other;
	uint32_t i;

	for (i = 0; i < 3; i++)
		assert_int_equal(add(ix, PACK_DATA, UNIFORM, i, i * 30000u,
		    30000), 0);
	remove_files(*state);
	for (; i < 9; i++)
		assert_int_equal(add(ix, PACK_DATA, UNIFORM, i, i * 30000u,
		    30000), 0);
	check_range(ix, UNIFORM, 0, 270000, 1, 1);
	other = reopen(NULL, *state);
	check_range(other, UNIFORM, 0, 1000, 1, 0);
	check_range(ix, UNIFORM, 0, 270000, 5, 1);
	index_close(ix);
	index_close(other);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_threads),
		T(test_writers),
		T(test_removed),
	};

	return cmocka_run_group_tests(tests, group_setup, NULL);
}
