/* SPDX-License-Identifier: Apache-2.0 */
/* Names of the owners and groups that a generation has, by number. */
#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <stdlib.h>
#include <string.h>

#include "backup/walk_internal.h"

#define NAMES_MAX 65536

/* Where `number` is, or would be, in names ordered by number. */
static size_t
place(const struct gen_name *v, size_t n, uint64_t number)
{
	size_t lo = 0, hi = n, mid;

	while (lo < hi) {
		mid = lo + (hi - lo) / 2;
		if (v[mid].number < number)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

static int
insert(struct gen_name **v, size_t *n, size_t at, uint64_t number,
    const char *name)
{
	struct gen_name *p;

	if (*n >= NAMES_MAX)
		return 0;
	p = realloc(*v, (*n + 1) * sizeof(*p));
	if (p == NULL)
		return -ENOMEM;
	*v = p;
	memmove(p + at + 1, p + at, (*n - at) * sizeof(*p));
	p[at].number = number;
	p[at].name = strdup(name);
	++*n;
	return p[at].name == NULL ? -ENOMEM : 0;
}

/* A number without a name is noted with an empty one, so that it is looked
 * up once. */
int
owner_note(struct genrec *rec, uint32_t uid, uint32_t gid)
{
	struct passwd pw, *pwp = NULL;
	struct group gr, *grp = NULL;
	char room[4096];
	size_t at;
	int err = 0;

	at = place(rec->users, rec->nusers, uid);
	if (at == rec->nusers || rec->users[at].number != uid) {
		getpwuid_r(uid, &pw, room, sizeof(room), &pwp);
		err = insert(&rec->users, &rec->nusers, at, uid,
		    pwp != NULL ? pw.pw_name : "");
	}
	at = place(rec->groups, rec->ngroups, gid);
	if (err == 0 && (at == rec->ngroups ||
	    rec->groups[at].number != gid)) {
		getgrgid_r(gid, &gr, room, sizeof(room), &grp);
		err = insert(&rec->groups, &rec->ngroups, at, gid,
		    grp != NULL ? gr.gr_name : "");
	}
	return err;
}
