/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A store: named, immutable, opaque objects.  The bottom of everything; it
 * knows no key and no plaintext.
 *
 * Names are relative, '/'-separated, of [a-z0-9._-] and uppercase T and Z,
 * at most 200 bytes, no empty component, none that is "." or "..", and the
 * first is not "tmp".  No name is the directory of another ("a" and "a/b").
 * Any other name is -EINVAL.  An object appears whole or
 * not at all: what a get or list shows was put completely, and once put()
 * returns 0 it survives a crash of this machine.
 *
 * All calls may be made from any thread at once, and block until done; run as
 * many threads as requests are wanted in flight.  Implementations retry what
 * may succeed on retry (see the implementation's header); what they return is
 * final.  Each failure but "not found" and "exists" was logged with the cause.
 *
 * Errors that a caller acts on:
 *	-ENOENT		get, stat, del: no such object
 *	-EEXIST		put with STORE_IF_ABSENT: there is one already
 *	-FIRN_ECOLD	get, set_class: archived
 *	-EINVAL		a bad name or prefix
 *	-EACCES		the credentials do not allow it
 *	-ENOSPC		no room
 *	-ECANCELED	store_cancel() was called
 *	-ETIMEDOUT, -ECONNREFUSED, -EIO ...	the store cannot be reached
 */
#ifndef FIRN_STORE_STORE_H
#define FIRN_STORE_STORE_H

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>

#define STORE_NAME_MAX	200
#define STORE_SHA256	32
#define STORE_CLASS_SIZE	64	/* of a storage class, with the NUL */

struct store;

/*
 * What a signal handler holds to cancel the store that was opened with it, at
 * any time from before that until after it is closed.  In static storage, all
 * zero at first; for one store at a time.
 */
struct store_stop {
	_Atomic(struct store *) store;	/* open now, or NULL */
	atomic_int stopped;
	atomic_int handlers;		/* that hold `store` */
};

struct store_conf {
	unsigned timeout;	/* seconds an operation may retry; 0: 300 */
	unsigned connections;	/* most requests at once; 0: 16 */
	const char *region;	/* S3; NULL: environment, then us-east-1 */
	const char *endpoint;	/* S3; NULL: environment, then AWS */
	int path_style;		/* S3; 1 path, 0 virtual host, -1 by rule */
	/* S3; NULL for none.  See s3_put_conf.h. */
	const char *sse;	/* "s3", "kms" or "kms:KEYID" */
	const char *tier;	/* storage class of STORE_DATA */
	const char *meta_class;	/* and of all else; an instant one */
	const char *bucket_owner;	/* account that the bucket must be of */
	int requester_pays;
	struct store_stop *stop;	/* or NULL */
};
#define STORE_CONF_DEFAULT { .path_style = -1 }

/* Whether the bytes of an object can be read. */
enum store_state {
	STORE_HOT,	/* at any time */
	STORE_COLD,	/* archived: get is -FIRN_ECOLD */
	STORE_THAWING,	/* archived; a readable copy is on its way */
	STORE_THAWED,	/* archived; a copy is readable until it expires */
};

struct store_stat {
	uint64_t size;
	struct timespec mtime;
	int has_sha256;			/* the store vouches for sha256 */
	uint8_t sha256[STORE_SHA256];
	/* As S3 names it, STANDARD where S3 does not; other printable text for
	 * classes of others; "" where there are none (local). */
	char class_name[STORE_CLASS_SIZE];
	enum store_state state;
	/*
	 * 0, from lists only: COLD may be THAWING or THAWED as well, and a HOT
	 * one of INTELLIGENT_TIERING may be archived.  store_stat() knows.
	 * What S3 itself says of a class is believed: where others read theirs
	 * named GLACIER at once, it is COLD here and a get succeeds.
	 */
	int state_known;
	time_t expires;			/* of THAWED; 0: unknown */
};

/* Requests and bytes by verb since open.  THAW counts what asks for thaws, and
 * COPY what changes the class. */
enum store_verb { STORE_GET, STORE_PUT, STORE_STAT, STORE_LIST, STORE_DEL,
    STORE_THAW, STORE_COPY, STORE_VERBS };
/* How fast a thaw is to be; S3's tiers of retrieval. */
enum store_thaw_tier { STORE_THAW_EXPEDITED, STORE_THAW_STANDARD,
    STORE_THAW_BULK, STORE_THAW_TIERS };
/* "get", "put", ... */
const char *store_verb_name(enum store_verb verb);
struct store_counters {
	uint64_t requests[STORE_VERBS];	/* as sent, retries included */
	uint64_t errors[STORE_VERBS];
	uint64_t bytes_in;		/* bodies received */
	uint64_t bytes_out;
	uint64_t retries;		/* hedges not among them */
	/* S3 only; 0 for others. */
	uint64_t throttled;		/* answers that want fewer requests */
	uint64_t hedges;		/* slow reads asked for once more */
	uint64_t hedges_won;		/* of them, where that came first */
	uint64_t window;		/* requests allowed at once, now */
	uint64_t thaws[STORE_THAW_TIERS];	/* that the store accepted */
};

/* Is this the URL of a store, and are the options for new objects such as S3
 * knows?  Sends nothing, opens nothing.  -EINVAL, logged. */
int store_check(const char *url, const struct store_conf *conf);
/*
 * Open the store of a URL: "s3://bucket[/prefix]", "file:///dir" or a path.
 * With `create`, a missing local directory is made (a bucket never is).
 * -EINVAL for a malformed URL, -ENOENT for a missing local directory, both
 * logged.  Nothing is sent yet for S3.
 */
int store_open(const char *url, const struct store_conf *conf, int create,
    struct store **out);
/* Nobody may be in a call.  NULL is fine. */
void store_close(struct store *s);
/* What was opened, for messages; no secrets in it. */
const char *store_url(const struct store *s);
/* The absolute directory of a local store, or NULL. */
const char *store_local_path(const struct store *s);
/* Another class for STORE_DATA from now on than that of the conf; local stores
 * have none, and take any.  Nobody may be in a put.  -EINVAL, logged. */
int store_set_tier(struct store *s, const char *class_name);
/* That class, or NULL. */
const char *store_tier(const struct store *s);
/* 1 for Amazon's own S3: not local, and no other endpoint is set. */
int store_is_aws(const struct store *s);

/*
 * Fail with -EEXIST rather than replace; of many that put one name at once,
 * one succeeds.  Where the server cannot decide that, writers take turns
 * (s3_absent.c), which takes some requests more, and may end with -EBUSY.
 */
#define STORE_IF_ABSENT	1u
#define STORE_DATA	2u	/* contents of files: may lie in a cold class */
/* As STORE_IF_ABSENT, for a name that is random, so that nobody else puts it:
 * takes no more than the put, and no other permission. */
#define STORE_UNIQUE	4u

/*
 * Store an object.  sha256 is the SHA-256 of the bytes, or NULL to have it
 * computed.  Without one of those two an existing object of this name is left
 * or replaced, as the implementation likes: names are content hashes then.
 */
int store_put(struct store *s, const char *name, const void *data, size_t len,
    const uint8_t *sha256, unsigned flags);

/*
 * Read [off, off + len) into buf.  *got < len only where the object ends.
 * off at or past the end: 0 with *got = 0.
 */
int store_get(struct store *s, const char *name, uint64_t off, void *buf,
    size_t len, size_t *got);

int store_stat(struct store *s, const char *name, struct store_stat *out);

/*
 * Call fn for each object whose name begins with prefix ("data/", "keys/",
 * or ""), ordered by name bytes within the whole listing.  A non-zero return
 * of fn ends it and is returned.  Objects put meanwhile may or may not show.
 */
int store_list(struct store *s, const char *prefix,
    int (*fn)(void *ctx, const char *name, const struct store_stat *st),
    void *ctx);

/*
 * The same, and asks for the states of archived objects (RestoreStatus).  A
 * server that knows nothing of that answers as for store_list(), which shows
 * in st->state_known.  One request for 1,000 objects: the way to follow thaws.
 */
int store_list_state(struct store *s, const char *prefix,
    int (*fn)(void *ctx, const char *name, const struct store_stat *st),
    void *ctx);

/* 0 also when there was none. */
int store_del(struct store *s, const char *name);

/* Whether S3 archives what is of this class, so that it has to be thawed:
 * GLACIER and DEEP_ARCHIVE.  What INTELLIGENT_TIERING archives by itself is
 * told by a stat only. */
int store_class_is_cold(const char *class_name);
/* Whether it can be read at once, always, for all that is known: not so the
 * above, INTELLIGENT_TIERING, and what we have never heard of. */
int store_class_is_instant(const char *class_name);
/* Whether it is one of AWS's that hold what is put there. */
int store_class_is_known(const char *class_name);

/* "expedited", "standard", "bulk"; and back, or -EINVAL. */
const char *store_thaw_tier_name(enum store_thaw_tier tier);
int store_thaw_tier_parse(const char *text, enum store_thaw_tier *out);

/*
 * Ask for a readable copy of an archived object for so many days, at least 1;
 * or 0 days for one of INTELLIGENT_TIERING, which is hot from then on.  S3
 * rounds the end up to midnight UTC: read it back.
 *	0		accepted: THAWING from now on
 *	1		it was readable; the days count from now
 *	-EALREADY	THAWING, as fast or faster, or for other days
 *	-EAGAIN		no expedited retrieval is to be had now
 *	-EINVAL		it is not archived
 *	-ENOENT, -EACCES (logged)
 *	-EOPNOTSUPP	the store has no archive, or this class not this tier;
 *			logged
 * A thaw in progress is hastened by the same days with a faster tier, which
 * S3 charges as that tier.  Throttling is waited for, as in all calls.  Where
 * an answer was lost and the request repeated, one in progress counts as
 * accepted; after an error that is none of these it may have been, too.
 */
int store_thaw(struct store *s, const char *name, enum store_thaw_tier tier,
    unsigned days);

/*
 * Of what is archived by its class: can it be read all the same?  Some stores,
 * Ceph's among them, have the classes and read them at once.  1, 0, or -errno.
 */
int store_reads_cold(struct store *s, const char *name);

/*
 * Have the store copy an object onto itself in another class.  What is there
 * at the end is compared with what was: size, class, and checksum where both
 * have one.  At any time one of the two is there, whole.  Encryption is the
 * store's, or where that has none, what the object had.  0 also where it is
 * of that class.  -FIRN_ECOLD: it is archived, and not thawed, as the store
 * sees it.  -EINVAL: no name of a class.  -EOPNOTSUPP, logged: the store has no
 * classes.  In a
 * bucket that keeps versions the old one stays, and is paid for.
 */
int store_set_class(struct store *s, const char *name,
    const char *class_name);

/* Make calls in progress, and all later ones, return -ECANCELED soon.
 * Async-signal-safe. */
void store_cancel(struct store *s);
/* Calls are taken again, so that what was cancelled can be left in order.  No
 * other may be in progress. */
void store_resume(struct store *s);

/* The same for the store of a `stop`, and for one that is yet to be opened with
 * it.  Async-signal-safe. */
void store_stop_fire(struct store_stop *stop);

void store_count(struct store *s, struct store_counters *out);

/* Whole object appended to a growing buffer, up to its ceiling
 * (-FIRN_ETOOBIG, logged); a helper over get.  On failure the buffer is as it
 * was. */
struct buf;
int store_load(struct store *s, const char *name, struct buf *out);

#endif
