/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The file `slots` of the disk cache.  Its header as the input is, or records
 * with sums made right for most of them, since no input guesses a sum.  What is
 * loaded is a sound table, and what it says of a cell is what would be written.
 */
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/bytes.h"
#include "base/file.h"
#include "cache/cache_internal.h"

#define IN_SIZE		(CACHE_RECORD_SIZE - 8 + 1)	/* and a flag */
#define RECORDS_MAX	512

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
must(int ok)
{
	if (!ok)
		abort();
}

static void
header(int fd, const uint8_t *data, size_t size)
{
	uint8_t sealed[32] = { 0 };
	uint32_t slots;
	int clean;

	must(file_pwrite_full(fd, data, size, 0) == 0);
	if (cache_header_read(fd, &slots, &clean) == 1 &&
	    slots > CACHE_SLOTS_MAX)
		__builtin_trap();
	memcpy(sealed, data, size < 24 ? size : 24);
	le64_put(sealed + 24, cache_sum(0, sealed, 24));
	must(file_pwrite_full(fd, sealed, sizeof(sealed), 0) == 0);
	if (cache_header_read(fd, &slots, &clean) == 1 &&
	    slots > CACHE_SLOTS_MAX)
		__builtin_trap();
}

static void
slot_is_sound(const struct slot *s, uint32_t i, uint64_t cells)
{
	uint8_t one[CACHE_RECORD_SIZE], two[CACHE_RECORD_SIZE];
	struct slot again;

	if (s->state != SLOT_LIVE)
		return;
	cache_record_encode(s, i, one);
	if ((uint64_t)i * CACHE_CELL_SIZE + s->len > cells ||
	    s->room < s->len || s->freq > CACHE_FREQ_MAX ||
	    cache_record_decode(one, i, &again) != 1)
		__builtin_trap();
	cache_record_encode(&again, i, two);
	if (memcmp(one, two, sizeof(one)) != 0)
		__builtin_trap();
}

/* Two bytes: the size of blocks, and of the file of cells; then records. */
static void
records(int fd, const uint8_t *data, size_t size)
{
	uint32_t block = 512u << data[0] % 12;
	uint64_t cells = (uint64_t)data[1] * (CACHE_CELL_SIZE / 4);
	uint32_t n = (uint32_t)((size - 2) / IN_SIZE), i;
	uint8_t record[CACHE_RECORD_SIZE];
	struct cache_table t;

	if (n > RECORDS_MAX)
		n = RECORDS_MAX;
	for (i = 0; i < n; i++) {
		memcpy(record, data + 2 + i * IN_SIZE, IN_SIZE - 1);
		le64_put(record + IN_SIZE - 1, cache_record_sum(record, i) ^
		    data[2 + i * IN_SIZE + IN_SIZE - 1]);
		must(file_pwrite_full(fd, record, sizeof(record),
		    CACHE_HEADER_SIZE + (off_t)i * CACHE_RECORD_SIZE) == 0);
	}
	/* More than there are: the file was truncated. */
	if (cache_records_load(fd, n + n / 2, cells, block, &t) != 0)
		return;
	cache_table_check(&t);
	for (i = 0; i < t.n; i++)
		slot_is_sound(&t.slot[i], i, cells);
	cache_table_release(&t);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	int fd = memfd_create("slots", MFD_CLOEXEC);

	must(fd >= 0);
	if (size > 3 && data[0] != 'h')
		records(fd, data + 1, size - 1);
	else if (size > 1)
		header(fd, data + 1, size - 1);
	close(fd);
	return 0;
}
