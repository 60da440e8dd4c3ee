// A private redis-server of a test, on a UNIX socket in a folder of its own, and a store on it.
#ifndef HW_REDIS_SERVER_H
#define HW_REDIS_SERVER_H

#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "redis_conn.h"
#include "redis_history.h"
#include "store_bed.h"

static char redis_dir[] = "/tmp/hawser-test-saver.XXXXXX", redis_url[128];
static const char *redis_fsync = "always"; // of the server that is started next
static pid_t redis_pid;

static inline void redis_start(void) {
    redis_pid = fork();
    if (redis_pid != 0)
        return;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    char socket_path[128];
    snprintf(socket_path, sizeof(socket_path), "%s/s", redis_dir);
    if (!freopen("/dev/null", "w", stdout))
        _exit(1);
    execlp("redis-server", "redis-server", "--port", "0", "--unixsocket", socket_path, "--dir",
           redis_dir, "--save", "", "--appendonly", "yes", "--appendfsync", redis_fsync,
           "--maxmemory-policy", "noeviction", (char *)NULL);
    _exit(1);
}

static inline void redis_kill(void) {
    kill(redis_pid, SIGKILL);
    waitpid(redis_pid, NULL, 0);
}

static inline struct store *redis_store_on(struct loop *l) {
    return saver_store_redis(
        &(struct redis_options){.url = redis_url, .timeout_ms = 20000, .loop = l});
}

static inline void until_up(struct store *s, struct loop *l) {
    while (store_down_reason(s))
        loop_step(l, -1);
}

static inline void redis_begin(void) { // in a folder of its own
    ck_assert_ptr_nonnull(mkdtemp(redis_dir));
    snprintf(redis_url, sizeof(redis_url), "unix://%s/s", redis_dir);
    redis_start();
}

static inline struct store *redis_open(struct loop *l) {
    redis_begin();
    struct store *s = redis_store_on(l);
    until_up(s, l);
    return s;
}

static inline void redis_cli(const char *words) {
    char line[240];
    snprintf(line, sizeof(line), "redis-cli -s %s/s %s >/dev/null", redis_dir, words);
    ck_assert_int_eq(system(line), 0);
}

// A replica for a moment, as in a fail-over, while another saver looked: whoever slept is refused.
static inline void redis_next_history(struct bed *b) {
    uint64_t before = bed_history(b), now = before;
    redis_cli("REPLICAOF 127.0.0.1 1");
    redis_cli("REPLICAOF NO ONE");
    redis_cli("SET " REDIS_HISTORY_KEY " others");
    for (; now == 0 || now == before; now = bed_history(b))
        until_up(b->store, b->loop);
}

static inline void redis_close(void) {
    redis_kill();
    char command[160];
    snprintf(command, sizeof(command), "rm -rf '%s'", redis_dir);
    ck_assert_int_eq(system(command), 0);
}

#endif
