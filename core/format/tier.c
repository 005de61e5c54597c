/* SPDX-License-Identifier: Apache-2.0 */
/* The objects below "tier/". */
#include <string.h>

#include "base/err.h"
#include "base/json.h"
#include "base/log.h"
#include "base/timefmt.h"
#include "format/config_internal.h"
#include "format/tier.h"

#define MAGIC	"firntier"

static int
json_write(const struct tier *t, struct buf *out)
{
	struct json *j = json_object();
	char set[TIMEFMT_SIZE];
	int err;

	timefmt_iso(&t->set, set);
	json_set_hex(j, "repository", t->repo_id, sizeof(t->repo_id));
	json_set_str(j, "set", set);
	json_set_str(j, "class", t->class_name);
	err = json_dump(j, out);
	json_free(j);
	return err;
}

int
tier_encode(const struct tier *t, const struct keys *keys, struct buf *out)
{
	size_t start = out->len;
	int err;

	if (!config_class_valid(t->class_name))
		return log_plain(-EINVAL, "'%.63s' is no name of a storage "
		    "class", t->class_name);
	if (memcmp(t->repo_id, keys->repo_id, REPO_ID_SIZE) != 0)
		return log_err(-EINVAL, "tier and keys are of different "
		    "repositories");
	err = config_form_begin(out, MAGIC);
	if (err == 0)
		err = json_write(t, out);
	if (err == 0)
		err = config_form_end(out, start, keys);
	if (err != 0)
		out->len = start;
	return err;
}

static int
json_read(struct json *j, struct tier *out)
{
	int err;

	err = json_get_hex(j, "repository", out->repo_id,
	    sizeof(out->repo_id));
	if (err == 0)
		err = config_time_get(j, "set", &out->set);
	if (err == 0)
		err = config_class_get(j, "class", out->class_name);
	return err == -ENOENT ? -FIRN_ECORRUPT : err;
}

int
tier_decode(const void *data, size_t len, struct tier *out)
{
	struct json *j = NULL;
	const char *text;
	size_t textlen;
	int err;

	memset(out, 0, sizeof(*out));
	err = config_form_open(data, len, MAGIC, "tier", &text, &textlen);
	if (err != 0)
		return err;
	err = json_parse(text, textlen, &j);
	if (err == 0)
		err = json_read(j, out);
	json_free(j);
	if (err != 0)
		memset(out, 0, sizeof(*out));
	return err == 0 ? 0 : log_err(err, "cannot read a tier object");
}
