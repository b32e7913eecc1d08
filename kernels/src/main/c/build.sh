#!/usr/bin/env bash
# Compiles the C kernels: build.sh OUTDIR writes OUTDIR/native/linux-ARCH/libatoll_kernels.so.
# Without a compiler there is nothing to do, and the processes use the Vector API twin.
set -euo pipefail

if [[ $# -ne 1 ]]; then
    echo "usage: $0 OUTDIR" >&2
    exit 2
fi
cc=${CC:-cc}
if [[ $(uname -s) != Linux ]] || ! command -v "$cc" >/dev/null; then
    echo "kernels: no C compiler for Linux here, the Vector API kernels will be used"
    exit 0
fi

source=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
machine=$("$cc" -dumpmachine)
arch=${machine%%-*}
directory=$1/native/linux-$arch
library=$directory/libatoll_kernels.so
if [[ -f $library && -z $(find "$source" -type f -newer "$library" -print -quit) ]]; then
    exit 0
fi

mkdir -p "$directory"
objects=$(mktemp -d)
trap 'rm -rf "$objects"' EXIT

# The order of sums is part of the contract: no contraction, no reassociation. Not setting errno lets square roots and
# roundings be single instructions.
flags=(-std=gnu11 -O3 -fPIC -fvisibility=hidden -ffp-contract=off -fno-math-errno -fno-strict-aliasing
    -Wall -Wextra -Werror)

compile() { # OBJECT SOURCE FLAG...
    "$cc" "${flags[@]}" "${@:3}" -c "$source/$2" -o "$objects/$1.o" &
    jobs+=($!)
}

jobs=()
compile library atoll_kernels.c
# A machine without AVX2 has other worries, and this one takes longest to compile.
compile generic kernels.c -O1 -DATOLL_TABLE=atoll_generic
case $arch in
    x86_64)
        avx512=(-mavx512f -mavx512bw -mavx512dq -mavx512vl -mavx2 -mfma -mf16c -mprefer-vector-width=512 -DATOLL_AVX512)
        avx2=(-mavx2 -mfma -mf16c -DATOLL_AVX2)
        compile avx2 kernels.c "${avx2[@]}" -DATOLL_TABLE=atoll_avx2
        compile avx_vnni vnni.c "${avx2[@]}" -mavxvnni -DATOLL_NAME=atoll_mat_mul_quantized_avx_vnni
        compile avx512 kernels.c "${avx512[@]}" -DATOLL_TABLE=atoll_avx512
        compile vnni vnni.c "${avx512[@]}" -mavx512vnni -DATOLL_NAME=atoll_mat_mul_quantized_vnni
        ;;
    aarch64)
        compile neon kernels.c -DATOLL_NEON -DATOLL_TABLE=atoll_neon
        ;;
esac
for job in "${jobs[@]}"; do
    wait "$job"
done
"$cc" -shared -o "$objects/library.so" "$objects"/*.o -lm
mv "$objects/library.so" "$library"
