#!/usr/bin/env bash
# Compiles the CUDA kernels.
#   build.sh OUTDIR    writes OUTDIR/native/linux-ARCH/stand-in/libcuda.so.1, the kernels as C++ behind a driver that runs them on the CPU,
#                      where there is g++; and checks that the committed image is of these sources, or makes it anew with nvcc.
#   build.sh --check   compiles the image again, and compares what each kernel takes of a processor with the committed record.
set -euo pipefail

source=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
resources=$source/../resources/cuda
image=$resources/atoll.fatbin
record=$source/kernels.txt # registers, shared memory and spills of each kernel

# The committed image has code for all of these, and PTX for what comes after.
architectures=(80 86 89 90 100 120)

digest() {
    (cd "$source" && cat arithmetic.cuh experts.cu build.sh | sha256sum | cut -d ' ' -f 1)
}

compile() { # IMAGE RECORD
    local flags=(-std=c++17 -fmad=false -Werror all-warnings -Xfatbin -compress-all --threads 0 --resource-usage)
    for architecture in "${architectures[@]}"; do
        flags+=(-gencode "arch=compute_$architecture,code=sm_$architecture")
    done
    flags+=(-gencode "arch=compute_${architectures[-1]},code=compute_${architectures[-1]}")
    local log
    log=$(mktemp)
    if ! nvcc "${flags[@]}" -fatbin -o "$1" "$source/experts.cu" >"$log" 2>&1; then
        cat "$log" >&2
        exit 1
    fi
    awk '/Compiling entry function/ { kernel = $7 " " $9; gsub("\047", "", kernel) }
        /bytes stack frame/ { spills = $5 + $9 }
        /Used .* registers/ {
            shared = 0
            for (i = 1; i <= NF; i++) if ($i == "bytes" && $(i + 1) ~ /^smem/) shared = $(i - 1)
            print kernel, "registers=" $5, "shared=" shared, "spilled=" spills
        }' "$log" | sort >"$2"
    rm "$log"
}

if [[ ${1:-} == --check ]]; then
    built=$(mktemp -d)
    trap 'rm -rf "$built"' EXIT
    compile "$built/image" "$built/record"
    diff "$record" "$built/record" && echo "kernels: the record of the CUDA kernels is right"
    exit
fi
if [[ $# -ne 1 ]]; then
    echo "usage: $0 OUTDIR | --check" >&2
    exit 2
fi

if [[ ! -f $image || $(cat "$image.sources" 2>/dev/null) != $(digest) ]]; then
    if ! command -v nvcc >/dev/null; then
        echo "kernels: $image is not that of the CUDA sources, and there is no nvcc to make it" >&2
        exit 1
    fi
    echo "kernels: compiling the CUDA kernels (a few minutes)"
    mkdir -p "$resources"
    compile "$image" "$record"
    digest >"$image.sources"
fi

cxx=${CXX:-g++}
if [[ $(uname -sm) != "Linux x86_64" ]] || ! command -v "$cxx" >/dev/null; then
    echo "kernels: no C++ compiler for Linux here, the stand-in for GPUs is left out"
    exit 0
fi
library=$1/native/linux-x86_64/stand-in/libcuda.so.1
if [[ -f $library && -z $(find "$source" -type f -newer "$library" -print -quit) ]]; then
    exit 0
fi
mkdir -p "$(dirname "$library")"
"$cxx" -std=c++17 -O2 -fPIC -shared -ffp-contract=off -Wall -Wextra -Werror -Wno-unknown-pragmas -Wno-clobbered \
    -Wl,-soname,libcuda.so.1 -I "$source/stand-in" -o "$library.new" "$source/stand-in/driver.cpp"
mv "$library.new" "$library"
