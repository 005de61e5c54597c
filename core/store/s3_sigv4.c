/* SPDX-License-Identifier: Apache-2.0 */
/*
 * AWS Signature Version 4.  Derived keys and the secret are wiped from the
 * stack, session tokens (a header of S3's, a parameter of STS's) from what is
 * freed.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "base/hex.h"
#include "crypto/hash.h"
#include "store/s3_sigv4.h"

#define QUERY_MAX	16
#define HEADERS_MAX	32
#define DAY_LEN		8	/* of a date */
#define ALGORITHM	"AWS4-HMAC-SHA256"

static int
is_unreserved(char c)
{
	return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') ||
	    (c >= '0' && c <= '9') || c == '-' || c == '.' || c == '_' ||
	    c == '~';
}

int
sigv4_encode(const char *text, size_t len, int keep_slash, struct buf *out)
{
	static const char digits[] = "0123456789ABCDEF";
	size_t i;

	for (i = 0; i < len; i++) {
		uint8_t c = (uint8_t)text[i];

		if (is_unreserved(text[i]) || (c == '/' && keep_slash)) {
			buf_add_u8(out, c);
			continue;
		}
		buf_add_u8(out, '%');
		buf_add_u8(out, (uint8_t)digits[c >> 4]);
		buf_add_u8(out, (uint8_t)digits[c & 15]);
	}
	return buf_err(out);
}

/* Encoded, with a NUL behind each. */
struct encoded {
	const char *name;
	const char *value;
};

static int
encoded_cmp(const void *a, const void *b)
{
	const struct encoded *x = a, *y = b;
	int c = strcmp(x->name, y->name);

	return c != 0 ? c : strcmp(x->value, y->value);
}

/* Sorted as pairs of encoded texts: "select-type=" < "select=" as texts, but
 * the name "select" comes before "select-type". */
int
sigv4_query(const struct sigv4_pair *pair, size_t n, struct buf *out)
{
	struct buf text = BUF_INIT(64u << 10);
	struct encoded e[QUERY_MAX];
	size_t at[QUERY_MAX][2], i, room = 0;
	int err;

	if (n > QUERY_MAX)
		return -EINVAL;
	for (i = 0; i < n; i++)		/* three for one, when encoded */
		room += 3 * (strlen(pair[i].name) + strlen(pair[i].value)) + 2;
	if (n > 0)
		buf_reserve(&text, room < text.max ? room : text.max);
	for (i = 0; i < n; i++) {
		at[i][0] = text.len;
		sigv4_encode(pair[i].name, strlen(pair[i].name), 0, &text);
		buf_add_u8(&text, 0);
		at[i][1] = text.len;
		sigv4_encode(pair[i].value, strlen(pair[i].value), 0, &text);
		buf_add_u8(&text, 0);
	}
	err = buf_err(&text);
	for (i = 0; i < n && err == 0; i++) {
		e[i].name = (char *)text.data + at[i][0];
		e[i].value = (char *)text.data + at[i][1];
	}
	if (err == 0 && n > 0)
		qsort(e, n, sizeof(e[0]), encoded_cmp);
	for (i = 0; i < n && err == 0; i++)
		err = buf_printf(out, "%s%s=%s", i > 0 ? "&" : "", e[i].name,
		    e[i].value);
	buf_wipe(&text);
	return err;
}

int
sigv4_date(time_t t, char out[SIGV4_DATE_SIZE])
{
	struct tm tm;

	if (gmtime_r(&t, &tm) == NULL || tm.tm_year < 1000 - 1900 ||
	    tm.tm_year > 9999 - 1900)
		return -EINVAL;
	return strftime(out, SIGV4_DATE_SIZE, "%Y%m%dT%H%M%SZ", &tm) > 0 ? 0 :
	    -EINVAL;
}

static int
header_cmp(const void *a, const void *b)
{
	return strcmp(((const struct sigv4_pair *)a)->name,
	    ((const struct sigv4_pair *)b)->name);
}

/* Sorted by name alone; a value's text has no part in it. */
static int
sort_headers(const struct sigv4_request *r, struct sigv4_pair *out)
{
	if (r->nheaders == 0 || r->nheaders > HEADERS_MAX)
		return -EINVAL;
	memcpy(out, r->header, r->nheaders * sizeof(*out));
	qsort(out, r->nheaders, sizeof(*out), header_cmp);
	return 0;
}

/* Trimmed, and runs of blanks made one. */
static void
add_value(struct buf *out, const char *v)
{
	v += strspn(v, " \t");
	while (*v != '\0') {
		size_t word = strcspn(v, " \t");

		buf_add(out, v, word);
		v += word;
		v += strspn(v, " \t");
		if (*v != '\0')
			buf_add_u8(out, ' ');
	}
}

