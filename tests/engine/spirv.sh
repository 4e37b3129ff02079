#!/bin/sh
# Each shader variant of the table is valid SPIR-V for Vulkan 1.1.
cd "${top_srcdir:-.}" || exit 99
[ -n "$SPIRV_VAL" ] || { echo "1..0 # SKIP spirv-val is not installed"; exit 0; }
folder=$(mktemp -d) || exit 99
trap 'rm -rf "$folder"' EXIT
grep -v '^#' shaders/variants.tsv >"$folder/table"
echo "1..$(wc -l <"$folder/table")"
n=0
tab=$(printf '\t')
while IFS=$tab read -r kernel variant defines traits why; do
    n=$((n + 1))
    [ "$defines" = - ] && defines=
    # $defines is a list of words on purpose.
    if glslc -O --target-env=vulkan1.1 -I shaders/include $defines -o "$folder/out.spv" \
        "shaders/$kernel.comp" && "$SPIRV_VAL" --target-env vulkan1.1 "$folder/out.spv"; then
        echo "ok $n - $kernel.$variant is valid"
    else
        echo "not ok $n - $kernel.$variant is valid"
    fi
done <"$folder/table"
