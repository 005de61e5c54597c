/* SPDX-License-Identifier: Apache-2.0 */
/* Signing any texts: method, path, pairs of names and values, a line each. */
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "store/s3_sigv4.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char *
line(char **rest)
{
	char *start = *rest, *end = start + strcspn(start, "\n");

	*rest = *end != '\0' ? end + 1 : end;
	*end = '\0';
	return start;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const struct sigv4_keys keys = { "AKID", "SECRET", "us-east-1", NULL };
	struct buf query = BUF_INIT(8192), out = BUF_INIT(8192);
	struct sigv4_pair pair[20];
	struct sigv4_request r = { .header = pair, .payload = "x" };
	char text[4096], *rest = text;

	if (size >= sizeof(text))
		return 0;
	memcpy(text, data, size);
	text[size] = '\0';
	r.method = line(&rest);
	r.path = line(&rest);
	while (*rest != '\0' && r.nheaders < 20) {
		pair[r.nheaders].name = line(&rest);
		pair[r.nheaders++].value = line(&rest);
	}
	if (sigv4_query(pair, r.nheaders, &query) == 0)
		r.query = buf_cstr(&query);
	if (r.query == NULL)
		r.query = "";
	if (strspn(r.query, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuv"
	    "wxyz0123456789-._~%=&") != strlen(r.query))
		__builtin_trap();
	(void)sigv4_authorization(&r, &keys, "20130524T000000Z", &out);
	buf_release(&query);
	buf_release(&out);
	return 0;
}
