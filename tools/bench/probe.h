// What a process, and the kernel, have used so far: /proc, read.
#ifndef BENCH_PROBE_H
#define BENCH_PROBE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct usage {
    uint64_t cpu_us, rss_bytes;
};
// All zero for a process that is no more.
void probe_process(pid_t pid, struct usage *ret_usage);

struct kernel_usage {
    uint64_t tcp_sockets;           // of this network
    uint64_t tcp_bytes, slab_bytes; // of the whole machine: buffers; all kernel objects
};
void probe_kernel(struct kernel_usage *ret_usage);

// Who listens at that port of this machine; 0: nobody that we may look at.
pid_t probe_listener(uint16_t port);
pid_t probe_unix_listener(const char *path); // likewise

#endif
