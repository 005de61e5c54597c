/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Throughput of reads from a store, with 1 to 16 threads.
 *
 * usage: bench_store URL [KIB [GETS]]
 *
 * Puts 32 objects of KIB (1024) below URL, then reads them GETS (512) times in
 * all for each number of threads, and deletes them.  Keys and endpoint come
 * from AWS_*; tests/rgw.py starts a server.
 */
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/log.h"
#include "store/store.h"

#define OBJECTS	32

struct bench {
	struct store *s;
	size_t len;
	int gets;
	atomic_int next;
	atomic_int failed;
};

static double
seconds(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static const char *
object(int i, char name[32])
{
	snprintf(name, 32, "data/%02x", i % OBJECTS);
	return name;
}

static void *
reader(void *arg)
{
	struct bench *b = arg;
	char *buf = malloc(b->len), name[32];
	size_t got = 0;
	int i;

	while (buf != NULL && (i = atomic_fetch_add(&b->next, 1)) < b->gets)
		if (store_get(b->s, object(i, name), 0, buf, b->len, &got) !=
		    0 || got != b->len)
			atomic_store(&b->failed, 1);
	free(buf);
	return NULL;
}

static void
measure(struct bench *b, int threads)
{
	pthread_t t[16];
	double start = seconds(), took;
	int i;

	atomic_store(&b->next, 0);
	for (i = 0; i < threads; i++)
		pthread_create(&t[i], NULL, reader, b);
	for (i = 0; i < threads; i++)
		pthread_join(t[i], NULL);
	took = seconds() - start;
	printf("%2d threads  %8.1f MiB/s  %8.0f gets/s\n", threads,
	    (double)b->gets * (double)b->len / took / (1 << 20),
	    b->gets / took);
	fflush(stdout);
}

int
main(int argc, char **argv)
{
	struct bench b = { .len = 1u << 20, .gets = 512 };
	char name[32], *data;
	int i, threads;

	if (argc < 2) {
		fprintf(stderr, "usage: bench_store URL [KIB [GETS]]\n");
		return 2;
	}
	log_init("bench_store", LOG_LEVEL_INFO);
	if (argc > 2)
		b.len = strtoul(argv[2], NULL, 10) << 10;
	if (argc > 3)
		b.gets = atoi(argv[3]);
	data = malloc(b.len + 1);
	if (data == NULL || b.len == 0 ||
	    store_open(argv[1], NULL, 1, &b.s) != 0)
		return 1;
	memset(data, 'x', b.len);
	for (i = 0; i < OBJECTS; i++)
		if (store_put(b.s, object(i, name), data, b.len, NULL, 0) != 0)
			return 1;
	for (threads = 1; threads <= 16; threads *= 2)
		measure(&b, threads);
	for (i = 0; i < OBJECTS; i++)
		store_del(b.s, object(i, name));
	store_close(b.s);
	free(data);
	return atomic_load(&b.failed);
}
