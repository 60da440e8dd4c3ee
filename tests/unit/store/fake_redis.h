// A Redis of a test that answers what the test wants: well to the questions that a connection
// begins with, to those that a rule names as it says, and to all others with one text. It runs in
// a process of its own, on a UNIX socket in a folder of its own.
#ifndef HW_FAKE_REDIS_H
#define HW_FAKE_REDIS_H

#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../suite.h"
#include "crypto.h"
#include "redis_history.h"

struct fake_text { // bytes
    const char *bytes;
    size_t len;
};
#define FAKE_TEXT(literal)                                                                         \
    { literal, sizeof(literal) - 1 }

struct fake_rule {
    const char *has; // in the command, or in the script that it calls
    const char *reply;
    char sha1[41];
};

enum { FAKE_SLOW_MS = 60 };

struct fake_redis {
    struct fake_rule rules[8];
    struct fake_text reply;     // to all else
    const char *behind_claim;   // sent behind the answer to the claim of a history, or NULL
    volatile const char **info; // shared with the process: what INFO answers
    volatile bool *is_slow;     // likewise: it takes its time for all else
    char dir[64], url[96];
    pid_t process;
};

#define FAKE_INFO(loading, aof)                                                                    \
    "# Server\r\nrun_id:0123456789abcdef0123456789abcdef01234567\r\nloading:" loading              \
    "\r\naof_enabled:" aof "\r\nmaxmemory_policy:noeviction\r\nrole:master\r\n"

static inline void fake_write(int fd, const char *bytes, size_t len) {
    for (ssize_t n; len > 0; bytes += n, len -= (size_t)n)
        if ((n = send(fd, bytes, len, MSG_NOSIGNAL)) <= 0)
            return; // the peer has gone, which the next read says
}

static inline const char *fake_rule_of(struct fake_redis *f, const char *command, size_t len) {
    bool is_load = memmem(command, len, "SCRIPT", 6) != NULL;
    for (struct fake_rule *r = f->rules; r->has; r++) {
        const char *source = memmem(command, len, "SCRIPT\r\n$4\r\nLOAD\r\n$", 19);
        if (is_load && memmem(command, len, r->has, strlen(r->has))) {
            size_t bytes = strtoull(source + 19, NULL, 10);
            crypto_sha1_hex(strchr(source + 19, '\n') + 1, bytes, r->sha1);
        } else if (!is_load && (memmem(command, len, r->has, strlen(r->has)) ||
                                (r->sha1[0] && memmem(command, len, r->sha1, 40)))) {
            return r->reply;
        }
    }
    return is_load ? "$1\r\ns\r\n" : NULL;
}

static inline void fake_answer(struct fake_redis *f, int fd, const char *command, size_t len) {
    const char *known = fake_rule_of(f, command, len);
    if (memmem(command, len, "$4\r\nINFO", 8)) {
        char head[32];
        const char *info = (const char *)*f->info;
        fake_write(fd, head, (size_t)snprintf(head, sizeof(head), "$%zu\r\n", strlen(info)));
        fake_write(fd, info, strlen(info));
        fake_write(fd, "\r\n", 2);
    } else if (!known && memmem(command, len, REDIS_HISTORY_KEY, sizeof(REDIS_HISTORY_KEY) - 1)) {
        // A claim is answered with the history that it claims: its last word but one.
        static const char last[] = "$1\r\n4\r\n";
        size_t behind = sizeof(last) - 1, mark = sizeof("$6\r\n\r\n") - 1 + REDIS_HISTORY_BYTES;
        bool is_claim = memmem(command, len, "EVAL", 4) != NULL;
        if (is_claim)
            fake_write(fd, command + len - behind - mark, mark);
        else
            fake_write(fd, "$-1\r\n", 5);
        if (is_claim && f->behind_claim)
            fake_write(fd, f->behind_claim, strlen(f->behind_claim));
    } else if (known) {
        fake_write(fd, known, strlen(known));
    } else {
        if (*f->is_slow)
            (void)poll(NULL, 0, FAKE_SLOW_MS);
        fake_write(fd, f->reply.bytes, f->reply.len);
    }
}

// The bytes of the first whole command, 0: there is none yet.
static inline size_t fake_command(const char *bytes, size_t len) {
    const char *end = memchr(bytes, '\n', len), *at = end + 1;
    if (!end)
        return 0;
    for (long parts = strtol(bytes + 1, NULL, 10); parts > 0; parts--) {
        end = memchr(at, '\n', len - (size_t)(at - bytes));
        size_t need = end ? strtoull(at + 1, NULL, 10) + 2 : 0;
        if (!end || (size_t)(bytes + len - end) - 1 < need)
            return 0;
        at = end + 1 + need;
    }
    return (size_t)(at - bytes);
}

static inline void fake_serve(struct fake_redis *f, int fd) {
    static char bytes[1 << 20];
    size_t len = 0;
    for (ssize_t n; (n = read(fd, bytes + len, sizeof(bytes) - len)) > 0;) {
        len += (size_t)n;
        for (size_t used; (used = fake_command(bytes, len)) > 0; len -= used) {
            fake_answer(f, fd, bytes, used);
            memmove(bytes, bytes + used, len - used);
        }
    }
    close(fd);
}

