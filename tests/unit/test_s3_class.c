/* SPDX-License-Identifier: Apache-2.0 */
/* What headers and listings say of archived objects. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "store/s3_class.h"

static void
test_restore(void **state)
{
	static const struct {
		const char *text;
		enum s3_restore restore;
		time_t expires;
	} rows[] = {
		{ "", S3_RESTORE_NONE, 0 },
		{ "nonsense", S3_RESTORE_NONE, 0 },
		{ "ongoing-request=\"true\"", S3_RESTORE_RUNS, 0 },
		{ "ongoing-request=true", S3_RESTORE_NONE, 0 },
		{ "ongoing-request=\"maybe\"", S3_RESTORE_NONE, 0 },
		{ "ongoing-request=\"false\", expiry-date="
		    "\"Fri, 21 Dec 2012 00:00:00 GMT\"", S3_RESTORE_DONE,
		    1356048000 },
		{ "expiry-date=\"Thu, 29 Feb 2024 23:59:58 GMT\", "
		    "ongoing-request=\"false\"", S3_RESTORE_DONE, 1709251198 },
		{ "ongoing-request=\"false\"", S3_RESTORE_NONE, 0 },
		{ "ongoing-request=\"false\", expiry-date=\"soon\"",
		    S3_RESTORE_NONE, 0 },
		{ "ongoing-request=\"false\", expiry-date="
		    "\"Fri, 31 Feb 2012 00:00:00 GMT\"", S3_RESTORE_NONE, 0 },
		{ "ongoing-request=\"false\", expiry-date="
		    "\"Fri, 21 Dez 2012 00:00:00 GMT\"", S3_RESTORE_NONE, 0 },
		{ "ongoing-request=\"false\", expiry-date="
		    "\"Fri, 21 Dec 2012 00:00\"", S3_RESTORE_NONE, 0 },
	};
	time_t expires;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		assert_int_equal(s3_class_restore(rows[i].text, &expires),
		    rows[i].restore);
		assert_int_equal(expires, rows[i].expires);
	}
}

#define RUNS	"ongoing-request=\"true\""
#define DONE	"ongoing-request=\"false\", expiry-date=" \
		"\"Fri, 21 Dec 2012 00:00:00 GMT\""

static void
test_head(void **state)
{
	static const struct {
		const char *class, *restore, *archive;
		enum store_state state;
	} rows[] = {
		{ "", "", "", STORE_HOT },
		{ "STANDARD_IA", "", "", STORE_HOT },
		{ "GLACIER_IR", "", "", STORE_HOT },
		{ "GLACIER", "", "", STORE_COLD },
		{ "DEEP_ARCHIVE", RUNS, "", STORE_THAWING },
		{ "DEEP_ARCHIVE", DONE, "", STORE_THAWED },
		{ "INTELLIGENT_TIERING", "", "", STORE_HOT },
		{ "INTELLIGENT_TIERING", "", "ARCHIVE_ACCESS", STORE_COLD },
		{ "INTELLIGENT_TIERING", RUNS, "DEEP_ARCHIVE_ACCESS",
		    STORE_THAWING },
		{ "INTELLIGENT_TIERING", DONE, "", STORE_HOT },
		{ "OTHERS_OWN", "", "", STORE_HOT },
		{ "OTHERS_OWN", "ongoing-request=\"false\"", "", STORE_HOT },
		{ "GLACIER", "ongoing-request=\"false\"", "", STORE_COLD },
		{ "OTHERS_OWN", RUNS, "", STORE_THAWING },
	};
	struct store_stat st;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		memset(&st, 0xee, sizeof(st));
		s3_class_of_head(rows[i].class, rows[i].restore,
		    rows[i].archive, &st);
		assert_int_equal(st.state, rows[i].state);
		assert_int_equal(st.state_known, 1);
		assert_int_equal(st.expires, st.state == STORE_THAWED ?
		    1356048000 : 0);
	}
	s3_class_of_head("A\tB\xff", "", "", &st);
	assert_string_equal(st.class_name, "A?B?");
}

static void
test_names(void **state)
{
	char longest[STORE_CLASS_SIZE + 1];

	(void)state;
	memset(longest, 'A', STORE_CLASS_SIZE);
	longest[STORE_CLASS_SIZE] = '\0';
	assert_int_equal(s3_class_ok(longest), 0);
	longest[STORE_CLASS_SIZE - 1] = '\0';
	assert_int_equal(s3_class_ok(longest), 1);
	assert_int_equal(s3_class_ok(""), 0);
	assert_int_equal(s3_class_ok("A B"), 0);
	assert_int_equal(store_class_is_cold("GLACIER"), 1);
	assert_int_equal(store_class_is_cold("GLACIER_IR"), 0);
	assert_int_equal(store_class_is_instant("GLACIER_IR"), 1);
	assert_int_equal(store_class_is_instant("INTELLIGENT_TIERING"), 0);
	assert_int_equal(store_class_is_instant("OTHERS_OWN"), 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_restore),
		cmocka_unit_test(test_head),
		cmocka_unit_test(test_names),
	};

	return cmocka_run_group_tests_name("s3_class", tests, NULL, NULL) != 0;
}
