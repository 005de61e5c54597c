/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Signatures that a server agrees with: random requests, signed by s3_sigv4.h
 * and sent by s3_http.h, with any UTF-8 in keys and queries, slashes and dots
 * in places that a proxy would tidy up, and blanks in headers.
 *
 *	FIRN_TEST_SIGN_URL	http://HOST:PORT, without which it is skipped
 *	FIRN_TEST_SIGN_BUCKET	a bucket that exists
 *	FIRN_TEST_SIGN_COUNT	requests; 10000
 *	FIRN_TEST_SIGN_BLANKS	also runs of blanks and tabs in headers, and such
 *				at their ends, which are signed as one blank
 *				and as none; RGW 16 does not do so
 *	FIRN_TEST_SEED		printed; random without it
 *	AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <sys/random.h>
#include <time.h>

#include <cmocka.h>

#include "base/err.h"
#include "base/hex.h"
#include "crypto/hash.h"
#include "store/s3_http.h"
#include "store/s3_sigv4.h"

#define KEYS	64	/* objects that are there */
#define META	6
#define PAIRS	8

static uint64_t state_of_dice;

static uint64_t
dice(uint64_t sides)	/* splitmix64 */
{
	uint64_t z = state_of_dice += 0x9e3779b97f4a7c15u;

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
	z = (z ^ z >> 27) * 0x94d049bb133111ebu;
	return (z ^ z >> 31) % sides;
}

static void
add_utf8(struct buf *b, uint32_t c)
{
	if (c < 0x80) {
		buf_add_u8(b, (uint8_t)c);
	} else if (c < 0x800) {
		buf_add_u8(b, (uint8_t)(0xc0 | c >> 6));
		buf_add_u8(b, (uint8_t)(0x80 | (c & 0x3f)));
	} else if (c < 0x10000) {
		buf_add_u8(b, (uint8_t)(0xe0 | c >> 12));
		buf_add_u8(b, (uint8_t)(0x80 | (c >> 6 & 0x3f)));
		buf_add_u8(b, (uint8_t)(0x80 | (c & 0x3f)));
	} else {
		buf_add_u8(b, (uint8_t)(0xf0 | c >> 18));
		buf_add_u8(b, (uint8_t)(0x80 | (c >> 12 & 0x3f)));
		buf_add_u8(b, (uint8_t)(0x80 | (c >> 6 & 0x3f)));
		buf_add_u8(b, (uint8_t)(0x80 | (c & 0x3f)));
	}
}

/* A character that a text of XML may hold, so that listings can name it. */
static uint32_t
any_character(void)
{
	uint32_t c;

	switch (dice(4)) {
	case 0:
		return 0x20 + (uint32_t)dice(0x5f);
	case 1:
		return 0xa0 + (uint32_t)dice(0x700);
	case 2:
		do
			c = 0x800 + (uint32_t)dice(0xf700);
		while (c >= 0xd800 && c < 0xe000);
		return c;
	default:
		return 0x10000 + (uint32_t)dice(0x100000);
	}
}

/* Text of 1 to `most` characters: a name of ours, signs, or anything. */
static char *
any_text(struct buf *b, unsigned most, int slashes)
{
	static const char ours[] = "abcdefghijklmnopqrstuvwxyz0123456789._-TZ";
	static const char signs[] = " !\"#$%&'()*+,-.:;<=>?@[\\]^_`{|}~";
	uint64_t kind = dice(3), n = 1 + dice(most), i;

	buf_reset(b);
	for (i = 0; i < n; i++) {
		if (slashes && dice(8) == 0)
			buf_add(b, "/", 1);
		else if (slashes && dice(30) == 0)
			buf_add(b, "/../", 3 + dice(2));
		else if (kind == 0)
			buf_add(b, &ours[dice(sizeof(ours) - 1)], 1);
		else if (kind == 1)
			buf_add(b, &signs[dice(sizeof(signs) - 1)], 1);
		else
			add_utf8(b, any_character());
	}
	assert_non_null(buf_cstr(b));
	return (char *)b->data;
}

struct object {
	struct buf key;
	char body[256];
	size_t len;
	int there;
};

struct run {
	struct s3_http *http;
	const char *url, *bucket, *host;
	struct sigv4_keys keys;
	struct object object[KEYS];
	uint64_t nth;
};

/* A request in the making. */
struct asked {
	const char *verb;
	enum s3_http_method method;
	const char *key;	/* NULL for the bucket */
	size_t keylen;
	struct sigv4_pair pair[PAIRS];
	size_t npairs;
	struct sigv4_pair header[META + 4];
	size_t nheaders;
	const char *body;
	size_t len;
};

static void
add_header(struct asked *a, const char *name, const char *value)
{
	a->header[a->nheaders++] = (struct sigv4_pair){ name, value };
}

