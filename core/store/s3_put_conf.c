/* SPDX-License-Identifier: Apache-2.0 */
/* How new objects are stored: from options to headers. */
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "base/log.h"
#include "store/s3_put_conf.h"

#define VALUE_MAX	256

int
s3_put_conf_value_ok(const char *text)
{
	size_t i;

	for (i = 0; text[i] != '\0'; i++)
		if (text[i] <= ' ' || text[i] > '~' || i == VALUE_MAX)
			return 0;
	return i > 0;
}

static int
take(const char *option, const char *text, char **out)
{
	if (!s3_put_conf_value_ok(text))
		return log_plain(-EINVAL, "--%s '%s': want letters, digits "
		    "and signs without blanks", option, text);
	*out = strdup(text);
	return *out == NULL ? log_err(-ENOMEM, "cannot open the store") : 0;
}

static int
take_sse(struct s3_put_conf *p, const char *sse)
{
	if (strcmp(sse, "s3") == 0) {
		p->sse = "AES256";
		return 0;
	}
	if (strcmp(sse, "kms") == 0 || strncmp(sse, "kms:", 4) == 0) {
		p->sse = "aws:kms";
		return sse[3] == '\0' ? 0 : take("sse", sse + 4, &p->kms_key);
	}
	return log_plain(-EINVAL, "--sse '%s': want s3, kms or kms:KEYID", sse);
}

int
s3_put_conf_init(struct s3_put_conf *p, const struct store_conf *conf)
{
	int err = 0;

	memset(p, 0, sizeof(*p));
	if (conf->bucket_owner != NULL &&
	    !s3_put_conf_value_ok(conf->bucket_owner))
		return log_plain(-EINVAL, "--bucket-owner '%s': want the id of "
		    "an account, 12 digits", conf->bucket_owner);
	if (conf->sse != NULL)
		err = take_sse(p, conf->sse);
	if (err == 0 && conf->tier != NULL)
		err = take("tier", conf->tier, &p->tier);
	if (err == 0 && conf->meta_class != NULL) {
		if (!store_class_is_instant(conf->meta_class))
			return log_plain(-EINVAL, "--meta-class '%s': metadata "
			    "must be readable at once; want STANDARD, "
			    "STANDARD_IA, ONEZONE_IA or GLACIER_IR",
			    conf->meta_class);
		err = take("meta-class", conf->meta_class, &p->meta_class);
	}
	return err;
}

int
s3_put_conf_set_tier(struct s3_put_conf *p, const char *class_name)
{
	char *copy = strdup(class_name);

	if (copy == NULL)
		return log_err(-ENOMEM, "cannot set the storage class");
	free(p->tier);
	p->tier = copy;
	return 0;
}

void
s3_put_conf_release(struct s3_put_conf *p)
{
	free(p->kms_key);
	free(p->tier);
	free(p->meta_class);
	memset(p, 0, sizeof(*p));
}

size_t
s3_put_conf_headers(const struct s3_put_conf *p, unsigned flags,
    struct sigv4_pair *out)
{
	const char *class = flags & STORE_DATA ? p->tier : p->meta_class;
	size_t n = 0;

	if (class != NULL)
		out[n++] = (struct sigv4_pair){ "x-amz-storage-class", class };
	if (p->sse != NULL)
		out[n++] = (struct sigv4_pair){
		    "x-amz-server-side-encryption", p->sse };
	if (p->kms_key != NULL)
		out[n++] = (struct sigv4_pair){
		    "x-amz-server-side-encryption-aws-kms-key-id",
		    p->kms_key };
	return n;
}
