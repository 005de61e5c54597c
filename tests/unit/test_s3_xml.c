/* SPDX-License-Identifier: Apache-2.0 */
/*
 * S3's documents, as servers write them and as an enemy would.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/buf.h"
#include "base/err.h"
#include "store/s3_xml.h"

#define HEAD	"<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"
#define LIST	"<ListBucketResult xmlns=" \
		"\"http://s3.amazonaws.com/doc/2006-03-01/\">"

static int
error_of(const char *text, struct s3_error *e)
{
	return s3_xml_error(text, strlen(text), e);
}

static void
test_error(void **state)
{
	struct s3_error e;

	(void)state;
	assert_int_equal(error_of(HEAD "<Error><Code>RequestTimeTooSkewed"
	    "</Code><Message>The difference &lt;is&gt; too large</Message>"
	    "<RequestTime>x</RequestTime><ServerTime>2026-11-21T09:13:36Z"
	    "</ServerTime><Deep><Code>no</Code></Deep></Error>", &e), 0);
	assert_string_equal(e.code, "RequestTimeTooSkewed");
	assert_string_equal(e.message, "The difference <is> too large");
	assert_string_equal(e.server_time, "2026-11-21T09:13:36Z");
	assert_string_equal(e.region, "");
	/* With a prefix, white space before, and a line break in a text. */
	assert_int_equal(error_of("  <s:Error xmlns:s=\"x\"><s:Code>A&#10;B"
	    "</s:Code><s:Region>eu-west-1</s:Region></s:Error>", &e), 0);
	assert_string_equal(e.code, "A?B");
	assert_string_equal(e.region, "eu-west-1");
	assert_int_equal(error_of("<Other><Code>x</Code></Other>", &e), 0);
	assert_string_equal(e.code, "");
}

static void
test_error_bad(void **state)
{
	static const char *const bad[] = { "", "x", "<Error>", "<Error/><x/>",
	    "<Error><Code>x</Error>", "<Error>\x01</Error>",
	    "<Error>\xff</Error>", "<Error>&x;</Error>",
	    "<!DOCTYPE html><html></html>",
	    "<!DOCTYPE Error [<!ENTITY a \"aaaa\">]><Error>&a;</Error>",
	    "<!DOCTYPE Error SYSTEM \"file:///etc/passwd\"><Error/>",
	    "<?xml version=\"1.0\" encoding=\"x-none\"?><Error" };
	struct buf deep = BUF_INIT(1 << 20);
	struct s3_error e;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		assert_int_equal(error_of(bad[i], &e), -FIRN_ECORRUPT);
		assert_string_equal(e.code, "");
	}
	assert_int_equal(s3_xml_error("<a>\0</a>", 8, &e), -FIRN_ECORRUPT);
	/* 16 deep is taken, 17 is not. */
	for (i = 0; i < 17; i++)
		assert_int_equal(buf_printf(&deep, "<a>"), 0);
	for (i = 0; i < 17; i++)
		assert_int_equal(buf_printf(&deep, "</a>"), 0);
	assert_int_equal(s3_xml_error(deep.data, deep.len, &e),
	    -FIRN_ECORRUPT);
	assert_int_equal(s3_xml_error(deep.data + 3, deep.len - 7, &e), 0);
	/* A text without end. */
	buf_reset(&deep);
	assert_int_equal(buf_printf(&deep, "<Error><Code>"), 0);
	for (i = 0; i < 100000; i++)
		assert_int_equal(buf_add_u8(&deep, 'a'), 0);
	assert_int_equal(buf_printf(&deep, "</Code></Error>"), 0);
	assert_int_equal(s3_xml_error(deep.data, deep.len, &e),
	    -FIRN_ECORRUPT);
	buf_release(&deep);
}

struct seen {
	char text[4096];
	int stop;
};

