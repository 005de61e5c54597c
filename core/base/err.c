/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Texts of errors.  Our own aliases get a domain text; all else is the C
 * library's, with a small first letter so that it can follow a colon.
 */
#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "base/err.h"

static const struct {
	int err;
	const char *text;
} domain[] = {
	{ FIRN_ECORRUPT, "damaged data" },
	{ FIRN_EVERSION, "unknown format version or feature" },
	{ FIRN_ENOREPO, "no repository here" },
	{ FIRN_EWRONGKEY, "wrong password or key" },
	{ FIRN_ENOKEY, "this key may not do that" },
	{ FIRN_ECOLD, "archived, not readable now" },
	{ FIRN_EMISSING, "missing from the store" },
	{ FIRN_ETOOBIG, "too large" },
};

const char *
err_text(int err)
{
	static _Thread_local char text[128];
	char sys[128];
	/* Unsigned, because -INT_MIN is no int. */
	int e = (int)(err < 0 ? 0u - (unsigned)err : (unsigned)err);

	for (size_t i = 0; i < sizeof(domain) / sizeof(domain[0]); i++)
		if (domain[i].err == e)
			return domain[i].text;
	snprintf(text, sizeof(text), "%s", strerror_r(e, sys, sizeof(sys)));
	/* "RPC ..." and the like keep their capitals. */
	if (islower((unsigned char)text[1]))
		text[0] = (char)tolower((unsigned char)text[0]);
	return text;
}
