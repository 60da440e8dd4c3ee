// What the config files share; nobody else includes it.
#ifndef HW_CONFIG_TABLE_H
#define HW_CONFIG_TABLE_H

#include "config.h"

enum config_type {
    CONFIG_DURATION,
    CONFIG_SIZE,
    CONFIG_NUMBER,
    CONFIG_BOOL,
    // texts
    CONFIG_TEXT,
    CONFIG_LEVEL,       // of the log
    CONFIG_LISTEN,      // host:port, host:first-last; a name is looked up once
    CONFIG_ADDRESS,     // host[:port] that others are told
    CONFIG_REDIS_URL,   // or memory:
    CONFIG_MARIADB_URL, // or nothing
    // lists
    CONFIG_ADDRESSES,
    CONFIG_ENDPOINTS, // addresses with [@idc]
    CONFIG_SEEDS,     // host:port
    CONFIG_SECRETS
};

struct config_key {
    const char *section, *key;
    enum config_type type;
    const char *fallback;
    uint64_t low, high; // of durations, sizes and numbers; how many items a list has
    bool needs_restart;
    const char *help;
};

enum {
#define KEY(section, key, type, fallback, low, high, help) CONFIG_AT_##section##_##key,
#define RESTART_KEY KEY
#include "config_keys.def"
#undef RESTART_KEY
#undef KEY
    CONFIG_KEYS
};
extern const struct config_key config_keys[CONFIG_KEYS];

struct config_value {
    uint64_t number;
    char *text;  // owned
    char *bound; // owned: a listen text whose name was looked up; NULL: not yet, or no name
    char **list; // owned, as are its items
    int count;
};

struct config {
    struct config_value values[CONFIG_KEYS];
};

bool config_is_list(enum config_type type);
bool config_is_everywhere(const char *host); // all addresses of this machine
// A text, or an item of a list. ret_error gets "section.key: what, and what is allowed".
int config_syntax_check(const struct config_key *key, const char *text,
                        struct buf *ret_error) HW_MUST_CHECK;
// Whether a list of so many items is not too long; whether there are enough is asked last, by
// config_check.
int config_count_check(const struct config_key *key, int count,
                       struct buf *ret_error) HW_MUST_CHECK;
void config_value_clear(struct config_value *v);
bool config_value_equal(const struct config_value *a, const struct config_value *b);
void config_value_copy(struct config_value *to, const struct config_value *from);
const struct config_value *config_value_at(const struct config *c, const char *section,
                                           const char *key); // NULL: no such key
struct host_port config_listen_at(const char *text); // of a listen value; all 0: it is empty
int config_key_index(const char *section, size_t section_len, const char *key,
                     size_t key_len); // -1: no such key
void config_value_add(struct config_value *v, const char *item, size_t len);
void config_replace(struct config *c, int index, struct config_value *v); // takes v's content

#endif
