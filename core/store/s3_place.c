/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where a bucket is: options, the URL, the environment, AWS's files.
 */
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "base/log.h"
#include "store/aws_config.h"
#include "store/s3_place.h"

/* The first of them that is there and not empty. */
static const char *
first_of(const char *a, const char *b, const char *c)
{
	if (a != NULL && a[0] != '\0')
		return a;
	return b != NULL && b[0] != '\0' ? b : c;
}

static const char *
region_of(const struct store_conf *conf, const struct s3_url_query *q,
    const struct aws_config *aws)
{
	const char *env = first_of(aws_env("AWS_REGION"),
	    aws_env("AWS_DEFAULT_REGION"), aws_config_get(aws,
	    aws_config_profile(aws), "region"));

	return first_of(first_of(conf->region, q->region, env), "us-east-1",
	    NULL);
}

static int
style_of(const struct store_conf *conf, const struct s3_url_query *q,
    const struct aws_config *aws)
{
	const char *said = first_of(q->style, aws_config_get_s3(aws,
	    "addressing_style"), "auto");
	int style = s3_url_style(said);

	if (conf->path_style >= 0)
		return conf->path_style;
	if (style < -1)
		log_warn(0, "addressing_style '%s' of profile '%s' is not "
		    "path, virtual or auto", said, aws_config_profile(aws));
	return style < -1 ? -1 : style;
}

static int
url_find(struct s3_place *p, const char *url, const struct store_conf *conf,
    const struct s3_url_query *q, const struct aws_config *aws)
{
	const struct s3_url_conf u = {
		.region = region_of(conf, q, aws),
		.endpoint = first_of(conf->endpoint, q->endpoint,
		    aws_config_endpoint(aws, "s3")),
		.path_style = style_of(conf, q, aws),
		.dualstack = aws_config_switch(aws,
		    "AWS_USE_DUALSTACK_ENDPOINT", "use_dualstack_endpoint", 0),
		.fips = aws_config_switch(aws, "AWS_USE_FIPS_ENDPOINT",
		    "use_fips_endpoint", 0),
	};
	const char *why;
	int err = s3_url_init(&p->url, url, &u, &why);

	return err == 0 ? 0 : log_err(err, "cannot use '%s'%s%s: %s", url,
	    u.endpoint != NULL ? " at " : "", first_of(u.endpoint, "", ""),
	    why);
}

int
s3_place_check(const char *url, const struct store_conf *conf)
{
	const struct s3_url_conf plain = { .region = "us-east-1",
	    .endpoint = conf->endpoint, .path_style = -1 };
	struct s3_url_query q;
	struct s3_url u;
	const char *why;
	int err = s3_url_query(url, &q, &why);

	if (err == 0)
		err = s3_url_init(&u, url, &plain, &why);
	return err == -EINVAL ? log_plain(err, "cannot use '%s': %s", url, why)
	    : err;
}

int
s3_place_find(struct s3_place *p, const char *url,
    const struct store_conf *conf)
{
	struct aws_config *aws = NULL;
	struct s3_url_query q;
	const char *why, *ca;
	int err;

	memset(p, 0, sizeof(*p));
	err = s3_url_query(url, &q, &why);
	if (err != 0)
		return log_err(err, "cannot use '%s': %s", url, why);
	memcpy(p->profile, q.profile, sizeof(p->profile));
	err = aws_config_load(q.profile, &aws);
	if (err == 0)
		err = url_find(p, url, conf, &q, aws);
	ca = err == 0 ? aws_config_either(aws, "AWS_CA_BUNDLE", "ca_bundle") :
	    NULL;
	if (ca != NULL && (p->ca_file = strdup(ca)) == NULL)
		err = log_err(-ENOMEM, "cannot open '%s'", url);
	aws_config_free(aws);
	return err;
}

void
s3_place_release(struct s3_place *p)
{
	free(p->ca_file);
	p->ca_file = NULL;
}
