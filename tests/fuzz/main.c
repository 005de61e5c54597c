/* SPDX-License-Identifier: Apache-2.0 */
/* Runs a fuzz target over the files named on the command line. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int
run(const char *path)
{
	uint8_t *data;
	size_t n, max = 1u << 20;
	FILE *f = fopen(path, "rb");

	if (f == NULL) {
		perror(path);
		return 1;
	}
	data = malloc(max);
	n = data != NULL ? fread(data, 1, max, f) : 0;
	fclose(f);
	LLVMFuzzerTestOneInput(data, n);
	free(data);
	return 0;
}

int
main(int argc, char **argv)
{
	int i, bad = 0;

	for (i = 1; i < argc; i++)
		bad |= run(argv[i]);
	printf("%s: %d inputs\n", argv[0], argc - 1);
	return bad || argc < 2;
}
