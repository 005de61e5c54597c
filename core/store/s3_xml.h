/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The XML documents that we read: the results of ListObjectsV2 and CopyObject,
 * <Error>, and a bucket's versioning and Object Lock, of S3; the keys and
 * errors of STS; and others, element by element.
 * Wraps expat; its types stop here.
 *
 * docs.aws.amazon.com/AmazonS3/latest/API/API_ListObjectsV2.html and
 * ErrorResponses.html.  Unknown elements are skipped.  Total over any bytes:
 * what is not well-formed, nests deeper than 16, has a document type or a
 * text longer than we have use for, is -FIRN_ECORRUPT.
 */
#ifndef FIRN_STORE_S3_XML_H
#define FIRN_STORE_S3_XML_H

#include <stddef.h>
#include <stdint.h>
#include <time.h>

#include "store/s3_class.h"

#define S3_KEY_MAX	1024	/* bytes of a key, by S3 */
#define S3_TOKEN_MAX	4096
#define S3_STS_SESSION_MAX	8192

/* Texts are cut where they do not fit, control bytes made '?'. */
struct s3_error {
	char code[64];		/* "" when the document is no <Error> */
	char message[256];
	char region[64];
	char server_time[32];	/* RequestTimeTooSkewed: ISO 8601 */
};

/* Of S3 or STS.  0 with an empty code for another, well-formed document. */
int s3_xml_error(const void *text, size_t len, struct s3_error *out);

/* <VersioningConfiguration> or <ObjectLockConfiguration>; texts as above. */
struct s3_bucket_state {
	char versioning[16];	/* "Enabled", "Suspended"; "" for never */
	char lock[16];		/* "Enabled" or "" */
	char lock_mode[16];	/* of its default retention, or "" */
	char lock_days[16];
	char lock_years[16];
};

/* -FIRN_ECORRUPT for another document. */
int s3_xml_state(const void *text, size_t len, struct s3_bucket_state *out);

struct s3_listed {
	const char *key;
	uint64_t size;
	struct timespec mtime;	/* 0 when there is none we can read */
	char class_name[STORE_CLASS_SIZE];	/* "" for none; as texts above */
	enum s3_restore restore;
	time_t expires;		/* of what was restored; 0: unknown */
};

struct s3_listing {
	/* Called in the document's order; non-zero ends it. */
	int (*fn)(void *ctx, const struct s3_listed *object);
	void *ctx;
	int truncated;			/* out: there is more, from */
	char token[S3_TOKEN_MAX + 1];	/* out: here */
};

/* A failure may come after fn was called.  fn's own non-zero is returned.
 * A key of over 1,024 bytes, or with a NUL, is passed over: it is none of
 * ours. */
int s3_xml_list(const void *text, size_t len, struct s3_listing *l);

/* <CopyObjectResult>. */
struct s3_copied {
	char etag[128];
	char checksum[64];	/* ChecksumSHA256, or "" */
};

/* -FIRN_ECORRUPT for another document, or one without an ETag. */
int s3_xml_copied(const void *text, size_t len, struct s3_copied *out);

/* An element of any document, for those who walk it. */
struct s3_xml_node {
	int depth;		/* 1 for the root */
	const char *path;	/* "Root/Rule/ID", without name spaces; names of
				   over 63 bytes are cut */
	const char *name;	/* its end */
	const char *space;	/* prefix of the name space, "" for none */
	const char *text;	/* when it closes: since the last tag */
	size_t start;		/* offset of its start tag */
	size_t end;		/* when it closes: past its end tag */
	int empty;		/* when it closes: it is "<name/>" */
};

/* Both are called in the document's order; non-zero ends it and is returned. */
int s3_xml_walk(const void *text, size_t len,
    int (*open)(void *ctx, const struct s3_xml_node *n),
    int (*close)(void *ctx, const struct s3_xml_node *n), void *ctx);

/* What STS answers for a role.  Secrets: to be wiped. */
struct s3_sts {
	char access[256];
	char secret[512];
	char session[S3_STS_SESSION_MAX + 1];
	char expiration[64];
};

/* -FIRN_ECORRUPT, with *out wiped, when one of them is missing, does not fit,
 * or comes twice. */
int s3_xml_sts(const void *text, size_t len, struct s3_sts *out);

#endif
