#include "log.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdarg.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

enum { LINE_MAX_BYTES = 2048, QUOTE_MAX = 256, QUOTES = 8 };

static uint64_t system_wall_ms(void *arg) {
    (void)arg;
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

// O_NONBLOCK belongs to the open file, which a shell, a parent and other daemons may share. So a
// pipe or terminal is opened once more for this process. Where that is not possible, it is asked
// whether it takes bytes: then only a sharer who is faster can block us, until its reader reads.
static int own_stderr(void) {
    static int own = -1;
    static bool tried;
    struct stat s;
    if (tried)
        return own;
    tried = true;
    if (fstat(STDERR_FILENO, &s) == 0 && (S_ISFIFO(s.st_mode) || S_ISCHR(s.st_mode)))
        own = open("/proc/self/fd/2", O_WRONLY | O_NONBLOCK | O_CLOEXEC | O_NOCTTY);
    return own;
}

static bool log_stderr(void *arg, const char *line, size_t len) {
    int own = own_stderr();
    struct pollfd p = {.fd = STDERR_FILENO, .events = POLLOUT};
    (void)arg;
    if (own >= 0)
        return write(own, line, len) >= 0;
    ssize_t sent = send(STDERR_FILENO, line, len, MSG_DONTWAIT | MSG_NOSIGNAL);
    if (sent >= 0 || errno != ENOTSOCK)
        return sent >= 0;
    return poll(&p, 1, 0) == 1 && write(STDERR_FILENO, line, len) >= 0;
}

void log_init(struct log *l, const char *role, enum log_level level) {
    *l = (struct log){.level = level, .role = role, .sink = log_stderr, .wall_ms = system_wall_ms};
}

static const char *level_text(enum log_level level) {
    static const char *const text[] = {"error", "warn", "info", "debug"};
    return text[level];
}

static size_t format_head(const struct log *l, enum log_level level, const char *event,
                          char *line) {
    uint64_t ms = l->wall_ms(l->wall_arg);
    time_t seconds = (time_t)(ms / 1000);
    struct tm utc;
    gmtime_r(&seconds, &utc);
    char stamp[32];
    strftime(stamp, sizeof(stamp), "%Y-%m-%dT%H:%M:%S", &utc);
    int len = snprintf(line, LINE_MAX_BYTES, "ts=%s.%03uZ level=%s role=%s%s%s event=\"%s\"", stamp,
                       (unsigned)(ms % 1000), level_text(level), l->role, l->id[0] ? " id=" : "",
                       l->id, event);
    return len < LINE_MAX_BYTES ? (size_t)len : LINE_MAX_BYTES - 1;
}

static size_t add_fields(char *line, size_t len, const char *fields, va_list args)
    __attribute__((format(printf, 3, 0)));
static size_t add_fields(char *line, size_t len, const char *fields, va_list args) {
    size_t left = LINE_MAX_BYTES - len;
    if (left < 2)
        return len;
    line[len] = ' ';
    int more = vsnprintf(line + len + 1, left - 1, fields, args);
    if (more <= 0)
        return len;
    return len + 1 + ((size_t)more < left - 1 ? (size_t)more : left - 2);
}

static size_t log_add(char *line, size_t len, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
static size_t log_add(char *line, size_t len, const char *format, ...) {
    va_list args;
    va_start(args, format);
    len = add_fields(line, len, format, args);
    va_end(args);
    return len;
}

// One line about those that the sink did not take, ahead of the first that it takes again.
static bool is_told(struct log *l) {
    char line[LINE_MAX_BYTES + 2];
    if (l->dropped_untold == 0)
        return true;
    size_t len = format_head(l, LOG_WARN, "log lines dropped", line);
    len = log_add(line, len, "lines=%llu", (unsigned long long)l->dropped_untold);
    line[len++] = '\n';
    if (!l->sink(l->sink_arg, line, len))
        return false;
    l->dropped_untold = 0;
    return true;
}

static void give(struct log *l, const char *line, size_t len) {
    if (is_told(l) && l->sink(l->sink_arg, line, len))
        return;
    l->dropped++;
    l->dropped_untold++;
}

static void log_line(struct log *l, enum log_level level, struct log_subject of, const char *fields,
                     va_list args) __attribute__((format(printf, 4, 0)));
static void log_line(struct log *l, enum log_level level, struct log_subject of, const char *fields,
                     va_list args) {
    char line[LINE_MAX_BYTES + 2];
    uint32_t kept_back = 0;
    if (level < LOG_DEBUG && !log_limit_pass(&l->limit, of, l->wall_ms(l->wall_arg), &kept_back)) {
        l->kept_back++;
        return;
    }
    size_t len = format_head(l, level, of.event, line);
    if (of.peer)
        len = log_add(line, len, "from=%s", of.peer);
    if (kept_back > 0)
        len = log_add(line, len, "kept_back=%u", kept_back);
    if (fields && fields[0])
        len = add_fields(line, len, fields, args);
    line[len++] = '\n';
    give(l, line, len);
}

void log_event(struct log *l, enum log_level level, const char *event, const char *fields, ...) {
    if (!l || level > l->level)
        return;
    va_list args;
    va_start(args, fields);
    log_line(l, level, (struct log_subject){event, NULL}, fields, args);
    va_end(args);
}

void log_peer_event(struct log *l, enum log_level level, const char *event, const char *from,
                    const char *fields, ...) {
    if (!l || level > l->level)
        return;
    va_list args;
    va_start(args, fields);
    log_line(l, level, (struct log_subject){event, from}, fields, args);
    va_end(args);
}

const char *log_quote(const char *text, size_t len) {
    static _Thread_local char ring[QUOTES][QUOTE_MAX * 4 + 8];
    static _Thread_local unsigned next;
    static const char digits[] = "0123456789abcdef";
    char *out = ring[next++ % QUOTES], *at = out;
    *at++ = '"';
    for (size_t i = 0; i < len && i < QUOTE_MAX; i++) {
        uint8_t c = (uint8_t)text[i];
        if (c == '"' || c == '\\') {
            *at++ = '\\';
            *at++ = (char)c;
        } else if (c < 0x20 || c >= 0x7F) {
            *at++ = '\\';
            *at++ = 'x';
            *at++ = digits[c >> 4];
            *at++ = digits[c & 15];
        } else {
            *at++ = (char)c;
        }
    }
    *at++ = '"';
    *at = '\0';
    return out;
}

const char *log_quote_str(const char *text) {
    return text ? log_quote(text, strlen(text)) : "\"\"";
}
