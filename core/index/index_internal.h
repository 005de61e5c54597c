/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the files of the index share.  LMDB's types stop here.
 *
 * On disk.  Named databases of one LMDB environment; a half has four:
 *
 *	info	"about" -> u32 layout, repository id; "half0", "half1" -> a
 *		half's record (struct half_rec, index_half.c); "absent0",
 *		"epoch0" and so on (index_absent.c)
 *	state	name -> bytes, for callers
 *	slabN	u32 run, 16-byte first id -> slab (index_slab.c)
 *	packN	u32 page (native order) -> rows of 32-byte pack id, u32 size;
 *		a pack's number says which page and row (index_pack.c)
 *	nameN	pack id -> u32 number
 *	segN	segment name -> u8 SEG_ flags, u64 sequence number
 *
 * A slab is a piece of a sorted run: up to 128 KiB of packed entries with a
 * filter in front.  Its value fills LMDB's overflow pages to the byte and is
 * never stored inline nor replaced, so it stays at one address of the map
 * from its transaction until it is deleted.  Views (index_view.c) rely on
 * that: they keep the addresses of all slabs, 16 bytes for some 4500 entries.
 *
 * State of a run		read	from		to
 *	RUN_LIVE		yes	load, merge	RUN_SOURCE, RUN_DEAD
 *	RUN_PART (merge target)	yes	merge begins	RUN_LIVE, RUN_DEAD
 *	RUN_SOURCE (of a merge)	yes	RUN_LIVE	gone, RUN_DEAD
 *	RUN_DEAD		no	load, emptying	gone
 *
 * A merge moves entries from its sources to its target in steps of one
 * transaction each, in order of id: what the target has got is deleted from
 * the sources with it.  So every commit is whole, a killed merge is taken up
 * where it stood, and the file needs no room for both copies.  A load writes
 * into a dead run that its last transaction brings to life; a killed one is
 * swept by the next writer.
 *
 * Locks, in order: writer (struct index; one in this process, and byte 1 of
 * the file "lock" for the machine), slot, view_lock, LMDB's own writer lock.
 * Whoever is writer may hold no LMDB transaction between calls.
 */
#ifndef FIRN_INDEX_INDEX_INTERNAL_H
#define FIRN_INDEX_INDEX_INTERNAL_H

#include <lmdb.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>

#include "index/index.h"

#define INDEX_LAYOUT	2
#define INDEX_HALVES	2
#define INDEX_SLOTS	64		/* look-ups at once in a process */
#define INDEX_RUNS_MAX	256		/* in a half, dead ones included */

/* LMDB spends 16 bytes of the first page of a large value. */
#define PAGE_LOSS	16
#define SLAB_MAX	((128u << 10) - PAGE_LOSS)
#define SLAB_ENTRIES_MAX 5120
#define SLAB_KEY_SIZE	(4 + BLOCK_ID_SHORT)

/* A write transaction keeps what it dirties in memory: slabs put, slabs
 * deleted (which cost no memory but their page numbers), small rows. */
#define STEP_SLABS	64
#define STEP_DELETES	512
#define STEP_ROWS	4096
#define STEP_PAGES	32		/* of packs, swept */

enum run_state { RUN_LIVE = 1, RUN_PART, RUN_SOURCE, RUN_DEAD };

struct run_rec {
	uint32_t number;	/* from 1; never used twice */
	uint32_t version;	/* changes with the run's slabs */
	uint32_t slabs;		/* not kept for dead runs */
	enum run_state state;
	uint64_t entries;
};

struct half_rec {
	uint64_t gen;		/* changes with any run */
	uint64_t seq;		/* loads so far */
	uint64_t segments;	/* loaded and still listed */
	uint32_t next_run;
	uint32_t packs;		/* numbers below it are valid */
	uint32_t nruns;
	struct run_rec run[INDEX_RUNS_MAX];
};

#define SEG_LOADED	1
#define SEG_REPLACED	2
#define SEG_LOCAL	4
#define SEG_ROW_SIZE	9

struct half_db {
	MDB_dbi slab, pack, name, seg;
};

/* The slabs of one run, as addresses.  Immutable. */
struct run_dir {
	atomic_uint refs;
	uint32_t number;
	uint32_t version;
	uint32_t n;
	uint32_t last_size;	/* bytes of the last slab; others SLAB_MAX */
	uint32_t last_filter;	/* its filter, as blocks */
	enum run_state state;
	uint64_t entries;
	uint64_t end;		/* first 8 bytes of the run's last id */
	double scale;		/* slabs a step of the first 8 bytes */
	uint64_t *first;	/* first 8 bytes of each slab's first id */
	const uint8_t **slab;
};

/* The runs of a half at one generation, largest first.  Immutable. */
struct view {
	atomic_uint refs;
	uint64_t gen;
	uint32_t nruns;
	struct run_dir *run[];
};

/* A read transaction, reset while idle; who sets `busy` owns the rest. */
struct slot {
	_Alignas(64) atomic_int busy;
	MDB_txn *txn;
	uint64_t txnid[INDEX_HALVES];	/* view is known good for it */
	struct view *view[INDEX_HALVES];
};

