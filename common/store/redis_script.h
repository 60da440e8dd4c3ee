// Lua scripts as lua_embed.py makes them of .lua files: a table of pieces, constants and arguments,
// and a struct of the arguments for each. Here they are put together.
#ifndef HW_REDIS_SCRIPT_H
#define HW_REDIS_SCRIPT_H

#include <stdbool.h>
#include <stdint.h>

#include "redis_args.h"

enum redis_arg_type {
    REDIS_ARG_KEY,
    REDIS_ARG_TEXT,
    REDIS_ARG_BYTES,
    REDIS_ARG_NUMBER,
    REDIS_ARG_DIGITS, // a number that stays text in Lua
    REDIS_ARG_FLAG,
    REDIS_ARG_REST,
};
struct redis_script_arg {
    enum redis_arg_type type;
    size_t at; // in the struct of the script's arguments
};
struct redis_script_constant { // a name of C that Lua knows too
    const char *name;          // NULL: the end
    int64_t value;
};
struct redis_script_source {
    const char *name;
    const char *shape; // of its answer (redis_reply.h)
    const struct redis_script_constant *constants;
    const char *const *pieces; // ends with NULL
    const struct redis_script_arg *args;
    int arg_count, key_count;
};

// A script as it is sent: called by its digest.
struct redis_script {
    const char *name, *shape;
    char *text; // owned
    char sha1[41];
};
void redis_script_init(struct redis_script *s, const struct redis_script_source *from);
void redis_script_deinit(struct redis_script *s);

// Keys, the history, and arguments in order, from the struct that the script's head made. What is
// packed is borrowed from that struct, and numbers lie in out. A text that is missing, and keys of
// more than one hash slot, end the process.
void redis_script_pack(const struct redis_script_source *s, const void *args,
                       struct redis_bytes history, struct redis_args *out);

// As scripts unpack it: so many bytes, the lowest first.
struct buf;
void redis_put_number(struct buf *out, uint64_t n, size_t bytes);

// What stands between the first braces of a key, or the whole key: keys of one tag lie in one hash
// slot.
struct redis_bytes redis_key_tag(const char *key);

#endif
