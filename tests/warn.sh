#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# warn.sh COMPILER ARGS...: in the place of a compiler, where its warnings are all
# that is wanted.  Nothing is made, so linking has nothing to do.
compiler=$1
shift
case " $* " in
*" -c "*) exec "$compiler" -fsyntax-only "$@" ;;
esac
