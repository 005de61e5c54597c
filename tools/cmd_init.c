/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <string.h>

#include "base/hex.h"
#include "base/log.h"
#include "tools/tool.h"

enum { O_LABEL = 256, O_BLOCK, O_PACK, O_KDF, O_TIER };

static const struct option options[] = {
	{ "label", required_argument, NULL, O_LABEL },
	{ "block-size", required_argument, NULL, O_BLOCK },
	{ "pack-size", required_argument, NULL, O_PACK },
	{ "kdf-memory", required_argument, NULL, O_KDF },
	{ "tier", required_argument, NULL, O_TIER },
	{ NULL, 0, NULL, 0 }
};

static int
size_option(const struct tool *t, const char *name, const char *value,
    uint32_t *out)
{
	uint64_t v;

	if (tool_parse_size(value, &v) != 0 || v > UINT32_MAX)
		return tool_usage(t, "--%s '%s': want a size such as 512K or "
		    "32M", name, value);
	*out = (uint32_t)v;
	return 0;
}

/* --tier becomes what the repository says of new contents.  A profile's is for
 * buckets, and is no fault of a directory. */
static int
tier_option(struct tool *t, struct config *config, int given)
{
	const char *tier = t->conf.store.tier;

	if (tier == NULL)
		return 0;
	if (!config_class_valid(tier))
		return tool_usage(t, "--tier '%s': want a storage class such "
		    "as DEEP_ARCHIVE", tier);
	if (!tool_url_is_s3(t->conf.url) && !given)
		return 0;
	if (!tool_url_is_s3(t->conf.url))
		return tool_usage(t, "--tier: a directory has no storage "
		    "classes");
	tool_class_warn(tier);
	memcpy(config->data_class, tier, strlen(tier) + 1);
	return 0;
}

static int
run(struct tool *t, int argc, char **argv)
{
	struct config config;
	const char *label = "first";
	char hex[2 * REPO_ID_SIZE + 1];
	struct json *j;
	int c, status = 0, err, given = 0;

	config_default(&config);
	while ((c = tool_option(t, argc, argv, "", options)) != -1) {
		if (c == O_LABEL)
			status = tool_label(t, label = optarg);
		else if (c == O_BLOCK)
			status = size_option(t, "block-size", optarg,
			    &config.block_target);
		else if (c == O_PACK)
			status = size_option(t, "pack-size", optarg,
			    &config.data_pack);
		else if (c == O_KDF)
			status = tool_kdf_memory(t, optarg);
		else if (c == O_TIER)
			status = (given = tool_set(t, "tier", optarg) == 1) ?
			    0 : EXIT_USAGE;
		else
			return tool_usage_status(t);
		if (status != 0)
			return status;
	}
	if (optind < argc)
		return tool_usage(t, "unexpected '%s'", argv[optind]);
	/* A pack has a frame at least. */
	if (config.frame_target > config.data_pack)
		config.frame_target = config.data_pack;
	status = tool_need_repo(t);
	if (status != 0)
		return status;
	status = tier_option(t, &config, given);
	if (status != 0)
		return status;
	err = repo_init(&t->conf, &config, label, &t->repo);
	if (err == -EINVAL)
		return EXIT_USAGE;
	if (err != 0)
		return tool_exit(err);
	hex_encode(repo_config(t->repo)->repo_id, REPO_ID_SIZE, hex);
	tool_prices(t);
	if (t->json) {
		j = json_object();
		json_set_str(j, "repository", hex);
		json_set_str(j, "url", store_url(repo_store(t->repo)));
		json_set_str(j, "key", repo_slot(t->repo)->name);
		tool_json_store(t, j);
		return tool_exit(tool_print_json(j));
	}
	if (!t->quiet)
		printf("made repository %s at %s\n"
		    "Keep the password: without it nobody can read anything "
		    "here.\n", hex, store_url(repo_store(t->repo)));
	return EXIT_DONE;
}

const struct command command_init = { "init", run, "",
	"make a repository and its first key",
	"Make a repository in an empty directory or an empty place of a bucket, "
	"and an\nowner's key to it. The password comes from --password-file, "
	"--password-command,\ntheir environment variables, or a prompt.\n"
	"\n"
	"      --label TEXT        a name for the key, shown by `firn key list`"
	"\n"
	"      --block-size SIZE   mean size of a block of a large file (512K)"
	"\n"
	"      --pack-size SIZE    size of a data pack (32M; 128M suits Deep "
	"Archive)\n"
	"      --tier CLASS        storage class of file contents in S3, here and in "
	"all\n"
	"                          backups to come; `firn tier` changes it\n"
	"      --kdf-memory SIZE   memory that trying a password takes (32M); "
	"less for\n"
	"                          small machines, more against guessing\n"
	"\n"
	"The sizes of blocks and packs cannot be changed later.\n"
	"\n"
	"Only file contents go into CLASS; all else stays readable at once, so "
	"that\nbrowsing, searching and further backups never wait. Of GLACIER and "
	"DEEP_ARCHIVE\ncontents have to be thawed before they are read; `firn tier "
	"--help`." };
