#!/bin/sh
# Who may include whom (docs/architecture.md): an arrow that is only drawn gets crossed.
# room: what it may include besides itself
cd "${top_srcdir:-.}" || exit 99
n=0
check()
{
    room=$1
    shift
    allowed="$room $*"
    bad=
    for file in $(find "$room" -maxdepth "${depth:-9}" -name '*.[ch]' 2>/dev/null); do
        for include in $(sed -n 's/^#include "\([^"]*\)"$/\1/p' "$file"); do
            ok=no
            for prefix in $allowed; do
                case $include in "$prefix"/*) ok=yes ;; esac
            done
            [ "$include" = config.h ] && ok=yes
            [ $ok = yes ] || bad="$bad $file:$include"
        done
    done
    n=$((n + 1))
    if [ -z "$bad" ]; then
        echo "ok $n - $room keeps to its layer"
    else
        for arrow in $bad; do echo "# $arrow is not allowed"; done
        echo "not ok $n - $room keeps to its layer"
    fi
}
echo 1..12
check base
check ui base
check sessions base
check engine/format base
check engine/text base
check shaders base
check engine/gpu base shaders
check engine/reference base engine/format
check engine/model base engine/format engine/gpu engine/text engine/vision
check engine/vision base engine/format engine/gpu engine/model
depth=1 check engine base engine
check app/pictures base
