#!/bin/sh
# The Khronos validation layer, with synchronisation checks, has nothing to say about the
# kernels, the decoder and the vision encoder.
layer=
for folder in /usr/share /usr/local/share /etc; do
    [ -f $folder/vulkan/explicit_layer.d/VkLayer_khronos_validation.json ] && layer=yes
done
[ -n "$layer" ] || { echo "1..0 # SKIP the Khronos validation layer is not installed"; exit 0; }
folder=$(mktemp -d) || exit 99
trap 'rm -rf "$folder"' EXIT
cat >"$folder/vk_layer_settings.txt" <<'SETTINGS'
khronos_validation.debug_action = VK_DBG_LAYER_ACTION_LOG_MSG
khronos_validation.report_flags = error,warn
khronos_validation.log_filename = stdout
khronos_validation.enables = VK_VALIDATION_FEATURE_ENABLE_SYNCHRONIZATION_VALIDATION_EXT
SETTINGS
export VK_LAYER_SETTINGS_PATH="$folder/vk_layer_settings.txt"
export VK_INSTANCE_LAYERS=VK_LAYER_KHRONOS_validation
n=0
check()
{
    n=$((n + 1))
    "$top_builddir/$1" "$2" >"$folder/log" 2>&1
    status=$?
    if [ $status -eq 0 ] && ! grep -qE 'Validation|VUID|SYNC-' "$folder/log"; then
        echo "ok $n - nothing is said about $1, $2"
    else
        grep -E 'Validation|VUID|SYNC-|^not ok' "$folder/log" | sort | uniq -c | head -20 | sed 's/^/# /'
        echo "not ok $n - nothing is said about $1, $2 (exit status $status)"
    fi
}
echo 1..4
check tests/engine/gpu/test_gpu "bytes move"
check tests/engine/test_kernels "variants that the device prefers"
check tests/engine/model/test_vulkan_decoder "cache of halves"
check tests/engine/vision/test_goldens "MiniCPM"
