/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A bounded cache in memory with one load a key: who asks first loads, who
 * asks meanwhile waits for that load and shares its outcome.
 *
 * Values are opaque and counted by the size that their loader gives.  What is
 * held (acquired, not released) is never freed, so the bound is exceeded by at
 * most what callers hold.  Eviction is by least recent use.  Thread-safe; no
 * lock is held while a value is loaded or freed.
 */
#ifndef FIRN_BASE_LRU_H
#define FIRN_BASE_LRU_H

#include <stddef.h>
#include <stdint.h>

#define LRU_KEY_MAX 40

struct lru;
struct lru_node;

int lru_new(size_t limit, size_t keylen, void (*free_value)(void *value),
    struct lru **out);
/* Nothing may be held. */
void lru_free(struct lru *l);

/*
 * Hold the value of a key.  1: it is there.  0: the caller must load it and
 * then call lru_loaded() or lru_failed(), exactly once.  -errno: somebody
 * else's load failed just now, or -ENOMEM; nothing is held.
 */
int lru_acquire(struct lru *l, const void *key, struct lru_node **out);
/* As lru_acquire, but never waits and never asks to load: 1, or 0. */
int lru_peek(struct lru *l, const void *key, struct lru_node **out);
/* As lru_acquire, but never waits: 1, 0, or -EAGAIN while somebody loads. */
int lru_try(struct lru *l, const void *key, struct lru_node **out);
/* Is it there, or being loaded; not counted as a use. */
int lru_known(struct lru *l, const void *key);
void lru_loaded(struct lru *l, struct lru_node *n, void *value, size_t size);
void lru_failed(struct lru *l, struct lru_node *n, int err);
void lru_release(struct lru *l, struct lru_node *n);
/* Free the value that was not used for longest and is not held: 1, or 0 when
 * there is none. */
int lru_trim(struct lru *l);
/* Forget a key; who holds it keeps the value until release. */
void lru_drop(struct lru *l, const void *key);

void *lru_value(const struct lru_node *n);
size_t lru_used(struct lru *l);

#endif
