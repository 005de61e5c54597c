/* SPDX-License-Identifier: Apache-2.0 */
/* Lifecycle documents: ours is changed, those of others stay. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/err.h"
#include "store/s3_rules.h"

#define HEAD	"<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n" \
		"<LifecycleConfiguration xmlns=" \
		"\"http://s3.amazonaws.com/doc/2006-03-01/\">"
#define TAIL	"</LifecycleConfiguration>"
#define LOGS	"<Rule>\n <ID>logs &amp; more</ID><Filter><And><Prefix>logs/" \
		"</Prefix><ObjectSizeGreaterThan>131072" \
		"</ObjectSizeGreaterThan></And></Filter>" \
		"<Status>Enabled</Status><Expiration><Days>7</Days>" \
		"</Expiration><Novel x=\"1\"><Deep>&#x41;</Deep></Novel></Rule>"
#define PARTS	"<Rule><ID>mpu</ID><Filter><Prefix></Prefix></Filter>" \
		"<Status>Enabled</Status><AbortIncompleteMultipartUpload>" \
		"<DaysAfterInitiation>7</DaysAfterInitiation>" \
		"</AbortIncompleteMultipartUpload></Rule>"
#define OURS(days, to) "<Rule><ID>us</ID><Filter><Prefix>a/data/</Prefix>" \
		"</Filter><Status>Enabled</Status><Transition><Days>" days \
		"</Days><StorageClass>" to "</StorageClass></Transition></Rule>"

/* The document after our rule was set; class NULL: taken away. */
static void
assert_edit(const char *text, const char *class_name, unsigned days,
    const char *want, size_t want_n)
{
	struct buf out = BUF_INIT(1 << 20);
	struct s3_rules r;
	size_t n;

	assert_int_equal(s3_rules_parse(text, strlen(text), &r), 0);
	assert_int_equal(s3_rules_edit(text, &r, "us", "a/data/", class_name,
	    days, &out, &n), 0);
	assert_int_equal(n, want_n);
	assert_non_null(buf_cstr(&out));
	if (want != NULL)
		assert_string_equal((char *)out.data, want);
	s3_rules_release(&r);
	buf_release(&out);
}

static void
test_edit(void **state)
{
	(void)state;
	assert_edit(HEAD LOGS "\n  " PARTS "\n" TAIL, "GLACIER", 5,
	    HEAD LOGS "\n  " PARTS OURS("5", "GLACIER") "\n" TAIL, 3);
	assert_edit(HEAD LOGS OURS("5", "GLACIER") "\n" PARTS TAIL,
	    "DEEP_ARCHIVE", 0,
	    HEAD LOGS "\n" PARTS OURS("0", "DEEP_ARCHIVE") TAIL, 3);
	assert_edit(HEAD LOGS OURS("5", "GLACIER") PARTS TAIL, NULL, 0,
	    HEAD LOGS PARTS TAIL, 2);
	assert_edit(HEAD OURS("5", "GLACIER") TAIL, NULL, 0, NULL, 0);
	assert_edit(HEAD TAIL, "GLACIER", 5, "<LifecycleConfiguration xmlns="
	    "\"http://s3.amazonaws.com/doc/2006-03-01/\">"
	    OURS("5", "GLACIER") TAIL, 1);
	assert_edit("<LifecycleConfiguration/>", NULL, 0, NULL, 0);
}

static void
test_edit_forms(void **state)
{
	(void)state;
	/* The prefix of a name space, and the old form of a prefix. */
	assert_edit("<s:LifecycleConfiguration xmlns:s=\"x\"><s:Rule><s:ID>o"
	    "</s:ID><s:Prefix>b/</s:Prefix><s:Status>Enabled</s:Status>"
	    "</s:Rule></s:LifecycleConfiguration>", "GLACIER", 1,
	    "<s:LifecycleConfiguration xmlns:s=\"x\"><s:Rule><s:ID>o"
	    "</s:ID><s:Prefix>b/</s:Prefix><s:Status>Enabled</s:Status>"
	    "</s:Rule><s:Rule><s:ID>us</s:ID><s:Prefix>a/data/</s:Prefix>"
	    "<s:Status>Enabled</s:Status><s:Transition><s:Days>1</s:Days>"
	    "<s:StorageClass>GLACIER</s:StorageClass></s:Transition></s:Rule>"
	    "</s:LifecycleConfiguration>", 2);
}