static int
see(void *ctx, const struct s3_listed *o)
{
	struct seen *s = ctx;
	size_t n = strlen(s->text);

	snprintf(s->text + n, sizeof(s->text) - n, "[%s %llu %lld%s%s", o->key,
	    (unsigned long long)o->size, (long long)o->mtime.tv_sec,
	    o->class_name[0] != '\0' ? " " : "", o->class_name);
	n = strlen(s->text);
	if (o->restore != S3_RESTORE_NONE)
		n += (size_t)snprintf(s->text + n, sizeof(s->text) - n,
		    " %s %lld", o->restore == S3_RESTORE_RUNS ? "runs" :
		    "done", (long long)o->expires);
	snprintf(s->text + n, sizeof(s->text) - n, "]");
	return s->stop;
}

static int
list_of(const char *text, struct s3_listing *l, struct seen *s)
{
	memset(s->text, 0, sizeof(s->text));
	l->fn = see;
	l->ctx = s;
	return s3_xml_list(text, strlen(text), l);
}

static void
test_list(void **state)
{
	struct seen s = { "", 0 };
	struct s3_listing l;

	(void)state;
	assert_int_equal(list_of(HEAD LIST "<Name>b</Name><Prefix>p</Prefix>"
	    "<KeyCount>2</KeyCount><MaxKeys>1000</MaxKeys>"
	    "<IsTruncated>true</IsTruncated>"
	    "<NextContinuationToken>1/+=&amp;</NextContinuationToken>"
	    "<Contents><Key>a+b%41&amp;</Key><LastModified>"
	    "2009-10-12T17:50:30.000Z</LastModified><ETag>&quot;x&quot;</ETag>"
	    "<Size>434234</Size><StorageClass>NEW</StorageClass></Contents>"
	    "<Contents><Size>0</Size><Owner><ID>1</ID></Owner><Key>b</Key>"
	    "</Contents><CommonPrefixes><Prefix>q</Prefix></CommonPrefixes>"
	    "</ListBucketResult>", &l, &s), 0);
	assert_string_equal(s.text, "[a+b%41& 434234 1255369830 NEW]"
	    "[b 0 0]");
	assert_int_equal(l.truncated, 1);
	assert_string_equal(l.token, "1/+=&");
	assert_int_equal(list_of(LIST "</ListBucketResult>", &l, &s), 0);
	assert_string_equal(s.text, "");
	assert_int_equal(l.truncated, 0);
}

static void
test_list_restores(void **state)
{
	struct seen s = { "", 0 };
	struct s3_listing l;

	(void)state;
	assert_int_equal(list_of(LIST "<Contents><Key>a</Key><Size>1</Size>"
	    "<RestoreStatus><IsRestoreInProgress>true</IsRestoreInProgress>"
	    "</RestoreStatus><StorageClass>GLACIER</StorageClass></Contents>"
	    "<Contents><Key>b</Key><Size>1</Size><StorageClass>DEEP_ARCHIVE"
	    "</StorageClass><RestoreStatus><RestoreExpiryDate>"
	    "2012-12-21T00:00:00.000Z</RestoreExpiryDate><IsRestoreInProgress>"
	    "false</IsRestoreInProgress></RestoreStatus></Contents><Contents>"
	    "<Key>c</Key><Size>1</Size><StorageClass>A&#9;B</StorageClass>"
	    "</Contents><Contents><Key>d</Key><Size>1</Size><RestoreStatus>"
	    "<IsRestoreInProgress>false</IsRestoreInProgress></RestoreStatus>"
	    "<StorageClass>GLACIER</StorageClass></Contents>"
	    "</ListBucketResult>", &l, &s), 0);
	assert_string_equal(s.text, "[a 1 0 GLACIER runs 0]"
	    "[b 1 0 DEEP_ARCHIVE done 1356048000][c 1 0 A?B]"
	    "[d 1 0 GLACIER]");
}

