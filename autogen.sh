#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Make ./configure from configure.ac and Makefile.am.
set -eu
cd "$(dirname "$0")"
mkdir -p build-aux
exec autoreconf --install --force
