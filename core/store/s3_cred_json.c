/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The JSON in which sources give keys: commands say "SessionToken", metadata
 * services "Token"; the rest is the same.
 */
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "base/err.h"
#include "base/json.h"
#include "base/timefmt.h"
#include "store/s3_cred_internal.h"

/* "+HH:MM" or "-HH:MM" in seconds east; 0 when it is none. */
static int
offset_parse(const char *s, long *out)
{
	if ((s[0] != '+' && s[0] != '-') || strlen(s) != 6 || s[3] != ':' ||
	    strspn(s + 1, "0123456789") != 2 ||
	    strspn(s + 4, "0123456789") != 2)
		return 0;
	*out = ((s[1] - '0') * 10L + (s[2] - '0')) * 3600 +
	    ((s[4] - '0') * 10L + (s[5] - '0')) * 60;
	if (s[0] == '-')
		*out = -*out;
	return 1;
}

int
s3_cred_time(const char *text, time_t *out)
{
	size_t len = strlen(text);
	struct timespec t;
	char copy[48];
	long east = 0;

	if (len < 7 || len + 2 > sizeof(copy))
		return -EINVAL;
	memcpy(copy, text, len + 1);
	if (offset_parse(text + len - 6, &east))
		memcpy(copy + len - 6, "Z", 2);
	if (timefmt_parse(copy, &t) != 0)
		return -EINVAL;
	*out = t.tv_sec - east;
	return 0;
}

/* The strings lie in memory of the document's own; nothing else wipes them. */
static void
wipe(struct json *j, const char *name)
{
	const char *s;

	if (json_get_str(j, name, &s) == 0)
		explicit_bzero((void *)(uintptr_t)s, strlen(s));
}

static int
key_get(const struct json *j, const char *name, char *out, size_t max)
{
	const char *s;
	int err = json_get_str(j, name, &s);

	return err != 0 ? err : s3_key_copy(s, out, max);
}

static const char *
keys_get(const struct json *j, const char *token, struct s3_fetched *out)
{
	const char *s;
	int err;

	if (key_get(j, "AccessKeyId", out->keys.access, S3_ACCESS_MAX) != 0)
		return "it has no good AccessKeyId";
	if (key_get(j, "SecretAccessKey", out->keys.secret,
	    S3_SECRET_MAX) != 0)
		return "it has no good SecretAccessKey";
	/* null and "" are as good as none. */
	err = json_get_str(j, token, &s);
	if (err == 0 && s[0] != '\0' && s3_key_copy(s, out->keys.session,
	    S3_SESSION_MAX) != 0)
		return "its session token has a blank, or is too long";
	err = json_get_str(j, "Expiration", &s);
	if (err == 0 && s[0] != '\0' && s3_cred_time(s, &out->expires) != 0)
		return "its Expiration is no time as in ISO 8601";
	return NULL;
}

static const char *
form_check(const struct json *j, enum s3_cred_form form)
{
	const char *code;
	int64_t version;

	if (form == S3_CRED_PROCESS)
		return json_get_int(j, "Version", &version) == 0 &&
		    version == 1 ? NULL : "its Version is not 1";
	/* The metadata service answers 200 with this when it has none. */
	if (json_get_str(j, "Code", &code) == 0 && strcmp(code, "Success") != 0)
		return "it says that it failed";
	return NULL;
}

int
s3_cred_json(const void *text, size_t len, enum s3_cred_form form,
    struct s3_fetched *out, const char **why)
{
	const char *token = form == S3_CRED_PROCESS ? "SessionToken" : "Token";
	struct json *j = NULL;

	memset(out, 0, sizeof(*out));
	*why = "it is not JSON";
	if (json_parse(text, len, &j) == 0)
		*why = form_check(j, form);
	if (*why == NULL)
		*why = keys_get(j, token, out);
	if (j != NULL) {
		wipe(j, "SecretAccessKey");
		wipe(j, token);
	}
	json_free(j);
	if (*why == NULL)
		return 0;
	explicit_bzero(out, sizeof(*out));
	return -EINVAL;
}