static void
sign_and_send(struct run *r, struct asked *a, struct buf *doc,
    struct s3_http_reply *rp)
{
	struct buf path = BUF_INIT(8192), query = BUF_INIT(16384);
	struct buf auth = BUF_INIT(16384), text = BUF_INIT(65536);
	uint8_t sum[HASH_SIZE];
	char payload[2 * HASH_SIZE + 1], date[SIGV4_DATE_SIZE];
	const char *line[META + 5];
	size_t at[META + 5], i;
	struct sigv4_request rq = { .method = a->verb, .header = a->header,
	    .payload = payload };
	struct s3_http_request http = { .method = a->method, .header = line,
	    .body = a->body, .len = a->len, .doc = doc };

	assert_int_equal(hash_sha256(a->body != NULL ? a->body : "", a->len,
	    sum), 0);
	hex_encode(sum, sizeof(sum), payload);
	assert_int_equal(sigv4_date(time(NULL), date), 0);
	add_header(a, "host", r->host);
	add_header(a, "x-amz-date", date);
	add_header(a, "x-amz-content-sha256", payload);
	buf_printf(&path, "/%s", r->bucket);
	if (a->key != NULL) {
		buf_add(&path, "/", 1);
		sigv4_encode(a->key, a->keylen, 1, &path);
	}
	assert_int_equal(sigv4_query(a->pair, a->npairs, &query), 0);
	rq.path = buf_cstr(&path);
	rq.query = buf_cstr(&query);
	rq.nheaders = a->nheaders;
	assert_int_equal(sigv4_authorization(&rq, &r->keys, date, &auth), 0);
	add_header(a, "authorization", buf_cstr(&auth));
	for (i = 0; i < a->nheaders; i++) {
		at[i] = text.len;
		buf_printf(&text, "%s: %s", a->header[i].name,
		    a->header[i].value);
		buf_add_u8(&text, 0);
	}
	at[i] = text.len;
	buf_printf(&text, "%s%s%s%s", r->url, rq.path, query.len > 0 ? "?" :
	    "", rq.query);
	assert_non_null(buf_cstr(&text));
	for (i = 0; i < a->nheaders; i++)
		line[i] = (char *)text.data + at[i];
	http.url = (char *)text.data + at[i];
	http.nheaders = a->nheaders;
	assert_int_equal(s3_http_do(r->http, &http, rp), S3_HTTP_DONE);
	if (rp->status == 403 || rp->status == 400) {
		print_message("request %llu: %s %s\n",
		    (unsigned long long)r->nth, a->verb, http.url);
		for (i = 0; i < a->nheaders; i++)
			print_message("%s|\n", line[i]);
		print_message("%.*s\n", (int)doc->len, (char *)doc->data);
	}
	buf_release(&path);
	buf_release(&query);
	buf_release(&auth);
	buf_release(&text);
}

/* x-amz-meta-*, of which some names begin others, and blanks in values. */
static void
add_meta(struct asked *a, char name[META][48], char value[META][64])
{
	static const char signs[] = "abcXYZ019 \t  ,;:=/+\"";
	size_t n = dice(META + 1), i, k, len;
	int runs = getenv("FIRN_TEST_SIGN_BLANKS") != NULL;

	for (i = 0; i < n; i++) {
		snprintf(name[i], 48, "x-amz-meta-%.*s%zu", (int)dice(4),
		    "a-b", i);
		len = 1 + dice(60);
		for (k = 0; k < len; k++) {
			value[i][k] = signs[dice(sizeof(signs) - 1)];
			if (!runs && (value[i][k] == '\t' ||
			    (value[i][k] == ' ' && (k == 0 || k == len - 1 ||
			    value[i][k - 1] == ' '))))
				value[i][k] = '-';
		}
		value[i][dice(len)] = 'x';	/* never blanks alone */
		value[i][len] = '\0';
		add_header(a, name[i], value[i]);
	}
}

/* A key that no other has, which short ones might. */
static void
new_key(struct run *r, struct object *o)
{
	size_t i = 0;

	while (i < KEYS) {
		any_text(&o->key, 60, 1);
		for (i = 0; i < KEYS; i++)
			if (&r->object[i] != o &&
			    r->object[i].key.len == o->key.len &&
			    memcmp(r->object[i].key.data, o->key.data,
			    o->key.len) == 0)
				break;
	}
}

static void
put(struct run *r, struct object *o, struct buf *doc)
{
	struct asked a = { .verb = "PUT", .method = S3_HTTP_PUT };
	char name[META][48], value[META][64];
	struct s3_http_reply rp;
	size_t i;

	if (!o->there)
		new_key(r, o);
	o->len = dice(sizeof(o->body));
	for (i = 0; i < o->len; i++)
		o->body[i] = (char)dice(256);
	a.key = (char *)o->key.data;
	a.keylen = o->key.len;
	a.body = o->body;
	a.len = o->len;
	add_meta(&a, name, value);
	sign_and_send(r, &a, doc, &rp);
	assert_int_equal(rp.status, 200);
	o->there = 1;
}

