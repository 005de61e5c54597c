/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Generation records: what makes a tree a generation.
 *
 * Object gen/<tag>/<time>-<16 hex>: magic "firngenr"; u16 version; u16 zero;
 * 12-byte random nonce; AES-256-GCM(keys->generation, aad = the bytes before)
 * over box(pk, label "firn generation", aad = magic and version) of the JSON.
 * tag = first 16 bytes of HMAC(keys->series_tag, host || 0 || series) in hex;
 * time = its end in name form; the 16 digits are the first 8 bytes of the
 * SHA-256 of the object, and are the generation's id.
 *
 * Members of the JSON, all of which must be there but parent, while others are
 * ignored: host, series, paths [texts], tags [texts], start, end (RFC 3339 of
 * the years 0 to 9999), root (hex), totals {files, dirs, bytes}, added
 * {data_blocks, data_bytes, meta_blocks, meta_bytes, stored_bytes}, parent
 * (hex), users and groups {number in decimal: name}, program, errors [texts],
 * error_count, clock_grain_ns; and root_entry (hex), which may lack as well.
 * Texts may hold any byte but NUL, as json_set_bytes() stores them.  host,
 * series and tags pass genrec_name_ok(); a path is not empty; error_count is at
 * least the number of errors.
 *
 * Nothing here is logged: the caller knows the record's name.
 */
#ifndef FIRN_FORMAT_GENREC_H
#define FIRN_FORMAT_GENREC_H

#include <stddef.h>
#include <stdint.h>
#include <time.h>

#include "base/buf.h"
#include "crypto/keys.h"
#include "format/format.h"
#include "format/tree.h"

#define GEN_ID_SIZE	8
#define GEN_TAG_SIZE	33		/* 32 hex digits and a NUL */
#define GENREC_MAX	(16u << 20)	/* bytes of a record */
#define GEN_ERRORS_MAX	1000		/* errors kept in a record */
#define GEN_ERROR_TEXT	2048		/* bytes kept of one, so that all of
					   them are far below GENREC_MAX */
#define GEN_TEXT_MAX	255		/* bytes of host, series, tag */
#define GEN_OBJECT_NAME_LEN	72	/* of "gen/..." without its NUL */

struct gen_totals {
	uint64_t files;		/* everything that is not a directory */
	uint64_t dirs;
	uint64_t bytes;		/* sum of sizes of regular files */
};

struct gen_added {
	uint64_t data_blocks, data_bytes;	/* new, plain */
	uint64_t meta_blocks, meta_bytes;
	uint64_t stored_bytes;			/* sizes of the packs */
};

struct gen_name {		/* owner or group name of a number */
	uint64_t number;
	char *name;
};

struct genrec {
	char *host;
	char *series;
	char **paths;		/* as given, absolute; may hold any byte */
	size_t npaths;
	char **tags;
	size_t ntags;
	struct timespec start;
	struct timespec end;
	uint8_t root[BLOCK_ID_SIZE];	/* tree node of "/" */
	uint8_t *root_entry;	/* of "/", encoded; or NULL */
	size_t root_entrylen;
	struct gen_totals totals;
	struct gen_added added;
	uint8_t parent[GEN_ID_SIZE];
	int has_parent;
	struct gen_name *users;
	size_t nusers;
	struct gen_name *groups;
	size_t ngroups;
	char *program;		/* name and version of the writer */
	char **errors;		/* at most GEN_ERRORS_MAX; paths in them */
	size_t nerrors;
	uint64_t error_count;	/* sources not read whole, each once */
	int64_t clock_grain_ns;	/* see backup: files younger than start are
				   read again */
};

void genrec_init(struct genrec *g);
void genrec_release(struct genrec *g);
/* Appends a copy; -ENOMEM. */
int genrec_add_path(struct genrec *g, const char *path);
int genrec_add_tag(struct genrec *g, const char *tag);
/* Counts it in error_count, and keeps it while there is room. */
int genrec_add_error(struct genrec *g, const char *text);

/*
 * The entry of "/" itself, which no directory holds: its name is "root", and
 * its tree g->root.  Without one (in a stream's generation, and in those of
 * version 0.1) a reader shows what it likes.
 */
int genrec_set_root_entry(struct genrec *g, const struct entry *e);
/* 1, or 0 when there is none.  Points into g. */
int genrec_root_entry(const struct genrec *g, struct entry *out);

/* Appends the object; name is "gen/..." with room for GEN_OBJECT_NAME_LEN + 1.
 * -EINVAL when g breaks a rule above, -FIRN_ETOOBIG over GENREC_MAX. */
int genrec_encode(const struct genrec *g, const struct keys *keys,
    struct buf *out, char *name);
/* Total.  name, when given, must be the one that these bytes and this host,
 * series and time make.  -FIRN_ENOKEY without sk, -FIRN_ECORRUPT,
 * -FIRN_EVERSION.  out is to be released after success only. */
int genrec_decode(const void *data, size_t len, const struct keys *keys,
    const char *name, struct genrec *out);
/* May this be a host, a series or a tag: 1 to 255 bytes of UTF-8 without
 * control characters or a slash; not ".", ".." or "latest". */
int genrec_name_ok(const char *name);
/* The tag of a host and series. */
int genrec_tag(const struct keys *keys, const char *host, const char *series,
    char tag[GEN_TAG_SIZE]);
/* Take an object's name apart: -EINVAL when it is not one of a record. */
int genrec_name_parse(const char *name, char tag[GEN_TAG_SIZE],
    struct timespec *end, uint8_t id[GEN_ID_SIZE]);

#endif
