// Shared by the stand-in endpoint and the load client: a clock, and growing byte buffers.
#pragma once
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

typedef struct {
    char *bytes;
    size_t length, capacity, sent;
} Buffer;

static inline int64_t now_ns(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * 1000000000LL + now.tv_nsec;
}

static inline void *grown(void *memory, size_t size) {
    memory = realloc(memory, size);
    if (!memory) {
        perror("out of memory");
        exit(1);
    }
    return memory;
}

static inline char *reserve(Buffer *buffer, size_t more) {
    if (buffer->length + more > buffer->capacity) {
        buffer->capacity = 2 * buffer->capacity + more;
        buffer->bytes = grown(buffer->bytes, buffer->capacity);
    }
    return buffer->bytes + buffer->length;
}

static inline void append(Buffer *buffer, const char *bytes, size_t length) {
    memcpy(reserve(buffer, length), bytes, length);
    buffer->length += length;
}