struct index {
	char *dir;
	MDB_env *env;
	MDB_dbi info, state;
	struct half_db half[INDEX_HALVES];
	uint32_t psize;
	int lock_fd;
	pthread_mutex_t lock;
	pthread_cond_t idle;
	int writing;			/* protected by lock */
	pthread_mutex_t view_lock;
	struct view *view[INDEX_HALVES]; /* newest; protected by view_lock */
	struct slot slot[INDEX_SLOTS];
};

static inline unsigned
half_of(enum pack_kind kind)
{
	return kind == PACK_META;
}

/* Ids order as bytes do, so their first 8 as a big-endian number. */
static inline uint64_t
be64_load(const uint8_t *p)
{
	uint64_t v;

	__builtin_memcpy(&v, p, sizeof(v));
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
	v = __builtin_bswap64(v);
#endif
	return v;
}

static inline uint64_t
le64_load(const uint8_t *p)
{
	uint64_t v;

	__builtin_memcpy(&v, p, sizeof(v));
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
	v = __builtin_bswap64(v);
#endif
	return v;
}

/* As memcmp of two short ids. */
static inline int
id_cmp(const uint8_t a[BLOCK_ID_SHORT], const uint8_t b[BLOCK_ID_SHORT])
{
	uint64_t x = be64_load(a), y = be64_load(b);

	if (x == y) {
		x = be64_load(a + 8);
		y = be64_load(b + 8);
	}
	return (x > y) - (x < y);
}

static inline void
be32_store(uint8_t *p, uint32_t v)
{
	p[0] = (uint8_t)(v >> 24);
	p[1] = (uint8_t)(v >> 16);
	p[2] = (uint8_t)(v >> 8);
	p[3] = (uint8_t)v;
}

/* --- index.c ------------------------------------------------------------ */

/* LMDB's code as -errno; logged ("cannot WHAT"), but for MDB_NOTFOUND, which
 * is -ENOENT. */
int index_err(const struct index *ix, int rc, const char *what);
/* Logged -EIO: what LMDB returned is not what was put there. */
int index_damaged(const struct index *ix, const char *what);

/* Become the writer of the machine, by waiting unless `try`: -EAGAIN.  What
 * a writer that died left behind is swept first.  Any thread may end it. */
int writer_begin(struct index *ix, int try);
void writer_end(struct index *ix);
int write_begin(struct index *ix, MDB_txn **txn);
int write_commit(struct index *ix, MDB_txn *txn);

/* --- index_half.c ------------------------------------------------------- */

int half_get(struct index *ix, MDB_txn *txn, unsigned h,
    struct half_rec *out);
/* Is there what it counts, so that room for as much can be made; else logged
 * -EIO.  Of what was committed. */
int half_check(struct index *ix, MDB_txn *txn, unsigned h,
    const struct half_rec *r);
/* The generation alone. */
int half_gen(struct index *ix, MDB_txn *txn, unsigned h, uint64_t *gen);
int half_put(struct index *ix, MDB_txn *txn, unsigned h,
    const struct half_rec *r);
/* A new run at the end of the record; NULL when it is full. */
struct run_rec *half_add_run(struct half_rec *r, enum run_state state);
struct run_rec *half_find_run(struct half_rec *r, uint32_t number);
void half_del_run(struct half_rec *r, struct run_rec *run);
/* Delete dead runs and packs that no load committed. */
int half_sweep(struct index *ix, unsigned h);

/* --- index_pack.c ------------------------------------------------------- */

int pack_get(struct index *ix, MDB_txn *txn, unsigned h, uint32_t number,
    struct segment_pack *out);
/* Can there be so many; else logged -EIO. */
int pack_count_check(struct index *ix, MDB_txn *txn, unsigned h,
    uint32_t packs);
/* 1 and its number, which may not be valid, or 0. */
int pack_number(struct index *ix, MDB_txn *txn, unsigned h,
    const uint8_t pack[OBJECT_ID_SIZE], uint32_t *number);
/* Append packs; number `first` must be the next. */
int pack_put(struct index *ix, MDB_txn *txn, unsigned h, uint32_t first,
    const struct segment_pack *packs, uint32_t n);
/* Are there packs from number `valid` on: 1, 0.  Delete the last page of
 * them: 1, or 0 when there are none. */
int pack_stray(struct index *ix, MDB_txn *txn, unsigned h, uint32_t valid);
int pack_sweep(struct index *ix, MDB_txn *txn, unsigned h, uint32_t valid);

/* --- index_seg.c -------------------------------------------------------- */

/* Nothing is loaded any more; runs are swept behind the transaction. */
int half_empty(struct index *ix, MDB_txn *txn, unsigned h,
    struct half_rec *rec);

/* --- index_absent.c ----------------------------------------------------- */

/* The absent packs, sorted; in the database. */
int absent_get(struct index *ix, MDB_txn *txn, unsigned h,
    const uint8_t (**ids)[OBJECT_ID_SIZE], size_t *n);
