/* SPDX-License-Identifier: Apache-2.0 */
/* What sources of keys give: any bytes, as JSON of either form, as XML of STS,
 * as a time, a command and a URL.  Keys that come of it can stand in a header
 * line. */
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "store/s3_cred_internal.h"
#include "store/s3_xml.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
check(const char *s, int needed)
{
	if (needed && *s == '\0')
		__builtin_trap();
	for (; *s != '\0'; s++)
		if (*s <= ' ' || *s > '~')
			__builtin_trap();
}

static void
json(const uint8_t *data, size_t size, enum s3_cred_form form)
{
	struct s3_fetched out;
	const char *why;
	int good = s3_cred_json(data, size, form, &out, &why) == 0;

	if (good != (why == NULL))
		__builtin_trap();
	check(out.keys.access, good);
	check(out.keys.secret, good);
	check(out.keys.session, 0);
}

static void
texts(const uint8_t *data, size_t size)
{
	struct buf words = BUF_INIT(4096);
	char text[1024];
	time_t t;
	size_t n, i;

	if (size >= sizeof(text))
		return;
	memcpy(text, data, size);
	text[size] = '\0';
	(void)s3_cred_time(text, &t);
	(void)s3_container_url_ok(text);
	if (s3_process_split(text, &words, &n) == 0) {
		for (i = 0; i < words.len; i++)
			n -= words.data[i] == '\0';
		if (n != 0 || words.len > size + 1)
			__builtin_trap();
	}
	buf_release(&words);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct s3_sts sts;

	json(data, size, S3_CRED_PROCESS);
	json(data, size, S3_CRED_METADATA);
	texts(data, size);
	if (s3_xml_sts(data, size, &sts) == 0) {
		if (sts.access[0] == '\0' || sts.secret[0] == '\0' ||
		    sts.session[0] == '\0' || sts.expiration[0] == '\0')
			__builtin_trap();
	} else if (sts.secret[0] != '\0') {
		__builtin_trap();
	}
	return 0;
}
