// The table, the values and their text forms; config_load.c reads the file and the environment.
#include "config.h"

#include <assert.h>

#include "config_table.h"

const struct config_key config_keys[CONFIG_KEYS] = {
#define KEY(section, key, type, fallback, low, high, help)                                         \
    {#section, #key, CONFIG_##type, fallback, low, high, help},
#include "config_keys.def"
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

static void value_clear(struct config_value *v) {
    for (int i = 0; i < v->count; i++)
        free(v->list[i]);
    free(v->list);
    free(v->text);
    *v = (struct config_value){0};
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

static int value_parse(const struct config_key *key, const char *text, struct config_value *v,
                       struct buf *ret_error) {
    switch (key->type) {
    case CONFIG_DURATION:
    case CONFIG_SIZE:
    case CONFIG_NUMBER:
        if (!quantity_parse(text, units_of(key->type), &v->number) || v->number < key->low ||
            v->number > key->high)
            return refuse_quantity(key, text, ret_error);
        return 0;
    case CONFIG_BOOL:
        return bool_parse(key, text, v, ret_error);
    case CONFIG_TEXT:
        v->text = hw_strdup(text);
        return 0;
    case CONFIG_LIST:
    case CONFIG_SECRETS:
        split_commas(text, v);
        return 0;
    }
    return -HW_ECONFIG;
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

int config_set(struct config *c, const char *name, const char *text, struct buf *ret_error) {
    int i = index_of(name);
    if (i < 0) {
        buf_printf(ret_error, "%.64s: no such key", name);
        return -HW_ECONFIG;
    }
    struct config_value parsed = {0};
    int error = value_parse(&config_keys[i], text, &parsed, ret_error);
    if (error == 0) {
        value_clear(&c->values[i]);
        c->values[i] = parsed;
    }
    return error;
}

void config_replace_list(struct config *c, int index, struct config_value *v) {
    value_clear(&c->values[index]);
    c->values[index] = *v;
    *v = (struct config_value){0};
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
        value_clear(&c->values[i]);
    free(c);
}

static const struct config_value *get(const struct config *c, const char *name,
                                      enum config_type type) {
    int i = index_of(name);
    assert(i >= 0 && (config_keys[i].type == type ||
                      (type == CONFIG_LIST && config_keys[i].type == CONFIG_SECRETS)));
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
    return get(c, name, CONFIG_TEXT)->text;
}

char *const *config_list(const struct config *c, const char *name, int *ret_count) {
    const struct config_value *v = get(c, name, CONFIG_LIST);
    *ret_count = v->count;
    return v->list;
}

int config_check_secrets(const struct config *c, struct buf *ret_error) {
    for (int i = 0; i < CONFIG_KEYS; i++) {
        if (config_keys[i].type != CONFIG_SECRETS)
            continue;
        const struct config_value *v = &c->values[i];
        bool weak = v->count == 0;
        for (int j = 0; j < v->count; j++)
            weak = weak || strlen(v->list[j]) < 16 || strstr(v->list[j], "example") ||
                   strstr(v->list[j], "change");
        if (!weak)
            continue;
        buf_printf(ret_error,
                   "%s.%s: empty, short or an example; each must have 16 bytes or more (hawserctl "
                   "init makes some)",
                   config_keys[i].section, config_keys[i].key);
        return -HW_ECONFIG;
    }
    return 0;
}

static void print_quoted(struct buf *out, const char *text) {
    buf_append_str(out, "\"");
    for (; *text; text++) {
        if (*text == '"' || *text == '\\')
            buf_append_str(out, "\\");
        buf_append(out, text, 1);
    }
    buf_append_str(out, "\"");
}

void config_url_show(const char *url, struct buf *out) {
    const char *at = strrchr(url, '@'), *scheme = strstr(url, "://");
    if (at && scheme && scheme < at)
        buf_append(out, url, (size_t)(scheme + 3 - url));
    buf_append_str(out, at ? "..." : url);
    buf_append_str(out, at ? at : "");
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
    switch (key->type) {
    case CONFIG_DURATION:
    case CONFIG_SIZE:
    case CONFIG_NUMBER:
        quantity_print(out, v->number, units_of(key->type));
        break;
    case CONFIG_BOOL:
        buf_append_str(out, v->number ? "yes" : "no");
        break;
    case CONFIG_TEXT:
        print_text(out, key, v->text);
        break;
    case CONFIG_LIST:
        print_list(out, v);
        break;
    case CONFIG_SECRETS:
        buf_printf(out, "[] # %d, not shown", v->count);
        break;
    }
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

void config_markdown(struct buf *out) {
    buf_append_str(out, "# Configuration\n\n| key | default | lowest | highest | what it does "
                        "|\n|---|---|---|---|---|\n");
    for (int i = 0; i < CONFIG_KEYS; i++) {
        const struct config_key *key = &config_keys[i];
        bool ranged =
            key->type == CONFIG_DURATION || key->type == CONFIG_SIZE || key->type == CONFIG_NUMBER;
        buf_printf(out, "| `%s.%s` | `%s` | ", key->section, key->key, key->fallback);
        if (ranged)
            quantity_print(out, key->low, units_of(key->type));
        buf_append_str(out, " | ");
        if (ranged)
            quantity_print(out, key->high, units_of(key->type));
        buf_printf(out, " | %s |\n", key->help);
    }
}
