/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Keys of a profile.  One with a role needs others' keys to ask for it with,
 * and those may be a role's again: the profiles on the way down are a chain,
 * none of which may come twice.
 */
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/err.h"
#include "base/log.h"
#include "store/s3_cred_internal.h"

#define CHAIN_MAX	10

/* The way here, innermost first. */
struct chain {
	const char *profile;
	const struct chain *up;
	unsigned depth;
};

static int fetch_one(const struct s3_fetch *f, const char *profile,
    const struct chain *up, struct s3_fetched *out);

static int
has_keys(const struct aws_config *aws, enum aws_file_kind file,
    const char *profile)
{
	return aws_config_get_in(aws, file, profile, "aws_access_key_id") !=
	    NULL;
}

static const char *
not_ours(const struct aws_config *aws, const char *profile)
{
	static const char *const keys[] = { "sso_session", "sso_start_url",
	    "sso_account_id", "sso_role_name", "login_session" };
	size_t i;

	for (i = 0; i < sizeof(keys) / sizeof(keys[0]); i++)
		if (aws_config_get(aws, profile, keys[i]) != NULL)
			return keys[i];
	return NULL;
}

/* Of what is not a role.  A command goes before single sign-on, which we
 * cannot do: with it people make up for that. */
static enum s3_profile_kind
plain_kind(const struct aws_config *aws, const char *profile)
{
	if (has_keys(aws, AWS_CREDENTIALS, profile))
		return S3_PROFILE_SHARED;
	if (aws_config_get(aws, profile, "credential_process") != NULL)
		return S3_PROFILE_PROCESS;
	if (has_keys(aws, AWS_CONFIG, profile))
		return S3_PROFILE_CONFIG;
	return not_ours(aws, profile) != NULL ? S3_PROFILE_OTHER :
	    S3_PROFILE_NONE;
}

enum s3_profile_kind
s3_profile_kind(const struct aws_config *aws, const char *profile)
{
	if (aws_config_get(aws, profile, "role_arn") != NULL)
		return aws_config_get(aws, profile,
		    "web_identity_token_file") != NULL ? S3_PROFILE_WEB :
		    S3_PROFILE_ROLE;
	return plain_kind(aws, profile);
}

int
s3_profile_refuse(const struct aws_config *aws, const char *profile)
{
	return log_plain(-EACCES, "profile '%s' signs in by %s, which firn "
	    "cannot; give another profile the line `credential_process = aws "
	    "configure export-credentials --profile %s --format process` and "
	    "use that one", profile, not_ours(aws, profile), profile);
}

/* Its own keys, all from one file. */
static int
fetch_keys(const struct s3_fetch *f, enum aws_file_kind file,
    const char *profile, struct s3_fetched *out)
{
	const struct {
		const char *key;
		char *out;
		size_t max;
	} part[] = {
		{ "aws_access_key_id", out->keys.access, S3_ACCESS_MAX },
		{ "aws_secret_access_key", out->keys.secret, S3_SECRET_MAX },
		{ "aws_session_token", out->keys.session, S3_SESSION_MAX },
	};
	const char *v;
	size_t i;

	out->expires = 0;
	for (i = 0; i < 3; i++) {
		v = aws_config_get_in(f->aws, file, profile, part[i].key);
		if (v == NULL && i == 2)
			break;
		if (v == NULL)
			return log_plain(-EACCES, "profile '%s' in %s has no "
			    "%s; write it there", profile,
			    aws_config_files(f->aws), part[i].key);
		if (s3_key_copy(v, part[i].out, part[i].max) != 0)
			return log_plain(-EACCES, "%s of profile '%s' has a "
			    "blank or a byte that is not ASCII, or is longer "
			    "than any key; copy the key again", part[i].key,
			    profile);
	}
	return 0;
}

/* Keys of something that is not a profile, by credential_source. */
static int
fetch_named(const struct s3_fetch *f, const char *profile, const char *name,
    struct s3_fetched *out)
{
	if (strcasecmp(name, "Environment") == 0)
		return s3_fetch_env(out);
	if (strcasecmp(name, "EcsContainer") == 0)
		return s3_fetch_container(f, out);
	if (strcasecmp(name, "Ec2InstanceMetadata") == 0)
		return s3_fetch_imds(f, out);
	return log_plain(-EACCES, "credential_source of profile '%s' is '%s'; "
	    "it may be Environment, EcsContainer or Ec2InstanceMetadata",
	    profile, name);
}

