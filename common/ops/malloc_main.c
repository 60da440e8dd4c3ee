// What jemalloc is told in each daemon: without a thread of its own it gives memory back only while
// something is allocated, and a daemon at rest after a storm allocates next to nothing. What one
// request borrows (up to 128 KiB) is kept for the next one: given back page by page, a batch of a
// hundred pushes cost the center eleven page faults and a madvise, a third of its time.
extern const char *malloc_conf;
const char *malloc_conf =
    "background_thread:true,dirty_decay_ms:5000,muzzy_decay_ms:0,lg_tcache_max:17";