static inline void fake_start(struct fake_redis *f) {
    struct sockaddr_un at = {.sun_family = AF_UNIX};
    snprintf(f->dir, sizeof(f->dir), "/tmp/hawser-test-fake.XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(f->dir));
    snprintf(f->url, sizeof(f->url), "unix://%s/s", f->dir);
    snprintf(at.sun_path, sizeof(at.sun_path), "%s/s", f->dir);
    f->info =
        mmap(NULL, sizeof(*f->info), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    *f->info = FAKE_INFO("0", "1");
    f->is_slow =
        mmap(NULL, sizeof(*f->is_slow), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    int listening = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    ck_assert_int_eq(bind(listening, (struct sockaddr *)&at, sizeof(at)), 0);
    ck_assert_int_eq(listen(listening, 8), 0);
    f->process = fork();
    if (f->process == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        for (;;)
            fake_serve(f, accept(listening, NULL, NULL));
    }
    close(listening);
}

static inline void fake_stop(struct fake_redis *f) {
    char path[96];
    kill(f->process, SIGKILL);
    waitpid(f->process, NULL, 0);
    munmap((void *)(uintptr_t)f->info, sizeof(*f->info));
    munmap((void *)(uintptr_t)f->is_slow, sizeof(*f->is_slow));
    snprintf(path, sizeof(path), "%s/s", f->dir);
    unlink(path);
    rmdir(f->dir);
}

// Replies of each wrong type and shape, and bytes that are no reply.
static const struct fake_text fake_garbage[] = {
    FAKE_TEXT("+OK\r\n"),
    FAKE_TEXT(":5\r\n"),
    FAKE_TEXT(":-1\r\n"),
    FAKE_TEXT("$-1\r\n"),
    FAKE_TEXT("*-1\r\n"),
    FAKE_TEXT("*0\r\n"),
    FAKE_TEXT("$0\r\n\r\n"),
    FAKE_TEXT("$4\r\n1234\r\n"),
    FAKE_TEXT("$5\r\n1\0002 3\r\n"),
    FAKE_TEXT("*1\r\n:5\r\n"),
    FAKE_TEXT("*1\r\n$-1\r\n"),
    FAKE_TEXT("*2\r\n:0\r\n+OK\r\n"),
    FAKE_TEXT("*2\r\n:1\r\n$7\r\ngarbage\r\n"),
    FAKE_TEXT("*3\r\n:0\r\n$1\r\na\r\n*0\r\n"),
    FAKE_TEXT("*5\r\n:0\r\n:0\r\n:0\r\n$1\r\na\r\n*0\r\n"),
    FAKE_TEXT("*5\r\n:0\r\n:0\r\n:0\r\n$1\r\na\r\n$2\r\n1 \r\n"),
    FAKE_TEXT("*6\r\n:0\r\n:0\r\n:0\r\n:0\r\n:0\r\n:0\r\n"),
    FAKE_TEXT("*6\r\n:0\r\n:0\r\n:0\r\n:0\r\n:0\r\n*2\r\n*0\r\n*2\r\n:1\r\n:2\r\n"),
    FAKE_TEXT("*6\r\n:1\r\n:9\r\n:0\r\n:0\r\n:0\r\n*1\r\n*2\r\n$1\r\n1\r\n$2\r\n\377\377\r\n"),
    FAKE_TEXT("*12\r\n:0\r\n:0\r\n:1\r\n:1\r\n:1\r\n:1\r\n:1\r\n:1\r\n*0\r\n*0\r\n$-1\r\n$-1\r\n"),
    FAKE_TEXT("*11\r\n:1\r\n:1\r\n:1\r\n:1\r\n:1\r\n:1\r\n:1\r\n:0\r\n*1\r\n:1\r\n*0\r\n*0\r\n"),
    FAKE_TEXT("*11\r\n:1\r\n:1\r\n:1\r\n:1\r\n:1\r\n:1\r\n:1\r\n:0\r\n*1\r\n$2\r\n\377\377\r\n"
              "*2\r\n:1\r\n:1\r\n*2\r\n$1\r\nk\r\n$4\r\n1 1 \r\n"),
    FAKE_TEXT("*11\r\n:1\r\n:1\r\n:1\r\n:1\r\n:1\r\n:1\r\n:1\r\n:0\r\n*0\r\n*0\r\n"
              "*2\r\n$1\r\nk\r\n$4\r\n1234\r\n"),
    FAKE_TEXT("*2147483647\r\n"),
    FAKE_TEXT("*1\r\n*2147483647\r\n$1\r\nx\r\n"),
    FAKE_TEXT("*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n"),
    FAKE_TEXT("$99999999999999999999\r\n"),
    FAKE_TEXT("*99999999999999999999\r\n"),
    FAKE_TEXT(":99999999999999999999\r\n"),
    FAKE_TEXT("$-7\r\n"),
    FAKE_TEXT("_\r\n"),
    FAKE_TEXT("\0\r\n\r\n"),
    FAKE_TEXT("+OK\r\n+OK\r\n"),
    FAKE_TEXT(":5\r\n:5\r\n*0\r\n"),
    FAKE_TEXT("-\r\n"),
    FAKE_TEXT("-ERR no\r\n-ERR no\r\n"),
    FAKE_TEXT("-READONLY x\r\n"),
};
enum { FAKE_GARBAGE = sizeof(fake_garbage) / sizeof(fake_garbage[0]) };

#endif