int absent_has(const uint8_t (*ids)[OBJECT_ID_SIZE], size_t n,
    const uint8_t pack[OBJECT_ID_SIZE]);
int epoch_next(struct index *ix, MDB_txn *txn, unsigned h);

/* --- index_filter.c ----------------------------------------------------- */

#define FILTER_BLOCK	64	/* bytes; a look-up touches one */

/* Blocks that n entries need. */
uint32_t filter_blocks(size_t n);
void filter_add(uint8_t *filter, uint32_t blocks,
    const uint8_t id[BLOCK_ID_SHORT]);
/* The block to test, for a prefetch. */
const uint8_t *filter_block(const uint8_t *filter, uint32_t blocks,
    const uint8_t id[BLOCK_ID_SHORT]);
int filter_test(const uint8_t *block, const uint8_t id[BLOCK_ID_SHORT]);

/* --- index_slab.c ------------------------------------------------------- */

#define SLAB_HEADER	48
#define SLAB_FIELDS	5
#define SLAB_FILTER	88	/* blocks, of every slab but a run's last */

/* An opened slab; points into it. */
struct slab {
	const uint8_t *ids;
	const uint8_t *rows;
	const uint8_t *prefix;
	uint32_t n;
	uint32_t filter;	/* blocks, behind the header */
	unsigned skip;		/* leading bytes that all ids share */
	unsigned idlen;		/* the rest of them, stored */
	unsigned rowbits;
	uint8_t width[SLAB_FIELDS];
};

/* Total: any bytes give a slab that can be read within `size`, or
 * -FIRN_ECORRUPT.  run 0 takes any. */
int slab_open(const uint8_t *p, size_t size, uint32_t run, struct slab *out);
/* Its checksum is right. */
int slab_check(const uint8_t *p, size_t size);
/* Entry i; pack as a number of the half. */
void slab_get(const struct slab *s, uint32_t i, struct segment_entry *out);
void slab_id(const struct slab *s, uint32_t i, uint8_t id[BLOCK_ID_SHORT]);
/*
 * Position of the first entry not below id, s->n when there is none.  *equal
 * says whether it is that id.  The slab's ids begin at `from` and end before
 * `to` (first 8 bytes): a hint for where to look.
 */
uint32_t slab_search(const struct slab *s, const uint8_t id[BLOCK_ID_SHORT],
    uint64_t from, uint64_t to, int *equal);

/* Packs sorted entries into slabs. */
struct slab_out {
	uint8_t *data;
	uint32_t size;
	uint32_t n;
	uint8_t first[BLOCK_ID_SHORT];
	uint8_t last[BLOCK_ID_SHORT];
};

struct slab_builder {
	uint32_t run;
	uint32_t psize;
	uint32_t n;		/* entries not packed yet */
	uint32_t bits[SLAB_FIELDS]; /* of them, or-ed */
	struct segment_entry *entry; /* room for SLAB_ENTRIES_MAX */
	struct slab_out out[STEP_SLABS];
	uint32_t nout;
	int any;		/* a slab was made since init */
};

int slab_builder_init(struct slab_builder *b, uint32_t run, uint32_t psize);
void slab_builder_release(struct slab_builder *b);
/* Add an entry, above the last.  -EAGAIN when all of out[] is full: write
 * and drop it, and add again. */
int slab_builder_add(struct slab_builder *b, const struct segment_entry *e);
/* Pack what is left; -EAGAIN as above. */
int slab_builder_finish(struct slab_builder *b);
/* Put all of out[] into the run, and drop it; counts in *run. */
int slab_builder_write(struct slab_builder *b, struct index *ix, MDB_txn *txn,
    unsigned h, const struct half_rec *rec, struct run_rec *run);
void slab_builder_drop(struct slab_builder *b);
/* Delete up to `max` slabs from the front of a run; *n were. */
int slab_delete(struct index *ix, MDB_txn *txn, unsigned h, uint32_t run,
    uint32_t max, uint32_t *n);

/* --- index_view.c ------------------------------------------------------- */

/* A slot with a running read transaction. */
int slot_get(struct index *ix, struct slot **out);
void slot_put(struct slot *s);
void slot_close(struct slot *s);
/* The slot's view of a half, right for its transaction; valid until
 * slot_put. */
int slot_view(struct index *ix, struct slot *s, unsigned h,
    const struct view **out);
void view_unref(struct view *v);
/* The slab of a run that would hold ids beginning so; the last of those that
 * begin with equal bytes. */
uint32_t run_dir_find(const struct run_dir *d, uint64_t key);
/* Bytes of slab i; where its ids end, as slab_search wants. */
static inline uint32_t
run_dir_size(const struct run_dir *d, uint32_t i)
{
	return i + 1 < d->n ? SLAB_MAX : d->last_size;
}

static inline uint64_t
run_dir_end(const struct run_dir *d, uint32_t i)
{
	return i + 1 < d->n ? d->first[i + 1] : d->end;
}

/* --- index_merge.c ------------------------------------------------------ */

/* Merge what is due; by the writer. */
int index_merge(struct index *ix, unsigned h);

#endif
