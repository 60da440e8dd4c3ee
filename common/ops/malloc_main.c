// What jemalloc is told in each daemon: without a thread of its own it gives memory back only while
// something is allocated, and a daemon at rest after a storm allocates next to nothing.
extern const char *malloc_conf;
const char *malloc_conf = "background_thread:true,dirty_decay_ms:5000,muzzy_decay_ms:0";
