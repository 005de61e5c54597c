/* SPDX-License-Identifier: Apache-2.0 */
/*
 * s3_probe.c		what there is, and the order of all
 * s3_probe_ask.c	one request, and the trial's objects
 * s3_probe_rights.c	what this key may do, in each part of a repository
 * s3_probe_cold.c	the cold tier: thaws and lifecycle rules
 * s3_probe_put.c	what the bucket does with what is put
 * s3_probe_speed.c	how fast it is
 *
 * What ends the examination is an error: -ECANCELED and -ENOMEM.  All else that
 * goes wrong is a finding.
 */
#ifndef FIRN_STORE_S3_PROBE_INTERNAL_H
#define FIRN_STORE_S3_PROBE_INTERNAL_H

#include "store/store_probe_internal.h"
#include "store/store_s3_internal.h"

#define LEFT_MAX	8	/* names told of what could not be deleted */

struct trial {
	struct s3 *s;
	struct probe *p;
	char nonce[S3_NONCE_SIZE];
	char name[STORE_NAME_MAX + 1];	/* of the object at hand */
	int put, got;			/* that was allowed below it */
	int versions;			/* 1 kept, 0 not; -1 not known */
	char left[LEFT_MAX][STORE_NAME_MAX + 1];
	unsigned nleft;
	uint8_t *bytes;			/* PROBE_BYTES */
	struct s3_refusal no;		/* of the last request */
	struct s3_http_reply rp;
};

/* One request; its failure goes to t->no. */
int trial_ask(struct trial *t, struct s3_call *call);

/* Is this what ends the examination, and no finding? */
int trial_is_fatal(int err);

/* What the server had against the last request, for a text. */
const char *trial_reason(const struct trial *t);

/* The last one was refused for its body, and for nothing else. */
int trial_is_body_refused(const struct trial *t);

/* `signed_for` is the body that the signature is of, and the checksum where
 * `header` is none. */
int trial_put(struct trial *t, const char *name, const void *body, size_t len,
    const void *signed_for, const struct sigv4_pair *header);
int trial_del(struct trial *t, const char *name);
/* The first `len` bytes; t->rp.got came. */
int trial_get(struct trial *t, const char *name, void *out, size_t len);
/* The first name of a part, or "". */
int trial_list(struct trial *t, const char *part,
    char name[STORE_NAME_MAX + 1]);

/* What was put for trial goes again, or is told of at the end. */
int trial_clear(struct trial *t, const char *name);

/* t->name becomes the object of the next step. */
void trial_name(struct trial *t, const char *step);

/* Findings.  0, or what ends it. */
int s3_probe_cold(struct trial *t);
int s3_probe_rights(struct trial *t);
int s3_probe_put(struct trial *t);	/* t->name stays, where t->put */
int s3_probe_speed(struct trial *t);	/* reads t->name, where t->got */

#endif
