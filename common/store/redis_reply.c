#include "redis_reply.h"

#include <string.h>

enum {
    PART_BYTES = 64, // what hiredis takes for each part, about
    DIGITS_MAX = 20,
    LINE_BYTES_MAX = 64 * 1024, // all but strings
};

// --- the guard

static bool may_create(const redisReadTask *task, size_t bytes) {
    struct redis_guard *g = task->privdata;
    if (!task->parent) {
        g->bytes = 0;
        if (task->type != REDIS_REPLY_ERROR && !g->is_asked(g->arg)) // an error: hiredis copes
            g->refused = "an answer that nobody asked for";
    }
    if (bytes > REPLY_BYTES_MAX || g->bytes + PART_BYTES > REPLY_BYTES_MAX - bytes)
        g->refused = "an answer that is too large";
    g->bytes += bytes + PART_BYTES;
    return !g->refused;
}

static void *create_string(const redisReadTask *task, char *text, size_t len) {
    const struct redis_guard *g = task->privdata;
    return may_create(task, len) ? g->plain->createString(task, text, len) : NULL;
}

static void *create_array(const redisReadTask *task, int elements) {
    const struct redis_guard *g = task->privdata;
    return may_create(task, (size_t)elements * (PART_BYTES + sizeof(void *)))
               ? g->plain->createArray(task, elements)
               : NULL;
}

static void *create_integer(const redisReadTask *task, long long n) {
    const struct redis_guard *g = task->privdata;
    return may_create(task, 0) ? g->plain->createInteger(task, n) : NULL;
}

static void *create_nil(const redisReadTask *task) {
    const struct redis_guard *g = task->privdata;
    return may_create(task, 0) ? g->plain->createNil(task) : NULL;
}

void redis_guard_attach(struct redis_guard *g, redisReader *reader) {
    static redisReplyObjectFunctions guarded = {create_string, create_array, create_integer,
                                                create_nil, freeReplyObject};
    g->refused = NULL;
    g->plain = reader->fn;
    reader->fn = &guarded;
    reader->privdata = g;
}

// A line is searched for its end from its beginning at each read.
bool redis_guard_is_over(const redisReader *reader) {
    size_t unread = reader->len - reader->pos;
    bool is_string = reader->ridx >= 0 && reader->rstack[reader->ridx].type == REDIS_REPLY_STRING &&
                     unread > DIGITS_MAX &&
                     memchr(reader->buf + reader->pos, '\n', DIGITS_MAX) != NULL;
    return unread > (is_string ? REPLY_BYTES_MAX : LINE_BYTES_MAX);
}

// --- the shape

static bool is_number(const redisReply *r) {
    if (r->type == REDIS_REPLY_INTEGER)
        return r->integer >= 0;
    return r->type == REDIS_REPLY_STRING && r->len > 0 && r->len <= DIGITS_MAX &&
           strspn(r->str, "0123456789") == (size_t)r->len;
}

static bool fits_plain(const redisReply *r, char kind) {
    switch (kind) {
    case 'i':
        return r->type == REDIS_REPLY_INTEGER;
    case 's':
        return r->type == REDIS_REPLY_STRING;
    case 'n':
        return is_number(r);
    case '+':
        return r->type == REDIS_REPLY_STATUS;
    default:
        return false;
    }
}

// Behind the one shape that stands at the text's beginning.
static const char *shape_end(const char *shape) {
    int depth = 0;
    do {
        while (*shape == '?')
            shape++;
        depth += (*shape == '[') - (*shape == ']');
        shape++;
    } while (depth > 0);
    return shape;
}

static bool fits(const redisReply *r, const char *shape);

static bool fits_array(const redisReply *r, const char *shape) {
    const char *again = NULL;
    size_t i = 0;
    if (r->type != REDIS_REPLY_ARRAY)
        return false;
    for (; i < r->elements; i++) {
        if (*shape == '*')
            again = ++shape;
        if (*shape == ']' && again)
            shape = again;
        if (*shape == ']' || !fits(r->element[i], shape))
            return false;
        shape = shape_end(shape);
    }
    return *shape == '*' || *shape == ']';
}

// As deep as the shape, which is written in the source.
static bool fits(const redisReply *r, const char *shape) {
    if (*shape == '?')
        return r->type == REDIS_REPLY_NIL || fits(r, shape + 1);
    return *shape == '[' ? fits_array(r, shape + 1) : fits_plain(r, *shape);
}

bool redis_reply_fits(const redisReply *r, const char *shape) {
    for (;; shape++) {
        if (fits(r, shape))
            return true;
        shape = shape_end(shape);
        if (*shape != '|')
            return false;
    }
}
