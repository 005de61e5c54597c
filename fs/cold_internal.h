/* SPDX-License-Identifier: Apache-2.0 */
/* Inside: who waits (cold.c), and the thread that thaws: what is wanted
 * (cold_plan.c), the job of it (cold_job.c), asking (cold_ask.c), rounds
 * (cold_follow.c). */
#ifndef FIRN_FS_COLD_INTERNAL_H
#define FIRN_FS_COLD_INTERNAL_H

#include <pthread.h>

#include "base/pool.h"
#include "fs/cold.h"
#include "fs/cold_wants.h"
#include "fs/watch.h"
#include "index/index.h"
#include "repo/thaw_job.h"

#define COLD_PLACES	4	/* of a block that would do */

/* What becomes of a request that waits. */
enum fate {
	FATE_WAITS,
	FATE_READABLE,	/* read again */
	FATE_HOPELESS,	/* nobody thaws its pack */
	FATE_DEAD,	/* its waiter was killed */
	FATE_GONE	/* likewise, and told so */
};

/* A request that waits. */
struct parked {
	struct parked *next;
	struct cold *cold;
	struct request r;
	uint64_t node, off;
	size_t size;
	uint64_t wanted;	/* counts as this want of its file's */
	time_t not_before;	/* monotonic; it was woken in vain */
	uint8_t pack[COLD_PLACES][OBJECT_ID_SIZE];
	int packs;
	enum fate fate;		/* off the list */
};

struct cold_known;

struct cold {
	struct firnfs *fs;
	atomic_int mode;
	volatile int ending;
	atomic_uint waiting;		/* parked, or read again and not
					   answered yet */
	volatile int halt;		/* ask for nothing more: it ends, or
					   cold=fail */
	pthread_t thread;
	struct cold_known *known;	/* for who asks for attributes */
	struct pool *again;		/* reads again what was parked */
	pthread_mutex_t lock;
	pthread_cond_t changed;
	struct parked *parked;		/* protected by lock, as below */
	struct cold_wants wants;
	size_t max_wants;		/* constant; with these: */
	size_t nplanning;
	int full;			/* some could not be taken down */
	uint64_t wanted;		/* counts files that were wanted */
	unsigned nparked;
	int stirred;			/* the mode has changed: a round */
	/* For .firn/thaw: */
	struct {
		struct thaw_count waiting, thawing, readable;
		uint64_t spent;
		time_t looked;		/* wall clock */
		int over;		/* the budget is used up */
	} shown;
	/* The thread's own: */
	struct thaw_job job;		/* what is wanted and not read yet */
	uint64_t planned;		/* wants up to this one are in it */
	int noted;			/* the job has a file */
	size_t nnoted;			/* packs, when it was written */
	int owner;			/* lock of the job's file, or -1 */
	int adopted;			/* jobs of those that were killed */
	time_t begun, looked;		/* monotonic */
	int failed;			/* the last round was for nothing */
	atomic_llong refused;		/* monotonic: until then the store does
					   not let us thaw */
	atomic_llong full_said;		/* monotonic, 0: never */
	atomic_llong deaf;		/* monotonic: until then reads just
					   fail, since it was cancelled */
};

/* cold_job.c.  An empty job of what is wanted from now on; what was spent
 * stays. */
void cold_job_init(struct cold *c);
/* Note it, as this mount's. */
int cold_job_save(struct cold *c);
/* Note it again, unless it was cancelled. */
void cold_job_update(struct cold *c);
/* All is readable, or given up: it begins anew with the next read. */
void cold_job_reset(struct cold *c);
/* The mount ends in good order, and with it the count of what was spent. */
void cold_job_end(struct cold *c);
/* Packs that are PACK_NEEDED, into it. */
int cold_job_add(struct cold *c, const struct packset *chosen);
/* Take over the jobs that mounts at this place left which were killed, once. */
int cold_job_adopt(struct cold *c);
/* cold.c: wake whose pack is readable, answer who waits in vain. */
void cold_wake(struct cold *c);
time_t cold_clock(void);

/* cold_plan.c.  What the files need that were wanted until now, into the job;
 * those that cannot be planned are wanted still. */
int cold_plan(struct cold *c);
/* Not, for they are not to be asked for. */
void cold_plan_nothing(struct cold *c);

/* cold_ask.c.  Look, and ask for what the job still wants. */
int cold_ask(struct cold *c);
/* Look at what is not readable yet, also for who asks for attributes. */
int cold_look(struct cold *c);
/* Nobody will ask any more for what is not in progress; who waits for that is
 * let go. */
void cold_give_up(struct cold *c);
/* A look at all of them ended well: what it missed the store does not have.
 * Who waits for that reads again, and is told. */
void cold_give_up_gone(struct cold *c);

/* cold_follow.c.  The thread. */
void *cold_run(void *cold);
/* Count, for .firn/thaw; 1 when something is not readable yet. */
int cold_show(struct cold *c);
/* Seconds between looks now. */
unsigned cold_interval(const struct cold *c);
void cold_note_look(struct cold *c);

#endif
