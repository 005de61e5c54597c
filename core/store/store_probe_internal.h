/* SPDX-License-Identifier: Apache-2.0 */
/* What examining a store takes, whatever it is. */
#ifndef FIRN_STORE_STORE_PROBE_INTERNAL_H
#define FIRN_STORE_STORE_PROBE_INTERNAL_H

#include "store/store_internal.h"

#define PROBE_BYTES	(4u << 20)	/* put and got for the throughput */

struct probe {
	const struct store_probe_conf *conf;
	int readable;		/* out: see store_probe() */
};

/* One finding; its text from fmt.  grant and without may be NULL. */
void probe_found(struct probe *p, const char *check, enum store_grade grade,
    const char *grant, const char *without, const char *fmt, ...)
    __attribute__((format(printf, 6, 7)));

/* Runs `once` some times; the median as a finding `check`, in milliseconds.
 * A failure of `once` ends it and is returned. */
int probe_latency(struct probe *p, const char *check, const char *what,
    int (*once)(void *ctx), void *ctx);

/* Runs `once`, which moves PROBE_BYTES; a finding in MiB/s. */
int probe_throughput(struct probe *p, const char *check,
    int (*once)(void *ctx), void *ctx);

/* PROBE_BYTES that do not compress, or NULL. */
uint8_t *probe_bytes(void);

#endif
