// The configuration of a cluster: one YAML file, one table of keys (config_keys.def), overridden by
// HAWSER_<SECTION>__<KEY> in the environment (..._FILE reads the value from a file). A config is a
// value: a reload builds a new one whole and swaps it.
#ifndef HW_CONFIG_H
#define HW_CONFIG_H

#include <stdbool.h>
#include <stdint.h>

#include "addr.h"
#include "buf.h"

struct config;

struct config *config_default(void);
void config_free(struct config *c); // NULL is harmless

// Defaults, then the file (NULL = none), then the environment ("NAME=value" strings ended by NULL,
// usually environ). 0, or -HW_ECONFIG with one line in ret_error: "file:line: key: what, and what
// is allowed"; a file that cannot be read has no line.
int config_load(const char *path, char *const *environment, struct buf *ret_error,
                struct config **ret_config) HW_MUST_CHECK;

// One key from text, as the file or the environment would set it; lists by comma. name:
// "room.linger".
int config_set(struct config *c, const char *name, const char *text,
               struct buf *ret_error) HW_MUST_CHECK;

// What no single key shows: that there are secrets, and that ports made from others are ports.
int config_check(const struct config *c, struct buf *ret_error) HW_MUST_CHECK;

// Looks up the names among the addresses that this role listens at, and waits for it: before a loop
// runs. config_text tells the address from then on.
int config_resolve(struct config *c, const char *role, struct buf *ret_error) HW_MUST_CHECK;

// A line for each thing that a daemon of this role will not do as its operator may think.
void config_warnings(const struct config *c, const char *role,
                     void (*tell)(void *arg, const char *line), void *arg);

// Of what is read at the start only c takes the values of the one in force; tell hears the name of
// each key that this role reads and that would have changed.
void config_keep(struct config *c, const struct config *in_force, const char *role,
                 void (*tell)(void *arg, const char *key), void *arg);

// By "section.key"; asserts that the key exists and has that type. Pointers live as long as the
// config.
uint64_t config_ms(const struct config *c, const char *name);
uint64_t config_bytes(const struct config *c, const char *name);
uint64_t config_number(const struct config *c, const char *name);
bool config_bool(const struct config *c, const char *name);
const char *config_text(const struct config *c, const char *name);
struct host_port config_listen(const struct config *c, const char *name); // all 0: empty
char *const *config_list(const struct config *c, const char *name,
                         int *ret_count); // lists and secrets

// A url as it may be shown: what stands in front of its last @ is left out.
void config_url_show(const char *url, struct buf *out);
void config_print(const struct config *c, struct buf *out); // YAML, without secrets
void config_markdown(struct buf *out);                      // docs/CONFIG.md

#endif