static void
add_names(struct buf *out, const struct sigv4_pair *h, size_t n)
{
	size_t i;

	for (i = 0; i < n; i++)
		buf_printf(out, "%s%s", i > 0 ? ";" : "", h[i].name);
}

/* Enough for the canonical request, a NUL behind it included: values only become
 * shorter. */
static size_t
canonical_room(const struct sigv4_request *r)
{
	size_t room = strlen(r->method) + strlen(r->path) + strlen(r->query) +
	    strlen(r->payload) + 6, i;

	for (i = 0; i < r->nheaders; i++)	/* names twice */
		room += 2 * strlen(r->header[i].name) +
		    strlen(r->header[i].value) + 3;
	return room;
}

int
sigv4_canonical(const struct sigv4_request *r, struct buf *out)
{
	struct sigv4_pair h[HEADERS_MAX];
	size_t room = canonical_room(r), left = out->max - out->len, i;
	int err = sort_headers(r, h);

	if (err != 0)
		return err;
	/* It holds the session token; growing would leave copies. */
	buf_reserve(out, room < left ? room : left);
	buf_printf(out, "%s\n%s\n%s\n", r->method, r->path, r->query);
	for (i = 0; i < r->nheaders; i++) {
		buf_printf(out, "%s:", h[i].name);
		add_value(out, h[i].value);
		buf_add_u8(out, '\n');
	}
	buf_add_u8(out, '\n');
	add_names(out, h, r->nheaders);
	buf_printf(out, "\n%s", r->payload);
	return buf_err(out);
}

static const char *
service_of(const struct sigv4_keys *k)
{
	return k->service != NULL ? k->service : "s3";
}

int
sigv4_string_to_sign(const struct sigv4_keys *k, const char *date,
    const struct buf *canonical, struct buf *out)
{
	uint8_t sum[HASH_SIZE];
	char hex[2 * HASH_SIZE + 1];
	int err = hash_sha256(canonical->data, canonical->len, sum);

	if (err != 0)
		return err;
	hex_encode(sum, sizeof(sum), hex);
	return buf_printf(out, ALGORITHM "\n%s\n%.*s/%s/%s/aws4_request\n%s",
	    date, DAY_LEN, date, k->region, service_of(k), hex);
}

int
sigv4_signature(const struct sigv4_keys *k, const char *date,
    const struct buf *string_to_sign, char out[SIGV4_SIGNATURE_SIZE])
{
	struct buf secret = BUF_INIT(4096);
	uint8_t key[HASH_SIZE];
	int err;

	err = buf_printf(&secret, "AWS4%s", k->secret);
	if (err == 0)
		err = hash_hmac(secret.data, secret.len, date, DAY_LEN, key);
	if (err == 0)
		err = hash_hmac(key, sizeof(key), k->region,
		    strlen(k->region), key);
	if (err == 0)
		err = hash_hmac(key, sizeof(key), service_of(k),
		    strlen(service_of(k)), key);
	if (err == 0)
		err = hash_hmac(key, sizeof(key), "aws4_request", 12, key);
	if (err == 0)
		err = hash_hmac(key, sizeof(key), string_to_sign->data,
		    string_to_sign->len, key);
	if (err == 0)
		hex_encode(key, sizeof(key), out);
	explicit_bzero(key, sizeof(key));
	if (secret.data != NULL)
		explicit_bzero(secret.data, secret.cap);
	buf_release(&secret);
	return err;
}

int
sigv4_authorization(const struct sigv4_request *r,
    const struct sigv4_keys *k, const char *date, struct buf *out)
{
	struct buf canonical = BUF_INIT(64u << 10), text = BUF_INIT(4096);
	struct sigv4_pair h[HEADERS_MAX];
	char signature[SIGV4_SIGNATURE_SIZE];
	int err;

	if (strlen(date) != SIGV4_DATE_SIZE - 1)
		return -EINVAL;
	err = sigv4_canonical(r, &canonical);
	if (err == 0)
		err = sigv4_string_to_sign(k, date, &canonical, &text);
	if (err == 0)
		err = sigv4_signature(k, date, &text, signature);
	if (err == 0)
		err = sort_headers(r, h);
	if (err == 0) {
		buf_printf(out, ALGORITHM " Credential=%s/%.*s/%s/%s/"
		    "aws4_request,SignedHeaders=", k->access, DAY_LEN, date,
		    k->region, service_of(k));
		add_names(out, h, r->nheaders);
		err = buf_printf(out, ",Signature=%s", signature);
	}
	buf_wipe(&canonical);
	buf_release(&text);
	return err;
}