static int
same(const char *a, const char *b)
{
	struct s3_rules ra, rb;
	int ret;

	assert_int_equal(s3_rules_parse(a, strlen(a), &ra), 0);
	assert_int_equal(s3_rules_parse(b, strlen(b), &rb), 0);
	ret = s3_rules_same(&ra, &rb, "us");
	s3_rules_release(&ra);
	s3_rules_release(&rb);
	return ret;
}

static void
test_same(void **state)
{
	(void)state;
	assert_true(same(HEAD LOGS PARTS TAIL,
	    "<LifecycleConfiguration>" PARTS OURS("5", "GLACIER") LOGS TAIL));
	assert_false(same(HEAD LOGS PARTS TAIL, HEAD LOGS TAIL));
	assert_false(same(HEAD LOGS TAIL, HEAD PARTS TAIL));
	/* Elements in another order, and blanks, are the same. */
	assert_true(same(HEAD "<Rule><ID>a</ID><Status>Enabled</Status></Rule>"
	    TAIL, HEAD "<Rule> <Status> Enabled</Status>\n<ID>a</ID></Rule>"
	    TAIL));
	assert_false(same(HEAD "<Rule><ID>a</ID><Status>Enabled</Status>"
	    "</Rule>" TAIL, HEAD "<Rule><ID>a</ID><Status>Disabled</Status>"
	    "</Rule>" TAIL));
	/* Which tag has which value. */
	assert_false(same(HEAD "<Rule><T><K>a</K><V>1</V></T><T><K>b</K>"
	    "<V>2</V></T></Rule>" TAIL, HEAD "<Rule><T><K>a</K><V>2</V></T>"
	    "<T><K>b</K><V>1</V></T></Rule>" TAIL));
	assert_false(same(HEAD "<Rule><A>1</A></Rule>" TAIL,
	    HEAD "<Rule><A>1</A><A>1</A></Rule>" TAIL));
}

#define RULE(where, what) HEAD "<Rule><ID>x</ID><Filter>" where "</Filter>" \
	"<Status>Enabled</Status>" what "</Rule>" TAIL
#define EXPIRE	"<Expiration><Days>9</Days></Expiration>"
#define FREEZE	"<Transition><StorageClass>GLACIER</StorageClass></Transition>"

static void
test_harm(void **state)
{
	static const struct {
		const char *text;
		int harm, expires;
		const char *freezes;
	} rows[] = {
		{ RULE("<Prefix></Prefix>", EXPIRE), 1, 1, "" },
		{ RULE("", EXPIRE), 1, 1, "" },
		{ RULE("<Prefix>a/</Prefix>", EXPIRE), 1, 1, "" },
		{ RULE("<Prefix>a/data/</Prefix>", EXPIRE), 1, 1, "" },
		{ RULE("<Prefix>a/meta/00</Prefix>", FREEZE), 1, 0,
		    "GLACIER" },
		{ RULE("<Prefix>a/data/</Prefix>", FREEZE), 0, 0, "" },
		{ RULE("<Prefix></Prefix>", FREEZE), 1, 0, "GLACIER" },
		{ RULE("<And><Prefix>a/</Prefix><ObjectSizeLessThan>5"
		    "</ObjectSizeLessThan></And>", FREEZE EXPIRE), 1, 1,
		    "GLACIER" },
		{ RULE("<Prefix>ab/</Prefix>", EXPIRE), 0, 0, "" },
		/* Beside what a repository has. */
		{ RULE("<Prefix>a/logs/</Prefix>", EXPIRE), 0, 0, "" },
		{ RULE("<Prefix>a/config/</Prefix>", EXPIRE), 0, 0, "" },
		{ RULE("<Prefix>a/conf</Prefix>", EXPIRE), 1, 1, "" },
		{ RULE("<Prefix>a/tier/2</Prefix>", EXPIRE), 1, 1, "" },
		{ RULE("<Prefix>a/da</Prefix>", FREEZE), 0, 0, "" },
		{ RULE("<Tag><Key>k</Key><Value>v</Value></Tag>", EXPIRE), 0,
		    0, "" },
		{ RULE("<Prefix></Prefix>", "<Transition><StorageClass>"
		    "STANDARD_IA</StorageClass></Transition>"), 0, 0, "" },
		{ RULE("<Prefix></Prefix>", "<Expiration>"
		    "<ExpiredObjectDeleteMarker>true"
		    "</ExpiredObjectDeleteMarker></Expiration>"), 0, 0, "" },
		{ RULE("<Prefix></Prefix>", "<NoncurrentVersionExpiration>"
		    "<NoncurrentDays>9</NoncurrentDays>"
		    "</NoncurrentVersionExpiration>"), 0, 0, "" },
		{ HEAD "<Rule><ID>x</ID><Prefix>a/</Prefix><Status>Disabled"
		    "</Status>" EXPIRE "</Rule>" TAIL, 0, 0, "" },
		{ HEAD "<Rule><ID>x</ID><Prefix>a/</Prefix><Status>Enabled"
		    "</Status>" EXPIRE "</Rule>" TAIL, 1, 1, "" },
	};
	struct store_rule harm;
	struct s3_rules r;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		print_message("rule %zu\n", i);
		assert_int_equal(s3_rules_parse(rows[i].text,
		    strlen(rows[i].text), &r), 0);
		assert_int_equal(s3_rule_harms(&r.rule[0], "a/",
		    &harm), rows[i].harm);
		assert_int_equal(harm.expires, rows[i].expires);
		assert_string_equal(harm.freezes, rows[i].freezes);
		s3_rules_release(&r);
	}
}

