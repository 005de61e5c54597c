/* SPDX-License-Identifier: Apache-2.0 */
/*
 * File metadata: extended attributes, ACLs, capabilities.
 */
#include "fsmeta_test.h"

/* u::rw- u:1234:r-- g::r-- m::rw- o::--- and the like, as the kernel's ABI
 * has them (include/uapi/linux/posix_acl_xattr.h). */
static const uint8_t acl[] = {
	2, 0, 0, 0,
	1, 0, 6, 0, 0xff, 0xff, 0xff, 0xff,
	2, 0, 4, 0, 0xd2, 0x04, 0, 0,
	4, 0, 4, 0, 0xff, 0xff, 0xff, 0xff,
	0x10, 0, 6, 0, 0xff, 0xff, 0xff, 0xff,
	0x20, 0, 0, 0, 0xff, 0xff, 0xff, 0xff
};
/* cap_net_raw=ep, revision 2 */
static const uint8_t caps[] = {
	1, 0, 0, 2, 0, 0x20, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0
};

static void
test_xattrs(void **state)
{
	struct fsmeta m;
	struct rd r;
	struct xattr x;
	int i;
	char name[300], value[64];

	(void)state;
	need_root();
	make("f", S_IFREG);
	for (i = 40; i >= 0; i--) {
		snprintf(name, sizeof(name), "%s.%d.%.*s",
		    i % 2 ? "user" : "trusted", i, i,
		    "\xff\xfe=========================================");
		set("f", name, value, (size_t)snprintf(value, sizeof(value),
		    "value %d", i));
	}
	set("f", "user.empty", "", 0);
	set("f", "security.capability", caps, sizeof(caps));
	set("f", "system.posix_acl_access", acl, sizeof(acl));
	assert_int_equal(fchownat(rootfd, "f", 1000, 1000, 0), 0);
	assert_int_equal(fchmodat(rootfd, "f", 06755, 0), 0);
	/* chown has taken it away. */
	set("f", "security.capability", caps, sizeof(caps));
	load("f", &m);
	assert_int_equal(xattr_check(m.xattr.data, m.xattr.len), 0);
	r = rd_init(m.xattr.data, m.xattr.len);
	for (i = 0; rd_left(&r) > 0; i++)
		assert_int_equal(xattr_decode(&r, &x), 0);
	assert_true(i >= 44);
	fsmeta_release(&m);
	there_and_back("f", "to");
}

static void
test_acls(void **state)
{
	struct fsmeta m;
	uint8_t v[256];

	(void)state;
	need_root();
	make("d", S_IFDIR);
	set("d", "system.posix_acl_access", acl, sizeof(acl));
	set("d", "system.posix_acl_default", acl, sizeof(acl));
	there_and_back("d", "to");
	/* What a directory gives to those made in it is not theirs. */
	make("plain", S_IFREG);
	assert_int_equal(fchmodat(rootfd, "plain", 0664, 0), 0);
	load("plain", &m);
	assert_int_equal(fsmeta_make(rootfd, "d/child", &m.e), 0);
	assert_int_equal(get("d/child", "system.posix_acl_access", v,
	    sizeof(v)), sizeof(acl));
	set("d/child", "user.old", "x", 1);
	set("d/child", "trusted.old", "x", 1);
	assert_int_equal(fsmeta_apply(rootfd, "d/child", "d/child", &m.e,
	    &m.xattr, NULL), 0);
	assert_true(get("d/child", "system.posix_acl_access", v,
	    sizeof(v)) < 0);
	fsmeta_release(&m);
	load("d/child", &m);
	assert_int_equal(m.e.mode & 07777, 0664);
	assert_int_equal(m.xattr.len, 0);
	fsmeta_release(&m);
}

/* A value of 64 KiB, and more names than the first buffer holds. */
static void
test_large_xattr(void **state)
{
	char path[8192], name[64], *value = malloc(65536);
	int i;

	(void)state;
	make("f", S_IFREG);
	memset(value, 'v', 65536);
	snprintf(path, sizeof(path), "%s/f", root);
	if (setxattr(path, "user.large", value, 65536, 0) != 0)
		print_message("no xattr of 64 KiB here: %s\n",
		    strerror(errno));
	for (i = 0; i < 100; i++) {
		snprintf(name, sizeof(name), "user.one of many names %d", i);
		if (setxattr(path, name, "", 0, 0) != 0)
			break;
	}
	free(value);
	there_and_back("f", "to");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_xattrs),
		TEST(test_acls),
		TEST(test_large_xattr),
	};

	umask(022);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
