/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The files that AWS's tools share: ~/.aws/config and ~/.aws/credentials.
 *
 * docs.aws.amazon.com/sdkref/latest/guide/file-format.html
 *
 * Read whole, and looked into by profile and key.  Of a key that comes twice
 * the last one counts; sections of one name are one.  Values may be secrets:
 * all of it is wiped when freed.  Not changed once loaded, so thread-safe.
 */
#ifndef FIRN_STORE_AWS_CONFIG_H
#define FIRN_STORE_AWS_CONFIG_H

#include <stddef.h>

#define AWS_FILE_MAX	(1u << 20)

/* One file. */
struct aws_file;
enum aws_file_kind {
	AWS_CONFIG,		/* sections [profile NAME], [default],
				 * [services NAME] */
	AWS_CREDENTIALS		/* sections [NAME] */
};
enum aws_section { AWS_PROFILE, AWS_SERVICES };

/* Total over any bytes: a line that is none of the format is passed over, as
 * the tools of AWS do.  -FIRN_ECORRUPT only for a NUL. */
int aws_file_parse(const void *text, size_t len, enum aws_file_kind kind,
    struct aws_file **out);
void aws_file_free(struct aws_file *f);
int aws_file_has(const struct aws_file *f, enum aws_section section,
    const char *name);
/* `sub` NULL: the value of `key`.  Else that of `sub` in the lines indented
 * below `key =`.  NULL when there is none.  Keys are lower-case. */
const char *aws_file_get(const struct aws_file *f, enum aws_section section,
    const char *name, const char *key, const char *sub);

/* Both files, the environment beside them, and the profile in use. */
struct aws_config;

/*
 * `profile` "" or NULL: AWS_PROFILE, AWS_DEFAULT_PROFILE, then "default".
 * Files that are not there are empty.  -EACCES, logged, for one that cannot be
 * read, and for a profile that was named and is in neither.
 */
int aws_config_load(const char *profile, struct aws_config **out);
void aws_config_free(struct aws_config *c);
const char *aws_config_profile(const struct aws_config *c);
/* For messages: "'/root/.aws/credentials' and '/root/.aws/config'". */
const char *aws_config_files(const struct aws_config *c);
int aws_config_has(const struct aws_config *c, const char *profile);
/* The credentials file first.  NULL for none; an empty value is none. */
const char *aws_config_get(const struct aws_config *c, const char *profile,
    const char *key);
/* In one of the files only. */
const char *aws_config_get_in(const struct aws_config *c,
    enum aws_file_kind file, const char *profile, const char *key);
/* Of the profile in use, below its line `s3 =`. */
const char *aws_config_get_s3(const struct aws_config *c, const char *key);
/* The environment's variable, then the key of the profile in use. */
const char *aws_config_either(const struct aws_config *c, const char *env,
    const char *key);
/* The same as a switch: 1, 0, or `otherwise` when it is not said. */
int aws_config_switch(const struct aws_config *c, const char *env,
    const char *key, int otherwise);
/*
 * The URL that was set for a service, "s3" or "sts", or NULL:
 * AWS_ENDPOINT_URL_<SERVICE>, AWS_ENDPOINT_URL, then the profile's services
 * section, then its endpoint_url; none of them where
 * AWS_IGNORE_CONFIGURED_ENDPOINT_URLS says so.
 */
const char *aws_config_endpoint(const struct aws_config *c,
    const char *service);

/* A variable that is set and not empty, or NULL. */
const char *aws_env(const char *name);

#endif
