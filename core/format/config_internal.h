/* SPDX-License-Identifier: Apache-2.0 */
/* What lies inside a config: for format/config.c and fuzz targets. */
#ifndef FIRN_FORMAT_CONFIG_INTERNAL_H
#define FIRN_FORMAT_CONFIG_INTERNAL_H

#include "format/config.h"

/* The JSON inside; errors are logged. */
int config_parse(const void *text, size_t len, struct config *out);

#endif
