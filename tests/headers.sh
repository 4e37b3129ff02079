#!/bin/sh
# Each header compiles alone.
cd "${top_srcdir:-.}" || exit 99
n=0
headers=$(find base ui engine sessions app tests shaders -name '*.h')
echo "1..$(echo "$headers" | wc -l)"
for header in $headers; do
    n=$((n + 1))
    if echo "#include \"$header\"" | ${CC:-cc} -std=gnu17 -I. -I"${top_builddir:-.}" -fsyntax-only -x c - ; then
        echo "ok $n - $header compiles alone"
    else
        echo "not ok $n - $header compiles alone"
    fi
done
