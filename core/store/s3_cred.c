/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Keys from the environment.  They never change, so there is nothing to lock.
 */
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "base/log.h"
#include "store/s3_cred.h"

struct s3_cred {
	struct s3_keys keys;
};

/* Keys go into header lines: printable ASCII without blanks. */
static int
take(const char *name, char *out, size_t max)
{
	const char *s = getenv(name);
	size_t i, len;

	out[0] = '\0';
	if (s == NULL || s[0] == '\0')
		return -ENOENT;
	len = strlen(s);
	for (i = 0; i < len; i++)
		if (s[i] <= ' ' || s[i] > '~')
			return log_err(-EACCES, "%s has a blank or a byte that "
			    "is not ASCII; copy the key again", name);
	if (len > max)
		return log_err(-EACCES, "%s is longer than any key", name);
	memcpy(out, s, len + 1);
	return 0;
}

int
s3_cred_new(struct s3_cred **out)
{
	struct s3_cred *c = calloc(1, sizeof(*c));
	const char *missing = NULL;
	int err;

	*out = NULL;
	if (c == NULL)
		return log_err(-ENOMEM, "cannot read the keys for S3");
	err = take("AWS_ACCESS_KEY_ID", c->keys.access, S3_ACCESS_MAX);
	if (err == -ENOENT)
		missing = "AWS_ACCESS_KEY_ID";
	if (err == 0) {
		err = take("AWS_SECRET_ACCESS_KEY", c->keys.secret,
		    S3_SECRET_MAX);
		if (err == -ENOENT)
			missing = "AWS_SECRET_ACCESS_KEY";
	}
	if (err == 0)
		err = take("AWS_SESSION_TOKEN", c->keys.session,
		    S3_SESSION_MAX) == -EACCES ? -EACCES : 0;
	if (missing != NULL)
		err = log_err(-EACCES, "there are no keys for S3: %s is not "
		    "set; set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY in "
		    "the environment", missing);
	if (err != 0) {
		s3_cred_free(c);
		return err;
	}
	*out = c;
	return 0;
}

void
s3_keys_wipe(struct s3_keys *k)
{
	explicit_bzero(k, sizeof(*k));
}

void
s3_cred_free(struct s3_cred *c)
{
	if (c == NULL)
		return;
	explicit_bzero(c, sizeof(*c));
	free(c);
}

int
s3_cred_get(struct s3_cred *c, struct s3_keys *out)
{
	*out = c->keys;
	return 0;
}

int
s3_cred_renew(struct s3_cred *c, const struct s3_keys *expired)
{
	(void)c;
	(void)expired;
	return -EACCES;
}
