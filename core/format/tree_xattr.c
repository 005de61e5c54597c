/* SPDX-License-Identifier: Apache-2.0 */
/* Sets of extended attributes. */
#include <string.h>

#include "base/err.h"
#include "format/tree.h"

static int
xattr_name_valid(const char *name, size_t len)
{
	return len >= 1 && len <= TREE_NAME_MAX && memchr(name, 0, len) == NULL;
}

int
xattr_encode(const struct xattr *x, struct buf *out)
{
	if (!xattr_name_valid(x->name, x->namelen) ||
	    x->len > TREE_XATTR_VALUE_MAX)
		return -EINVAL;
	buf_add_str(out, x->name, x->namelen);
	buf_add_str(out, x->value, x->len);
	return buf_err(out);
}

int
xattr_decode(struct rd *r, struct xattr *out)
{
	out->name = (const char *)rd_str(r, TREE_NAME_MAX, &out->namelen);
	out->value = rd_str(r, TREE_XATTR_VALUE_MAX, &out->len);
	if (rd_bad(r) || !xattr_name_valid(out->name, out->namelen)) {
		r->bad = 1;
		return -FIRN_ECORRUPT;
	}
	return 0;
}

int
xattr_check(const void *data, size_t len)
{
	struct rd r = rd_init(data, len);
	struct xattr x, last;
	int any = 0;

	if (len < 1 || len > TREE_XATTR_MAX)
		return -FIRN_ECORRUPT;
	while (rd_left(&r) > 0) {
		if (xattr_decode(&r, &x) != 0)
			return -FIRN_ECORRUPT;
		if (any && tree_name_cmp(last.name, last.namelen, x.name,
		    x.namelen) >= 0)
			return -FIRN_ECORRUPT;
		last = x;
		any = 1;
	}
	return rd_bad(&r) ? -FIRN_ECORRUPT : 0;
}
