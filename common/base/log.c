#include "log.h"

#include <stdarg.h>
#include <unistd.h>

enum { LINE_MAX_BYTES = 2048, QUOTE_MAX = 256, QUOTES = 8 };

static uint64_t system_wall_ms(void *arg) {
    (void)arg;
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

void log_stderr(void *arg, const char *line, size_t len) {
    (void)arg;
    // A log line that cannot be written has nowhere to complain.
    if (write(STDERR_FILENO, line, len) < 0)
        return;
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

void log_event(struct log *l, enum log_level level, const char *event, const char *fields, ...) {
    if (!l || level > l->level)
        return;
    char line[LINE_MAX_BYTES + 2];
    size_t len = format_head(l, level, event, line);
    if (fields && fields[0] && len + 1 < LINE_MAX_BYTES) {
        line[len++] = ' ';
        va_list args;
        va_start(args, fields);
        int more = vsnprintf(line + len, LINE_MAX_BYTES - len, fields, args);
        va_end(args);
        size_t room = LINE_MAX_BYTES - len - 1;
        len += more < 0 ? 0 : (size_t)more < room ? (size_t)more : room;
    }
    line[len++] = '\n';
    l->sink(l->sink_arg, line, len);
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