static void
use(struct run *r, struct object *o, struct buf *doc)
{
	static const struct {
		const char *verb;
		enum s3_http_method method;
		int status[2];	/* when it is not there, when it is */
	} how[] = {
		{ "GET", S3_HTTP_GET, { 404, 200 } },
		{ "HEAD", S3_HTTP_HEAD, { 404, 200 } },
		{ "DELETE", S3_HTTP_DELETE, { 204, 204 } },
	};
	size_t h = dice(8) < 5 ? 0 : 1 + dice(2);
	struct asked a = { .verb = how[h].verb, .method = how[h].method };
	char name[META][48], value[META][64];
	struct s3_http_reply rp;

	a.key = (char *)o->key.data;
	a.keylen = o->key.len;
	if (h == 0 && dice(2) == 0)
		a.pair[a.npairs++] = (struct sigv4_pair){
		    "response-content-type", "text/x plain; a=\"b+c\"" };
	add_meta(&a, name, value);
	sign_and_send(r, &a, doc, &rp);
	assert_int_equal(rp.status, how[h].status[o->there]);
	if (h == 0 && o->there) {
		assert_int_equal(doc->len, o->len);
		if (o->len > 0)
			assert_memory_equal(doc->data, o->body, o->len);
	}
	if (h == 2)
		o->there = 0;
}

static void
list(struct run *r, struct buf *doc)
{
	struct asked a = { .verb = "GET", .method = S3_HTTP_GET };
	struct buf prefix = BUF_INIT(1024), after = BUF_INIT(1024);
	struct buf unknown = BUF_INIT(1024);
	struct s3_http_reply rp;

	a.pair[a.npairs++] = (struct sigv4_pair){ "list-type", "2" };
	a.pair[a.npairs++] = (struct sigv4_pair){ "encoding-type", "url" };
	a.pair[a.npairs++] = (struct sigv4_pair){ "max-keys", "3" };
	if (dice(2) == 0)
		a.pair[a.npairs++] = (struct sigv4_pair){ "prefix",
		    any_text(&prefix, 20, 1) };
	if (dice(2) == 0)
		a.pair[a.npairs++] = (struct sigv4_pair){ "start-after",
		    any_text(&after, 20, 1) };
	/* Names of which one begins another, and equal ones. */
	if (dice(2) == 0) {
		a.pair[a.npairs++] = (struct sigv4_pair){ "x-select", "" };
		a.pair[a.npairs++] = (struct sigv4_pair){ "x-select-type",
		    any_text(&unknown, 20, 1) };
	}
	sign_and_send(r, &a, doc, &rp);
	assert_int_equal(rp.status, 200);
	assert_true(doc->len > 0);
	buf_release(&prefix);
	buf_release(&after);
	buf_release(&unknown);
}

static uint64_t
number(const char *name, uint64_t otherwise)
{
	const char *s = getenv(name);

	return s != NULL && *s != '\0' ? strtoull(s, NULL, 0) : otherwise;
}

static void
test_random(void **state)
{
	atomic_int no = 0;
	const struct s3_http_conf conf = { .connections = 1,
	    .connect_secs = 60, .stall_secs = 60, .canceled = &no };
	struct run *r = test_calloc(1, sizeof(*r));
	struct buf doc = BUF_INIT(1u << 20);
	uint64_t count = number("FIRN_TEST_SIGN_COUNT", 10000), seed = 0, k;
	size_t i;

	(void)state;
	r->url = getenv("FIRN_TEST_SIGN_URL");
	r->bucket = getenv("FIRN_TEST_SIGN_BUCKET");
	if (r->url == NULL || r->bucket == NULL) {
		test_free(r);
		print_message("FIRN_TEST_SIGN_URL is not set\n");
		skip();
	}
	assert_int_equal(getrandom(&seed, 4, 0), 4);
	seed = number("FIRN_TEST_SEED", seed);
	print_message("FIRN_TEST_SEED=%llu\n", (unsigned long long)seed);
	state_of_dice = seed;
	r->host = strstr(r->url, "://") + 3;
	r->keys = (struct sigv4_keys){ getenv("AWS_ACCESS_KEY_ID"),
	    getenv("AWS_SECRET_ACCESS_KEY"), "us-east-1", NULL };
	assert_int_equal(s3_http_new(&conf, &r->http), 0);
	for (i = 0; i < KEYS; i++)
		buf_init(&r->object[i].key, 1024);
	for (r->nth = 1; r->nth <= count; r->nth++) {
		struct object *o = &r->object[dice(KEYS)];

		k = dice(10);
		if (k < 2)
			list(r, &doc);
		else if (k < 6 || o->key.len == 0)
			put(r, o, &doc);
		else
			use(r, o, &doc);
	}
	print_message("%llu requests were accepted\n",
	    (unsigned long long)count);
	for (i = 0; i < KEYS; i++)
		buf_release(&r->object[i].key);
	s3_http_free(r->http);
	buf_release(&doc);
	test_free(r);
}

int
main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_random) };

	return cmocka_run_group_tests_name("sigv4 random", tests, NULL, NULL)
	    != 0;
}
