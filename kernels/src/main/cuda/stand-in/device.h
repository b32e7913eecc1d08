/* Compiles kernels as C++ and runs them on a CPU, for checks on machines without a GPU: each CUDA thread is a fibre, and barriers and
 * shuffles hand over to the next one. Right, and slow. Has no tensor cores: kernels need a plain path where __CUDA_ARCH__ is not defined. */
#pragma once
#include <ucontext.h>

#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <map>
#include <string>
#include <utility>
#include <vector>

#define __global__
#define __device__
#define __forceinline__ inline
#define __shared__ static thread_local

struct dim3 {
    unsigned x, y, z;
};
struct int4 {
    int x, y, z, w;
};
struct float4 {
    float x, y, z, w;
};
inline int min(int a, int b) {
    return a < b ? a : b;
}

namespace stand_in {

enum class waits { nothing, warp, block };

struct fibre {
    ucontext_t context;
    std::vector<char> stack;
    bool done;
    waits waits_for;
    dim3 thread;
};

struct block {
    ucontext_t scheduler;
    std::vector<fibre> fibres;
    size_t current;
    uint64_t slots[32][32]; /* what the lanes of each warp show each other */
};

inline thread_local block *running;
inline thread_local const std::function<void()> *body;
inline thread_local dim3 thread_index, block_index, block_size, grid_size;

inline unsigned lane_of_block() {
    return thread_index.x + block_size.x * (thread_index.y + block_size.y * thread_index.z);
}

inline void wait_for(waits what) {
    fibre &self = running->fibres[running->current];
    self.waits_for = what;
    swapcontext(&self.context, &running->scheduler);
    thread_index = self.thread;
}

inline void enter() {
    (*body)();
    running->fibres[running->current].done = true;
}

/* Lets those go on whose warp, or block, has arrived as a whole. */
inline bool release(block &b) {
    bool released = false;
    bool all_at_block = true;
    for (size_t first = 0; first < b.fibres.size(); first += 32) {
        const size_t end = std::min(first + 32, b.fibres.size());
        bool all_at_warp = true, any = false;
        for (size_t i = first; i < end; i++) {
            any |= !b.fibres[i].done;
            all_at_warp &= b.fibres[i].done || b.fibres[i].waits_for == waits::warp;
            all_at_block &= b.fibres[i].done || b.fibres[i].waits_for == waits::block;
        }
        for (size_t i = first; any && all_at_warp && i < end; i++) {
            b.fibres[i].waits_for = waits::nothing;
            released = true;
        }
    }
    for (size_t i = 0; all_at_block && i < b.fibres.size(); i++) {
        b.fibres[i].waits_for = waits::nothing;
        released |= !b.fibres[i].done;
    }
    return released;
}

inline void run_block(block &b) {
    do {
        for (size_t i = 0; i < b.fibres.size(); i++) {
            fibre &f = b.fibres[i];
            if (!f.done && f.waits_for == waits::nothing) {
                b.current = i;
                thread_index = f.thread;
                swapcontext(&b.scheduler, &f.context);
            }
        }
    } while (release(b));
    for (const fibre &f : b.fibres) {
        if (!f.done) {
            fprintf(stderr, "stand-in: threads of a block wait for different barriers\n");
            abort();
        }
    }
}

inline void launch(dim3 grid, dim3 size, const std::function<void()> &kernel) {
    block b;
    running = &b;
    body = &kernel;
    grid_size = grid;
    block_size = size;
    b.fibres.resize((size_t)size.x * size.y * size.z);
    for (fibre &f : b.fibres) {
        f.stack.resize(64 << 10);
    }
    for (unsigned z = 0; z < grid.z; z++) {
        for (unsigned y = 0; y < grid.y; y++) {
            for (unsigned x = 0; x < grid.x; x++) {
                block_index = {x, y, z};
                for (unsigned t = 0; t < b.fibres.size(); t++) {
                    fibre &f = b.fibres[t];
                    f.done = false;
                    f.waits_for = waits::nothing;
                    f.thread = {t % size.x, t / size.x % size.y, t / (size.x * size.y)};
                    getcontext(&f.context);
                    f.context.uc_stack.ss_sp = f.stack.data();
                    f.context.uc_stack.ss_size = f.stack.size();
                    f.context.uc_link = &b.scheduler;
                    makecontext(&f.context, enter, 0);
                }
                run_block(b);
            }
        }
    }
    running = nullptr;
}

template <class T> T shuffle(T value, unsigned source) {
    const unsigned index = lane_of_block();
    uint64_t *slots = running->slots[index / 32];
    memcpy(&slots[index % 32], &value, sizeof value);
    wait_for(waits::warp);
    memcpy(&value, &slots[source % 32], sizeof value);
    wait_for(waits::warp);
    return value;
}

using kernel = std::function<void(void **)>;

inline std::map<std::string, kernel> &kernels() {
    static std::map<std::string, kernel> all;
    return all;
}

template <class... A, size_t... I> void call(void (*function)(A...), void **parameters, std::index_sequence<I...>) {
    function(*(std::remove_const_t<A> *)parameters[I]...);
}

template <class... A> bool add(const char *name, void (*function)(A...)) {
    kernels()[name] = [function](void **parameters) { call(function, parameters, std::index_sequence_for<A...>{}); };
    return true;
}

} // namespace stand_in

#define threadIdx stand_in::thread_index
#define blockIdx stand_in::block_index
#define blockDim stand_in::block_size
#define gridDim stand_in::grid_size

inline void __syncthreads() {
    stand_in::wait_for(stand_in::waits::block);
}
template <class T> T __shfl_sync(unsigned, T value, int source) {
    return stand_in::shuffle(value, source);
}
template <class T> T __shfl_xor_sync(unsigned, T value, int mask) {
    return stand_in::shuffle(value, stand_in::lane_of_block() % 32 ^ mask);
}
inline void atomicAdd(unsigned long long *at, unsigned long long value) {
    *at += value;
}

#define CUDA_KERNEL(name, threads, parameters, body) \
    static void name parameters body                 \
    static const bool name##_is_known = stand_in::add(#name, &name);
