/* SPDX-License-Identifier: Apache-2.0 */
/* URL, region and endpoint, a line each: what comes of them is a host and
 * paths that can stand in a request. */
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "store/s3_url.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Only printable ASCII without blanks and what begins something else. */
static void
check(const char *text)
{
	for (; *text != '\0'; text++)
		if (*text <= ' ' || *text > '~' || strchr("?#@\\", *text))
			__builtin_trap();
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char text[2048], *region, *endpoint;
	struct s3_url_conf conf = { .path_style = -1 };
	struct s3_url_query q;
	struct s3_url u;
	const char *why;

	if (size >= sizeof(text))
		return 0;
	memcpy(text, data, size);
	text[size] = '\0';
	region = text + strcspn(text, "\n");
	if (*region != '\0')
		*region++ = '\0';
	endpoint = region + strcspn(region, "\n");
	if (*endpoint != '\0')
		*endpoint++ = '\0';
	(void)s3_url_query(text, &q, &why);
	conf.region = region;
	conf.endpoint = endpoint;
	if (s3_url_init(&u, text, &conf, &why) != 0)
		return 0;
	check(u.host);
	check(u.path);
	check(u.root);
	if (strstr(u.path, "/../") != NULL || strstr(u.path, "//") != NULL)
		__builtin_trap();
	(void)s3_url_set_region(&u, endpoint);
	check(u.host);
	return 0;
}