static int
role_check(const struct s3_fetch *f, const struct chain *c)
{
	const char *source = aws_config_get(f->aws, c->profile,
	    "source_profile");
	const char *named = aws_config_get(f->aws, c->profile,
	    "credential_source");

	if ((source == NULL) == (named == NULL))
		return log_plain(-EACCES, "profile '%s' has role_arn and %s; "
		    "it needs the one that has the keys to ask for the role "
		    "with", c->profile, source == NULL ? "neither "
		    "source_profile nor credential_source" :
		    "both source_profile and credential_source");
	if (aws_config_get(f->aws, c->profile, "mfa_serial") != NULL)
		return log_plain(-EACCES, "profile '%s' asks for a code "
		    "(mfa_serial), which firn cannot; give another profile "
		    "the line `credential_process = aws configure "
		    "export-credentials --profile %s --format process` and "
		    "use that one", c->profile, c->profile);
	if (source != NULL && !aws_config_has(f->aws, source))
		return log_plain(-EACCES, "source_profile of profile '%s' is "
		    "'%s', which is not in %s", c->profile, source,
		    aws_config_files(f->aws));
	return 0;
}

static int
fetch_role(const struct s3_fetch *f, const struct chain *c,
    struct s3_fetched *out)
{
	const char *source = aws_config_get(f->aws, c->profile,
	    "source_profile");
	struct s3_fetched with = { .expires = 0 };
	int err = role_check(f, c);

	if (err == 0)
		err = source != NULL ? fetch_one(f, source, c, &with) :
		    fetch_named(f, c->profile, aws_config_get(f->aws,
		    c->profile, "credential_source"), &with);
	if (err == 0)
		err = s3_fetch_role(f, c->profile, &with.keys, out);
	explicit_bzero(&with, sizeof(with));
	return err;
}

static int
fetch_web(const struct s3_fetch *f, const char *profile,
    struct s3_fetched *out)
{
	const struct s3_web_identity w = {
		.token_file = aws_config_get(f->aws, profile,
		    "web_identity_token_file"),
		.role_arn = aws_config_get(f->aws, profile, "role_arn"),
		.session = aws_config_get(f->aws, profile,
		    "role_session_name"),
		.from = profile,
	};

	return s3_fetch_web(f, &w, out);
}

static int
circle(const struct chain *c, const char *profile)
{
	char text[512] = "";
	size_t n = 0;

	for (; c != NULL && n < sizeof(text); c = c->up)
		n += (size_t)snprintf(text + n, sizeof(text) - n, "%s%s",
		    n > 0 ? "' from '" : "", c->profile);
	return log_plain(-EACCES, "the profiles' roles go round in a circle: "
	    "'%s' from '%s'; let one source_profile name a profile with keys",
	    profile, text);
}

static int
fetch_one(const struct s3_fetch *f, const char *profile,
    const struct chain *up, struct s3_fetched *out)
{
	const struct chain here = { profile, up,
	    up != NULL ? up->depth + 1 : 0 }, *c;
	enum s3_profile_kind kind = s3_profile_kind(f->aws, profile);

	for (c = up; c != NULL && strcmp(c->profile, profile) != 0; c = c->up)
		continue;
	/* One that names itself means the keys it has beside the role. */
	if (c != NULL && c == up)
		kind = plain_kind(f->aws, profile);
	if ((c != NULL && (c != up || kind == S3_PROFILE_NONE)) ||
	    here.depth >= CHAIN_MAX)
		return circle(up, profile);
	switch (kind) {
	case S3_PROFILE_ROLE:
		return fetch_role(f, &here, out);
	case S3_PROFILE_WEB:
		return fetch_web(f, profile, out);
	case S3_PROFILE_SHARED:
		return fetch_keys(f, AWS_CREDENTIALS, profile, out);
	case S3_PROFILE_PROCESS:
		return s3_fetch_process(f, profile, aws_config_get(f->aws,
		    profile, "credential_process"), out);
	case S3_PROFILE_CONFIG:
		return fetch_keys(f, AWS_CONFIG, profile, out);
	case S3_PROFILE_OTHER:
		return s3_profile_refuse(f->aws, profile);
	case S3_PROFILE_NONE:
		break;
	}
	return log_plain(-EACCES, "profile '%s' in %s has no keys; write "
	    "aws_access_key_id and aws_secret_access_key there", profile,
	    aws_config_files(f->aws));
}

int
s3_fetch_profile(const struct s3_fetch *f, struct s3_fetched *out)
{
	return fetch_one(f, aws_config_profile(f->aws), NULL, out);
}
