/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where the files are, which profile is in use, and the environment beside
 * it.
 */
#include <fcntl.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/file.h"
#include "base/log.h"
#include "store/aws_config.h"

struct aws_config {
	struct aws_file *file[2];	/* by enum aws_file_kind */
	char *profile;
	char *files;		/* for messages */
};

const char *
aws_env(const char *name)
{
	const char *s = getenv(name);

	return s != NULL && s[0] != '\0' ? s : NULL;
}

/* What init starts, such as a mount of fstab, has no HOME. */
static char *
home_get(void)
{
	const char *home = aws_env("HOME");
	struct passwd pw, *found = NULL;
	char text[4096];

	if (home == NULL && getpwuid_r(getuid(), &pw, text, sizeof(text),
	    &found) == 0 && found != NULL)
		home = pw.pw_dir;
	return strdup(home != NULL ? home : "");
}

/* A file's place: the variable's, in which "~/" may lead, or the usual one. */
static char *
path_make(const char *home, const char *env, const char *usual)
{
	const char *s = aws_env(env);
	char *path;
	int n;

	if (s == NULL)
		n = asprintf(&path, "%s/.aws/%s", home, usual);
	else if (strncmp(s, "~/", 2) == 0)
		n = asprintf(&path, "%s/%s", home, s + 2);
	else
		n = asprintf(&path, "%s", s);
	return n < 0 ? NULL : path;
}

static int
file_read(const char *path, enum aws_file_kind kind, struct aws_file **out)
{
	struct buf text = BUF_INIT(AWS_FILE_MAX);
	int err = file_load(AT_FDCWD, path, &text);

	/* As with AWS's tools, none there is as good as an empty one. */
	if (err == -ENOENT || err == -ENOTDIR)
		err = 0;
	if (err == 0)
		err = aws_file_parse(text.data, text.len, kind, out);
	buf_wipe(&text);
	if (err == 0 || err == -ENOMEM)
		return err;
	log_err(err, "cannot read '%s'", path);
	return -EACCES;
}

static int
files_read(struct aws_config *c)
{
	char *home = home_get(), *credentials = NULL, *config = NULL;
	int err = -ENOMEM;

	if (home != NULL) {
		credentials = path_make(home, "AWS_SHARED_CREDENTIALS_FILE",
		    "credentials");
		config = path_make(home, "AWS_CONFIG_FILE", "config");
	}
	if (credentials != NULL && config != NULL &&
	    asprintf(&c->files, "'%s' and '%s'", credentials, config) < 0)
		c->files = NULL;
	if (c->files != NULL)
		err = file_read(credentials, AWS_CREDENTIALS,
		    &c->file[AWS_CREDENTIALS]);
	if (err == 0)
		err = file_read(config, AWS_CONFIG, &c->file[AWS_CONFIG]);
	free(home);
	free(credentials);
	free(config);
	return err;
}

/* *named: somebody asked for it. */
static int
profile_choose(struct aws_config *c, const char *profile, int *named)
{
	if (profile == NULL || profile[0] == '\0')
		profile = aws_env("AWS_PROFILE");
	if (profile == NULL)
		profile = aws_env("AWS_DEFAULT_PROFILE");
	*named = profile != NULL;
	c->profile = strdup(profile != NULL ? profile : "default");
	return c->profile == NULL ? -ENOMEM : 0;
}

int
aws_config_load(const char *profile, struct aws_config **out)
{
	struct aws_config *c = calloc(1, sizeof(*c));
	int named = 0, err;

	*out = NULL;
	err = c == NULL ? -ENOMEM : profile_choose(c, profile, &named);
	if (err == 0)
		err = files_read(c);
	if (err == 0 && named && strcmp(c->profile, "default") != 0 &&
	    !aws_config_has(c, c->profile))
		err = log_plain(-EACCES, "there is no profile '%s' in %s; "
		    "check what names it (URL, --profile, AWS_PROFILE) and the "
		    "names in the files",
		    c->profile, c->files);
	if (err == -ENOMEM)
		log_err(err, "cannot read the configuration of AWS");
	if (err != 0) {
		aws_config_free(c);
		return err;
	}
	*out = c;
	return 0;
}

void
aws_config_free(struct aws_config *c)
{
	if (c == NULL)
		return;
	aws_file_free(c->file[AWS_CREDENTIALS]);
	aws_file_free(c->file[AWS_CONFIG]);
	free(c->profile);
	free(c->files);
	free(c);
}

const char *
aws_config_profile(const struct aws_config *c)
{
	return c->profile;
}

const char *
aws_config_files(const struct aws_config *c)
{
	return c->files;
}

int
aws_config_has(const struct aws_config *c, const char *profile)
{
	return aws_file_has(c->file[AWS_CREDENTIALS], AWS_PROFILE, profile) ||
	    aws_file_has(c->file[AWS_CONFIG], AWS_PROFILE, profile);
}

static const char *
not_empty(const char *s)
{
	return s != NULL && s[0] != '\0' ? s : NULL;
}

const char *
aws_config_get_in(const struct aws_config *c, enum aws_file_kind file,
    const char *profile, const char *key)
{
	return not_empty(aws_file_get(c->file[file], AWS_PROFILE, profile, key,
	    NULL));
}

const char *
aws_config_get(const struct aws_config *c, const char *profile,
    const char *key)
{
	const char *v = aws_config_get_in(c, AWS_CREDENTIALS, profile, key);

	return v != NULL ? v : aws_config_get_in(c, AWS_CONFIG, profile, key);
}

const char *
aws_config_get_s3(const struct aws_config *c, const char *key)
{
	return not_empty(aws_file_get(c->file[AWS_CONFIG], AWS_PROFILE,
	    c->profile, "s3", key));
}

const char *
aws_config_either(const struct aws_config *c, const char *env,
    const char *key)
{
	const char *v = aws_env(env);

	return v != NULL ? v : aws_config_get(c, c->profile, key);
}

int
aws_config_switch(const struct aws_config *c, const char *env,
    const char *key, int otherwise)
{
	const char *v = aws_config_either(c, env, key);

	if (v == NULL)
		return otherwise;
	return strcasecmp(v, "true") == 0 || strcmp(v, "1") == 0;
}

const char *
aws_config_endpoint(const struct aws_config *c, const char *service)
{
	const char *v, *section;

	if (aws_config_switch(c, "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS",
	    "ignore_configured_endpoint_urls", 0))
		return NULL;
	v = aws_env(strcmp(service, "s3") == 0 ? "AWS_ENDPOINT_URL_S3" :
	    "AWS_ENDPOINT_URL_STS");
	if (v == NULL)
		v = aws_env("AWS_ENDPOINT_URL");
	section = aws_config_get(c, c->profile, "services");
	if (v == NULL && section != NULL)
		v = not_empty(aws_file_get(c->file[AWS_CONFIG], AWS_SERVICES,
		    section, service, "endpoint_url"));
	return v != NULL ? v : aws_config_get(c, c->profile, "endpoint_url");
}
