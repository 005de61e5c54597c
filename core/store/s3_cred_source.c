/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which source the keys come from.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/err.h"
#include "base/log.h"
#include "store/s3_cred_internal.h"

#define SLEEP_SLICE	50	/* ms between looks at cancel */

int
s3_key_copy(const char *s, char *out, size_t max)
{
	size_t i;

	for (i = 0; s[i] != '\0'; i++)
		if (i == max || s[i] <= ' ' || s[i] > '~')
			return -EINVAL;
	if (i == 0)
		return -EINVAL;
	memcpy(out, s, i + 1);
	return 0;
}

int
s3_fetch_sleep(const struct s3_fetch *f, unsigned ms)
{
	const struct timespec slice = { 0, SLEEP_SLICE * 1000000L };
	unsigned slept;

	for (slept = 0; slept < ms && !s3_fetch_canceled(f);
	    slept += SLEEP_SLICE)
		nanosleep(&slice, NULL);
	return s3_fetch_canceled(f) ? -ECANCELED : 0;
}

static int
take(const char *name, char *out, size_t max)
{
	const char *s = aws_env(name);

	if (s == NULL)
		return log_plain(-EACCES, "there are no keys for S3: %s is "
		    "not set; AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY go "
		    "together", name);
	if (s3_key_copy(s, out, max) != 0)
		return log_plain(-EACCES, "%s has a blank or a byte that is "
		    "not ASCII, or is longer than any key; copy the key again",
		    name);
	return 0;
}

int
s3_fetch_env(struct s3_fetched *out)
{
	int err = take("AWS_ACCESS_KEY_ID", out->keys.access, S3_ACCESS_MAX);

	out->expires = 0;
	if (err == 0)
		err = take("AWS_SECRET_ACCESS_KEY", out->keys.secret,
		    S3_SECRET_MAX);
	if (err == 0 && aws_env("AWS_SESSION_TOKEN") != NULL)
		err = take("AWS_SESSION_TOKEN", out->keys.session,
		    S3_SESSION_MAX);
	else if (err == 0 && aws_env("AWS_SECURITY_TOKEN") != NULL)
		err = take("AWS_SECURITY_TOKEN", out->keys.session,
		    S3_SESSION_MAX);
	return err;
}

static int
fetch_web_env(const struct s3_fetch *f, struct s3_fetched *out)
{
	const struct s3_web_identity w = {
		.token_file = aws_env("AWS_WEB_IDENTITY_TOKEN_FILE"),
		.role_arn = aws_env("AWS_ROLE_ARN"),
		.session = aws_env("AWS_ROLE_SESSION_NAME"),
		.from = "AWS_WEB_IDENTITY_TOKEN_FILE",
	};

	if (w.role_arn == NULL)
		return log_plain(-EACCES, "AWS_WEB_IDENTITY_TOKEN_FILE is set "
		    "and AWS_ROLE_ARN is not; set it to the role to take up");
	return s3_fetch_web(f, &w, out);
}

static int
none_left(const struct s3_fetch *f)
{
	return log_plain(-EACCES, "there are no keys for S3: looked for "
	    "AWS_ACCESS_KEY_ID in the environment, for profile '%s' in %s, "
	    "for a web identity (AWS_WEB_IDENTITY_TOKEN_FILE) and for a "
	    "container's (AWS_CONTAINER_CREDENTIALS_FULL_URI); the metadata "
	    "service of instances is off (AWS_EC2_METADATA_DISABLED); set one "
	    "of them up, see SIGNING IN TO S3 in firn(1)",
	    aws_config_profile(f->aws), aws_config_files(f->aws));
}

int
s3_source_find(const struct s3_fetch *f, enum s3_source *out)
{
	const char *profile = aws_config_profile(f->aws);
	enum s3_profile_kind kind = s3_profile_kind(f->aws, profile);
	int named = f->conf->profile != NULL && f->conf->profile[0] != '\0';

	*out = S3_SOURCE_NONE;
	if (!named && (aws_env("AWS_ACCESS_KEY_ID") != NULL ||
	    aws_env("AWS_SECRET_ACCESS_KEY") != NULL))
		*out = S3_SOURCE_ENV;
	else if (kind == S3_PROFILE_ROLE)
		*out = S3_SOURCE_PROFILE;
	else if (!named && aws_env("AWS_WEB_IDENTITY_TOKEN_FILE") != NULL)
		*out = S3_SOURCE_WEB_ENV;
	else if (kind == S3_PROFILE_OTHER)
		return s3_profile_refuse(f->aws, profile);
	else if (kind != S3_PROFILE_NONE)
		*out = S3_SOURCE_PROFILE;
	else if (aws_env("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI") != NULL ||
	    aws_env("AWS_CONTAINER_CREDENTIALS_FULL_URI") != NULL)
		*out = S3_SOURCE_CONTAINER;
	else if (aws_config_switch(f->aws, "AWS_EC2_METADATA_DISABLED",
	    "ec2_metadata_disabled", 0))
		return none_left(f);
	else
		*out = S3_SOURCE_IMDS;
	return 0;
}

int
s3_source_fetch(const struct s3_fetch *f, enum s3_source source,
    struct s3_fetched *out)
{
	switch (source) {
	case S3_SOURCE_ENV:
		return s3_fetch_env(out);
	case S3_SOURCE_WEB_ENV:
		return fetch_web_env(f, out);
	case S3_SOURCE_PROFILE:
		return s3_fetch_profile(f, out);
	case S3_SOURCE_CONTAINER:
		return s3_fetch_container(f, out);
	case S3_SOURCE_IMDS:
		return s3_fetch_imds(f, out);
	case S3_SOURCE_NONE:
		break;
	}
	return none_left(f);
}
