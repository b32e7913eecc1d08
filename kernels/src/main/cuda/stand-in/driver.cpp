/* A libcuda.so.1 that runs the project's kernels on the CPU, with the calls of the driver API that the project makes. Device memory is
 * the process's own, and everything is done when a call returns.
 *
 * What may go wrong on a device is asked for by stand_in_fail: from then on, after some calls that succeed, a call fails. */
#include <time.h>

#include <atomic>

#include "device.h"

#include "../experts.cu"

typedef int result;
typedef unsigned long long pointer;

enum { SUCCESS = 0, INVALID_VALUE = 1, OUT_OF_MEMORY = 2, INVALID_DEVICE = 101, NOT_FOUND = 500 };

static std::atomic<int> failing_code{0}, calls_until_failure{-1};
static std::atomic<int> failing_call{0}, failures{0};

/* The calls that can be made to fail. */
enum { ANY_CALL, ALLOCATION, LAUNCH, SYNCHRONIZATION };

static result outcome(int call) {
    if (failing_code == 0 || (failing_call != ANY_CALL && failing_call != call)) {
        return SUCCESS;
    }
    if (calls_until_failure-- > 0) {
        return SUCCESS;
    }
    failures++;
    return failing_code.load();
}

extern "C" {

void stand_in_fail(int call, int after, int code) {
    failing_call = call;
    calls_until_failure = after;
    failures = 0;
    failing_code = code;
}
int stand_in_failures() { return failures; }

result cuInit(unsigned) { return SUCCESS; }
result cuDriverGetVersion(int *version) {
    *version = 13000;
    return SUCCESS;
}
result cuDeviceGetCount(int *count) {
    *count = 1;
    return SUCCESS;
}
result cuDeviceGet(int *device, int ordinal) {
    *device = ordinal;
    return ordinal == 0 ? SUCCESS : INVALID_DEVICE;
}
result cuDeviceGetName(char *name, int length, int) {
    snprintf(name, (size_t)length, "stand-in on the CPU");
    return SUCCESS;
}
result cuDeviceTotalMem_v2(size_t *bytes, int) {
    *bytes = (size_t)4 << 30;
    return SUCCESS;
}
result cuDeviceGetAttribute(int *value, int attribute, int) {
    *value = attribute == 75 ? 8 : attribute == 76 ? 0 : attribute == 16 ? 1 : 0; /* compute capability 8.0, one processor */
    return SUCCESS;
}
result cuCtxCreate_v2(void **context, unsigned, int) {
    *context = malloc(8);
    return SUCCESS;
}
result cuCtxSetCurrent(void *) { return SUCCESS; }
result cuCtxDestroy_v2(void *context) {
    free(context);
    return SUCCESS;
}
result cuCtxSynchronize() { return outcome(SYNCHRONIZATION); }
result cuMemAlloc_v2(pointer *memory, size_t bytes) {
    const result r = outcome(ALLOCATION);
    if (r == SUCCESS) {
        *memory = (pointer)aligned_alloc(256, (bytes + 255) / 256 * 256);
    }
    return r != SUCCESS ? r : *memory != 0 ? SUCCESS : OUT_OF_MEMORY;
}
result cuMemFree_v2(pointer memory) {
    free((void *)memory);
    return SUCCESS;
}
result cuMemGetInfo_v2(size_t *free_bytes, size_t *all) {
    *free_bytes = *all = (size_t)4 << 30;
    return SUCCESS;
}
result cuMemcpyHtoD_v2(pointer to, const void *from, size_t bytes) {
    memcpy((void *)to, from, bytes);
    return outcome(ANY_CALL);
}
result cuMemcpyHtoDAsync_v2(pointer to, const void *from, size_t bytes, void *) {
    return cuMemcpyHtoD_v2(to, from, bytes);
}
result cuMemcpyDtoH_v2(void *to, pointer from, size_t bytes) {
    memcpy(to, (const void *)from, bytes);
    return outcome(ANY_CALL);
}
result cuMemcpyDtoHAsync_v2(void *to, pointer from, size_t bytes, void *) {
    return cuMemcpyDtoH_v2(to, from, bytes);
}
result cuMemsetD8Async(pointer to, unsigned char value, size_t bytes, void *) {
    memset((void *)to, value, bytes);
    return outcome(ANY_CALL);
}
result cuMemHostAlloc(void **memory, size_t bytes, unsigned) {
    const result r = outcome(ALLOCATION);
    if (r == SUCCESS) {
        *memory = aligned_alloc(4096, (bytes + 4095) / 4096 * 4096);
    }
    return r;
}
result cuMemFreeHost(void *memory) {
    free(memory);
    return SUCCESS;
}
result cuStreamCreate(void **stream, unsigned) {
    *stream = malloc(8);
    return SUCCESS;
}
result cuStreamSynchronize(void *) { return outcome(SYNCHRONIZATION); }
result cuStreamDestroy_v2(void *stream) {
    free(stream);
    return SUCCESS;
}
result cuStreamWaitEvent(void *, void *, unsigned) { return SUCCESS; }
result cuEventCreate(void **event, unsigned) {
    *event = calloc(1, sizeof(timespec));
    return SUCCESS;
}
result cuEventRecord(void *event, void *) {
    clock_gettime(CLOCK_MONOTONIC, (timespec *)event);
    return SUCCESS;
}
result cuEventSynchronize(void *) { return outcome(SYNCHRONIZATION); }
result cuEventElapsedTime(float *millis, void *begin, void *end) {
    const timespec *a = (const timespec *)begin, *b = (const timespec *)end;
    *millis = (float)(b->tv_sec - a->tv_sec) * 1e3f + (float)(b->tv_nsec - a->tv_nsec) * 1e-6f;
    return SUCCESS;
}
result cuEventDestroy_v2(void *event) {
    free(event);
    return SUCCESS;
}
/* The image is not looked at: the kernels are those compiled in. */
result cuModuleLoadData(void **module, const void *) {
    *module = malloc(8);
    return SUCCESS;
}
result cuModuleUnload(void *module) {
    free(module);
    return SUCCESS;
}
result cuModuleGetFunction(void **function, void *, const char *name) {
    auto found = stand_in::kernels().find(name);
    if (found == stand_in::kernels().end()) {
        return NOT_FOUND;
    }
    *function = &found->second;
    return SUCCESS;
}
result cuLaunchKernel(void *function, unsigned gx, unsigned gy, unsigned gz, unsigned bx, unsigned by, unsigned bz, unsigned, void *,
                      void **parameters, void **) {
    const result r = outcome(LAUNCH);
    if (r != SUCCESS) {
        return r;
    }
    if (gx == 0 || gy == 0 || gz == 0 || bx * by * bz == 0 || bx * by * bz > 1024) {
        return INVALID_VALUE;
    }
    stand_in::launch({gx, gy, gz}, {bx, by, bz}, [&] { (*(stand_in::kernel *)function)(parameters); });
    return SUCCESS;
}
result cuGetErrorName(int code, const char **name) {
    *name = code == OUT_OF_MEMORY ? "CUDA_ERROR_OUT_OF_MEMORY" : "CUDA_ERROR";
    return SUCCESS;
}
result cuGetErrorString(int, const char **text) {
    *text = "an error of the stand-in";
    return SUCCESS;
}
}
