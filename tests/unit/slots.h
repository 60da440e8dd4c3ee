// Which hash slots the steps of a store touch, as a private redis-server tells of each command that
// it does, and of each that a script does (MONITOR).
#ifndef HW_TEST_SLOTS_H
#define HW_TEST_SLOTS_H

#include <check.h>
#include <hiredis/hiredis.h>
#include <protobuf-c/protobuf-c.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "buf.h"
#include "crypto.h"

enum { SLOT_WORDS_MAX = 96, SLOT_WORD_BYTES = 128, SLOT_TAGS_MAX = 16 };

struct slots {
    redisContext *monitor; // owned
    char tags[SLOT_TAGS_MAX][SLOT_WORD_BYTES];
    int tag_count;
    char script_tag[SLOT_WORD_BYTES];            // of the script that was called last
    char words[SLOT_WORDS_MAX][SLOT_WORD_BYTES]; // of a line; long ones are cut
    int word_count;
    bool is_in_script; // the line is of a script
};

static inline void slots_open(struct slots *s, const char *path) {
    s->monitor = redisConnectUnix(path);
    ck_assert(s->monitor && !s->monitor->err);
    redisReply *r = redisCommand(s->monitor, "MONITOR");
    ck_assert(r && r->type == REDIS_REPLY_STATUS);
    freeReplyObject(r);
}

// `1.2 [0 unix:/path] "GET" "a\"b"`, or of a script `1.2 [0 lua] ...`.
static inline void slots_read_line(struct slots *s) {
    redisReply *r = NULL;
    ck_assert_int_eq(redisGetReply(s->monitor, (void **)&r), REDIS_OK);
    const char *at = strchr(r->str, '"'), *lua = strstr(r->str, " lua] ");
    s->is_in_script = lua && lua < at;
    for (s->word_count = 0; at && s->word_count < SLOT_WORDS_MAX; s->word_count++) {
        char *word = s->words[s->word_count];
        size_t len = 0;
        for (at++; *at && *at != '"'; at++) {
            at += *at == '\\' && at[1];
            if (len + 1 < SLOT_WORD_BYTES)
                word[len++] = *at;
        }
        word[len] = '\0';
        at = *at ? strchr(at + 1, '"') : NULL;
    }
    freeReplyObject(r);
}

static inline void slots_see(struct slots *s, const char *key) {
    const char *open = strchr(key, '{'), *close = open ? strchr(open, '}') : NULL;
    char tag[SLOT_WORD_BYTES];
    if (strncmp(key, "hw:", 3) != 0 || strcmp(key, "hw:history") == 0) // that is one a server
        return;
    snprintf(tag, sizeof(tag), "%.*s", close ? (int)(close - open - 1) : SLOT_WORD_BYTES - 1,
             close ? open + 1 : key);
    if (s->is_in_script)
        ck_assert_msg(strcmp(tag, s->script_tag) == 0, "a script of {%s} touches %s", s->script_tag,
                      key);
    else
        memcpy(s->script_tag, tag, sizeof(tag));
    for (int i = 0; i < s->tag_count; i++)
        if (strcmp(s->tags[i], tag) == 0)
            return;
    ck_assert_int_lt(s->tag_count, SLOT_TAGS_MAX);
    memcpy(s->tags[s->tag_count++], tag, sizeof(tag));
}

// What a method touches, by its request's name. B stands for the bucket of the user u of product 1.
struct slots_method {
    const char *method, *slots;
};

// others: those that touch not B alone; ends with NULL.
static inline const char *slots_of_method(const struct slots_method *others,
                                          const ProtobufCMessage *request) {
    while (others->method && strcmp(others->method, request->descriptor->short_name) != 0)
        others++;
    return others->method ? others->slots : "B";
}

static inline void slots_expand(const char *text, char out[SLOT_WORD_BYTES]) {
    unsigned bucket = bucket_of_user("u", 1);
    size_t front = strcspn(text, "B");
    if (text[front])
        snprintf(out, SLOT_WORD_BYTES, "%.*s1:%u%s", (int)front, text, bucket, text + front + 1);
    else
        snprintf(out, SLOT_WORD_BYTES, "%s", text);
}

static inline bool slots_has_word(const struct slots *s, const char *word) {
    for (int i = 0; i < s->word_count; i++)
        if (strcmp(s->words[i], word) == 0)
            return true;
    return false;
}

static inline int slots_order(const void *a, const void *b) {
    return strcmp(a, b);
}

// The tags of all that is done until a command comes that has the word `until`, in their order.
// is_own: whether a command is of the steps that are asked about; what a script does is the same.
static inline void slots_until(struct slots *s, const char *until,
                               bool (*is_own)(const struct slots *s), struct buf *out) {
    bool is_counted = false;
    s->tag_count = 0;
    for (slots_read_line(s); s->is_in_script || !slots_has_word(s, until); slots_read_line(s)) {
        if (!s->is_in_script)
            is_counted = is_own(s);
        for (int i = 1; is_counted && i < s->word_count; i++)
            slots_see(s, s->words[i]);
    }
    qsort(s->tags, (size_t)s->tag_count, sizeof(s->tags[0]), slots_order);
    buf_reset(out);
    for (int i = 0; i < s->tag_count; i++)
        buf_printf(out, "%s%s", i ? " " : "", s->tags[i]);
}

// The tags of slots_until are those of the request; and nothing more is looked at.
static inline void slots_end(struct slots *s, const char *until,
                             bool (*is_own)(const struct slots *s), const ProtobufCMessage *request,
                             const char *slots) {
    struct buf got = BUF_EMPTY;
    char want[SLOT_WORD_BYTES];
    slots_expand(slots, want);
    slots_until(s, until, is_own, &got);
    ck_assert_msg(strcmp(buf_cstr(&got), want) == 0, "%s: '%s', not '%s'",
                  request->descriptor->short_name, buf_cstr(&got), want);
    redisFree(s->monitor);
    buf_free(&got);
}

#endif