static void
test_copied(void **state)
{
	static const char *const bad[] = { "", "<CopyObjectResult/>",
	    "<Error><Code>InternalError</Code></Error>",
	    "<CopyObjectResult><ChecksumSHA256>x</ChecksumSHA256>"
	    "</CopyObjectResult>", "<CopyObjectResult><ETag>x</ETag>" };
	static const char good[] = HEAD "<CopyObjectResult xmlns="
	    "\"http://s3.amazonaws.com/doc/2006-03-01/\"><ETag>&quot;x&quot;"
	    "</ETag><ChecksumSHA256>abc=</ChecksumSHA256></CopyObjectResult>";
	struct s3_copied c;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_int_equal(s3_xml_copied(bad[i], strlen(bad[i]), &c),
		    -FIRN_ECORRUPT);
	assert_int_equal(s3_xml_copied(good, strlen(good), &c), 0);
	assert_string_equal(c.etag, "\"x\"");
	assert_string_equal(c.checksum, "abc=");
}

/* Said before the keys by some servers, behind them by others. */
static void
test_list_encoded(void **state)
{
	struct seen s = { "", 0 };
	struct s3_listing l;

	(void)state;
	assert_int_equal(list_of(LIST "<EncodingType>url</EncodingType>"
	    "<Contents><Key>a+b%2bc%C3%bC/d</Key><Size>1</Size></Contents>"
	    "</ListBucketResult>", &l, &s), 0);
	assert_string_equal(s.text, "[a b+c\xc3\xbc/d 1 0]");
	assert_int_equal(list_of(LIST "<Contents><Key>%20</Key><Size>1</Size>"
	    "</Contents><EncodingType>url</EncodingType>"
	    "</ListBucketResult>", &l, &s), 0);
	assert_string_equal(s.text, "[  1 0]");
	/* A NUL is none of ours; a broken escape is an error. */
	assert_int_equal(list_of(LIST "<EncodingType>url</EncodingType>"
	    "<Contents><Key>a%00b</Key><Size>1</Size></Contents>"
	    "</ListBucketResult>", &l, &s), 0);
	assert_string_equal(s.text, "");
	assert_int_equal(list_of(LIST "<EncodingType>url</EncodingType>"
	    "<Contents><Key>a%4</Key><Size>1</Size></Contents>"
	    "</ListBucketResult>", &l, &s), -FIRN_ECORRUPT);
}

static void
test_list_bad(void **state)
{
	static const char *const bad[] = { "", "<html></html>",
	    "<Error><Code>x</Code></Error>",
	    LIST "<IsTruncated>true</IsTruncated></ListBucketResult>",
	    LIST "<Contents><Key>a</Key><Size>x</Size></Contents>"
	    "</ListBucketResult>",
	    LIST "<Contents><Key>a</Key><Size>-1</Size></Contents>"
	    "</ListBucketResult>",
	    LIST "<Contents><Key>a</Key><Size>9999999999999999999</Size>"
	    "</Contents></ListBucketResult>",
	    LIST "<Contents><Key>a</Key></Contents>" };
	struct seen s = { "", 0 };
	struct s3_listing l;
	char *text = malloc(20000);
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_int_equal(list_of(bad[i], &l, &s), -FIRN_ECORRUPT);
	/* fn's answer comes back. */
	s.stop = 77;
	assert_int_equal(list_of(LIST "<Contents><Key>a</Key><Size>1</Size>"
	    "</Contents><Contents><Key>b</Key><Size>1</Size></Contents>"
	    "</ListBucketResult>", &l, &s), 77);
	assert_string_equal(s.text, "[a 1 0]");
	s.stop = 0;
	/* Keys and tokens over their sizes. */
	snprintf(text, 20000, LIST "<Contents><Key>%01025d</Key><Size>1</Size>"
	    "</Contents></ListBucketResult>", 1);
	assert_int_equal(list_of(text, &l, &s), 0);
	assert_string_equal(s.text, "");
	snprintf(text, 20000, LIST "<NextContinuationToken>%04097d"
	    "</NextContinuationToken></ListBucketResult>", 1);
	assert_int_equal(list_of(text, &l, &s), -FIRN_ECORRUPT);
	free(text);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_error),
		cmocka_unit_test(test_error_bad),
		cmocka_unit_test(test_list),
		cmocka_unit_test(test_list_encoded),
		cmocka_unit_test(test_list_bad),
		cmocka_unit_test(test_list_restores),
		cmocka_unit_test(test_copied),
	};

	return cmocka_run_group_tests_name("s3_xml", tests, NULL, NULL) != 0;
}