/* In the root of a bucket, with others' things beside it. */
static void
test_harm_root(void **state)
{
	static const char *const rows[][2] = {
		{ RULE("<Prefix>logs/</Prefix>", EXPIRE), "" },
		{ RULE("<Prefix>other/data/</Prefix>", EXPIRE), "" },
		{ RULE("<Prefix></Prefix>", EXPIRE), "harm" },
		{ RULE("<Prefix>meta/</Prefix>", EXPIRE), "harm" },
		{ RULE("<Prefix>config</Prefix>", EXPIRE), "harm" },
	};
	struct store_rule harm;
	struct s3_rules r;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		print_message("rule %zu\n", i);
		assert_int_equal(s3_rules_parse(rows[i][0],
		    strlen(rows[i][0]), &r), 0);
		assert_int_equal(s3_rule_harms(&r.rule[0], "", &harm),
		    rows[i][1][0] != '\0');
		s3_rules_release(&r);
	}
}

/* The longest prefix there is. */
static void
test_long_prefix(void **state)
{
	char text[4096], prefix[S3_KEY_MAX + 2];
	struct s3_rules r;
	int over;

	(void)state;
	for (over = 0; over < 2; over++) {
		memset(prefix, 'x', S3_KEY_MAX + (size_t)over);
		prefix[S3_KEY_MAX + over] = '\0';
		snprintf(text, sizeof(text), HEAD "<Rule><ID>x</ID><Prefix>%s"
		    "</Prefix><Status>Enabled</Status></Rule>" TAIL, prefix);
		assert_int_equal(s3_rules_parse(text, strlen(text), &r),
		    over ? -FIRN_ECORRUPT : 0);
		if (!over)
			assert_string_equal(r.rule[0].prefix, prefix);
		s3_rules_release(&r);
	}
}

static void
test_other_kind(void **state)
{
	static const char *const other[] = { "<Other/>",
	    "<ListBucketResult><IsTruncated>false</IsTruncated>"
	    "<Contents><Key>a</Key></Contents></ListBucketResult>" };
	struct s3_rules r;
	size_t i;

	(void)state;
	for (i = 0; i < 2; i++) {
		assert_int_equal(s3_rules_parse(other[i], strlen(other[i]),
		    &r), -EOPNOTSUPP);
		s3_rules_release(&r);
	}
}

static void
test_bad(void **state)
{
	static const char *const bad[] = { "", "<Other>", HEAD LOGS,
	    HEAD "<Rule/>" TAIL, "<html></html>",
	    HEAD "<Rule><ID>x</ID>" TAIL };
	struct s3_rules r;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		assert_int_equal(s3_rules_parse(bad[i], strlen(bad[i]), &r),
		    -FIRN_ECORRUPT);
		s3_rules_release(&r);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_edit),
		cmocka_unit_test(test_edit_forms),
		cmocka_unit_test(test_same),
		cmocka_unit_test(test_harm),
		cmocka_unit_test(test_harm_root),
		cmocka_unit_test(test_long_prefix),
		cmocka_unit_test(test_other_kind),
		cmocka_unit_test(test_bad),
	};

	return cmocka_run_group_tests_name("s3_rules", tests, NULL, NULL) != 0;
}
