// The table, the values and their text forms; config_load.c reads the file and the environment.
#include "config.h"

#include <assert.h>

#include "config_table.h"

const struct config_key config_keys[CONFIG_KEYS] = {
#define KEY(section, key, type, fallback, low, high, help)                                         \
    {#section, #key, CONFIG_##type, fallback, low, high, false, help},
#define RESTART_KEY(section, key, type, fallback, low, high, help)                                 \
    {#section, #key, CONFIG_##type, fallback, low, high, true, help},
#include "config_keys.def"
#undef RESTART_KEY
#undef KEY
};

struct unit {
    const char *suffix;
    uint64_t factor;
};
static const struct unit duration_units[] = {{"ms", 1},      {"s", 1000},     {"m", 60000},
                                             {"h", 3600000}, {"d", 86400000}, {NULL, 0}};
static const struct unit size_units[] = {
    {"B", 1}, {"KiB", 1024}, {"MiB", 1024 * 1024}, {"GiB", UINT64_C(1) << 30}, {NULL, 0}};
static const struct unit no_units[] = {{"", 1}, {NULL, 0}};

bool config_is_list(enum config_type type) {
    return type >= CONFIG_ADDRESSES;
}

static bool config_is_text(enum config_type type) {
    return type >= CONFIG_TEXT && !config_is_list(type);
}

static bool is_quantity(enum config_type type) {
    return type < CONFIG_BOOL;
}

static const struct unit *units_of(enum config_type type) {
    return type == CONFIG_DURATION ? duration_units : type == CONFIG_SIZE ? size_units : no_units;
}

static bool quantity_parse(const char *text, const struct unit *units, uint64_t *ret_value) {
    uint64_t value = 0;
    const char *p = text;
    for (; *p >= '0' && *p <= '9'; p++) {
        if (p - text >= 15)
            return false;
        value = value * 10 + (uint64_t)(*p - '0');
    }
    for (; p > text && units->suffix; units++) {
        if (strcmp(p, units->suffix) != 0 || value > UINT64_MAX / units->factor)
            continue;
        *ret_value = value * units->factor;
        return true;
    }
    return false;
}

// In the largest unit that is exact.
static void quantity_print(struct buf *b, uint64_t value, const struct unit *units) {
    const struct unit *best = units;
    for (; units->suffix; units++)
        if (value > 0 && value % units->factor == 0)
            best = units;
    buf_printf(b, "%llu%s", (unsigned long long)(value / best->factor), best->suffix);
}

static int refuse_quantity(const struct config_key *key, const char *text, struct buf *ret_error) {
    const struct unit *units = units_of(key->type);
    buf_printf(ret_error, "%s.%s: '%.64s' is not allowed; a %s from ", key->section, key->key, text,
               key->type == CONFIG_NUMBER ? "number"
               : key->type == CONFIG_SIZE ? "size such as 64KiB"
                                          : "duration such as 10s");
    quantity_print(ret_error, key->low, units);
    buf_append_str(ret_error, " to ");
    quantity_print(ret_error, key->high, units);
    return -HW_ECONFIG;
}

void config_value_clear(struct config_value *v) {
    for (int i = 0; i < v->count; i++)
        free(v->list[i]);
    free(v->list);
    free(v->text);
    free(v->bound);
    *v = (struct config_value){0};
}

bool config_value_equal(const struct config_value *a, const struct config_value *b) {
    bool equal = a->number == b->number && a->count == b->count && !a->text == !b->text &&
                 (!a->text || strcmp(a->text, b->text) == 0);
    for (int i = 0; equal && i < a->count; i++)
        equal = strcmp(a->list[i], b->list[i]) == 0;
    return equal;
}

void config_value_copy(struct config_value *to, const struct config_value *from) {
    config_value_clear(to);
    to->number = from->number;
    to->text = from->text ? hw_strdup(from->text) : NULL;
    to->bound = from->bound ? hw_strdup(from->bound) : NULL;
    for (int i = 0; i < from->count; i++)
        config_value_add(to, from->list[i], strlen(from->list[i]));
}

void config_value_add(struct config_value *v, const char *item, size_t len) {
    v->list = hw_realloc(v->list, (size_t)(v->count + 1) * sizeof(v->list[0]));
    v->list[v->count++] = hw_strndup(item, len);
}

static void split_commas(const char *text, struct config_value *v) {
    while (*text) {
        size_t len = strcspn(text, ",");
        if (len > 0)
            config_value_add(v, text, len);
        text += len + (text[len] == ',');
    }
}

static int bool_parse(const struct config_key *key, const char *text, struct config_value *v,
                      struct buf *ret_error) {
    static const char *const words[] = {"no", "yes", "false", "true", "off", "on"};
    for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
        if (strcmp(text, words[i]) == 0) {
            v->number = i % 2;
            return 0;
        }
    }
    buf_printf(ret_error, "%s.%s: '%.64s' is not allowed; yes or no", key->section, key->key, text);
    return -HW_ECONFIG;
}

static int list_parse(const struct config_key *key, const char *text, struct config_value *v,
                      struct buf *ret_error) {
    split_commas(text, v);
    for (int i = 0; i < v->count; i++)
        if (config_syntax_check(key, v->list[i], ret_error) != 0)
            return -HW_ECONFIG;
    return config_count_check(key, v->count, ret_error);
}

static int value_parse(const struct config_key *key, const char *text, struct config_value *v,
                       struct buf *ret_error) {
    if (key->type == CONFIG_BOOL)
        return bool_parse(key, text, v, ret_error);
    if (config_is_list(key->type))
        return list_parse(key, text, v, ret_error);
    if (config_is_text(key->type)) {
        v->text = hw_strdup(text);
        return config_syntax_check(key, text, ret_error);
    }
    if (!quantity_parse(text, units_of(key->type), &v->number) || v->number < key->low ||
        v->number > key->high)
        return refuse_quantity(key, text, ret_error);
    return 0;
}

int config_key_index(const char *section, size_t section_len, const char *key, size_t key_len) {
    for (int i = 0; i < CONFIG_KEYS; i++)
        if (strlen(config_keys[i].section) == section_len &&
            strlen(config_keys[i].key) == key_len &&
            memcmp(config_keys[i].section, section, section_len) == 0 &&
            memcmp(config_keys[i].key, key, key_len) == 0)
            return i;
    return -1;
}

static int index_of(const char *name) {
    const char *dot = strchr(name, '.');
    return dot ? config_key_index(name, (size_t)(dot - name), dot + 1, strlen(dot + 1)) : -1;
}

void config_replace(struct config *c, int index, struct config_value *v) {
    config_value_clear(&c->values[index]);
    c->values[index] = *v;
    *v = (struct config_value){0};
}

int config_set(struct config *c, const char *name, const char *text, struct buf *ret_error) {
    int i = index_of(name);
    if (i < 0) {
        buf_printf(ret_error, "%.64s: no such key", name);
        return -HW_ECONFIG;
    }
    struct config_value parsed = {0};
    int error = value_parse(&config_keys[i], text, &parsed, ret_error);
    if (error == 0)
        config_replace(c, i, &parsed);
    config_value_clear(&parsed);
    return error;
}

struct config *config_default(void) {
    struct config *c = hw_calloc(1, sizeof(*c));
    struct buf error = BUF_EMPTY;
    for (int i = 0; i < CONFIG_KEYS; i++)
        if (value_parse(&config_keys[i], config_keys[i].fallback, &c->values[i], &error) != 0)
            abort(); // a default that its own row refuses
    buf_free(&error);
    return c;
}

void config_free(struct config *c) {
    for (int i = 0; c && i < CONFIG_KEYS; i++)
        config_value_clear(&c->values[i]);
    free(c);
}

const struct config_value *config_value_at(const struct config *c, const char *section,
                                           const char *key) {
    int i = config_key_index(section, strlen(section), key, strlen(key));
    return i < 0 ? NULL : &c->values[i];
}

static const struct config_value *get(const struct config *c, const char *name,
                                      enum config_type type) {
    int i = index_of(name);
    assert(i >= 0 && config_keys[i].type == type);
    return &c->values[i];
}

uint64_t config_ms(const struct config *c, const char *name) {
    return get(c, name, CONFIG_DURATION)->number;
}

uint64_t config_bytes(const struct config *c, const char *name) {
    return get(c, name, CONFIG_SIZE)->number;
}

uint64_t config_number(const struct config *c, const char *name) {
    return get(c, name, CONFIG_NUMBER)->number;
}

bool config_bool(const struct config *c, const char *name) {
    return get(c, name, CONFIG_BOOL)->number != 0;
}

const char *config_text(const struct config *c, const char *name) {
    int i = index_of(name);
    assert(i >= 0 && config_is_text(config_keys[i].type));
    return c->values[i].bound ? c->values[i].bound : c->values[i].text;
}

struct host_port config_listen_at(const char *text) {
    struct host_port at = {.host = ""};
    if (*text && host_port_parse(text, false, &at) != 0)
        abort(); // config_syntax_check took it
    return at;
}

struct host_port config_listen(const struct config *c, const char *name) {
    return config_listen_at(config_text(c, name));
}

char *const *config_list(const struct config *c, const char *name, int *ret_count) {
    int i = index_of(name);
    assert(i >= 0 && config_is_list(config_keys[i].type));
    *ret_count = c->values[i].count;
    return c->values[i].list;
}

// --- as text

static void print_quoted(struct buf *out, const char *text) {
    buf_append_str(out, "\"");
    for (; *text; text++) {
        if (*text == '"' || *text == '\\')
            buf_append_str(out, "\\");
        buf_append(out, text, 1);
    }
    buf_append_str(out, "\"");
}

static void print_text(struct buf *out, const struct config_key *key, const char *text) {
    struct buf shown = BUF_EMPTY;
    if (strcmp(key->key, "url") == 0)
        config_url_show(text, &shown);
    else
        buf_append_str(&shown, text);
    print_quoted(out, buf_cstr(&shown));
    buf_free(&shown);
}

static void print_list(struct buf *out, const struct config_value *v) {
    buf_append_str(out, "[");
    for (int i = 0; i < v->count; i++) {
        buf_append_str(out, i > 0 ? ", " : "");
        print_quoted(out, v->list[i]);
    }
    buf_append_str(out, "]");
}

static void print_value(struct buf *out, const struct config_key *key,
                        const struct config_value *v) {
    if (key->type == CONFIG_SECRETS)
        buf_printf(out, "[] # %d, not shown", v->count);
    else if (config_is_list(key->type))
        print_list(out, v);
    else if (config_is_text(key->type))
        print_text(out, key, v->text);
    else if (key->type == CONFIG_BOOL)
        buf_append_str(out, v->number ? "yes" : "no");
    else
        quantity_print(out, v->number, units_of(key->type));
}

void config_print(const struct config *c, struct buf *out) {
    for (int i = 0; i < CONFIG_KEYS; i++) {
        const struct config_key *key = &config_keys[i];
        if (i == 0 || strcmp(key->section, config_keys[i - 1].section) != 0)
            buf_printf(out, "%s:\n", key->section);
        buf_printf(out, "  %s: ", key->key);
        print_value(out, key, &c->values[i]);
        buf_append_str(out, "\n");
    }
}

static void mark_range(struct buf *out, const struct config_key *key, uint64_t end) {
    if (is_quantity(key->type))
        quantity_print(out, end, units_of(key->type));
    else if (config_is_list(key->type))
        buf_printf(out, "%llu of them", (unsigned long long)end);
    buf_append_str(out, " | ");
}

void config_markdown(struct buf *out) {
    buf_append_str(out, "# Configuration\n\n"
                        "`restart`: read at the start only. SIGHUP leaves it as it is, and the log "
                        "names it when it has changed; the\nothers are in force at once. "
                        "`/config` shows what is in force.\n\n"
                        "| key | default | lowest | highest | SIGHUP | what it does "
                        "|\n|---|---|---|---|---|---|\n");
    for (int i = 0; i < CONFIG_KEYS; i++) {
        const struct config_key *key = &config_keys[i];
        buf_printf(out, "| `%s.%s` | `%s` | ", key->section, key->key, key->fallback);
        mark_range(out, key, key->low);
        mark_range(out, key, key->high);
        buf_printf(out, "%s | %s |\n", key->needs_restart ? "restart" : "", key->help);
    }
}
