// What config.c and config_load.c share; nobody else includes it.
#ifndef HW_CONFIG_TABLE_H
#define HW_CONFIG_TABLE_H

#include "config.h"

enum config_type {
    CONFIG_DURATION,
    CONFIG_SIZE,
    CONFIG_NUMBER,
    CONFIG_BOOL,
    CONFIG_TEXT,
    CONFIG_LIST,
    CONFIG_SECRETS
};

struct config_key {
    const char *section, *key;
    enum config_type type;
    const char *fallback;
    uint64_t low, high; // of durations, sizes and numbers
    const char *help;
};

enum {
#define KEY(section, key, type, fallback, low, high, help) CONFIG_AT_##section##_##key,
#include "config_keys.def"
#undef KEY
    CONFIG_KEYS
};
extern const struct config_key config_keys[CONFIG_KEYS];

struct config_value {
    uint64_t number;
    char *text;  // owned
    char **list; // owned, as are its items
    int count;
};

struct config {
    struct config_value values[CONFIG_KEYS];
};

int config_key_index(const char *section, size_t section_len, const char *key,
                     size_t key_len); // -1: no such key
void config_value_add(struct config_value *v, const char *item, size_t len);
void config_replace_list(struct config *c, int index, struct config_value *v); // takes v's content

#endif
