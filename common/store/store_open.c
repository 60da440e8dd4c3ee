#include "store_open.h"

#include <string.h>

#include "store_step.h"

bool store_url_is_memory(const char *url) {
    return strcmp(url, "memory:") == 0;
}

static void warn_of_memory(const struct store_env *env, const char *key) {
    log_event(env->log, LOG_WARN, "store in memory",
              "warning=\"%s is memory: nothing survives the end of this daemon, and it must be the "
              "only one of its role\"",
              key);
}

static int check_url(const struct store_backend *row, const char *url, struct buf *ret_error) {
    struct buf why = BUF_EMPTY;
    int rc = row->check ? row->check(url, &why) : 0;
    if (rc != 0)
        buf_printf(ret_error, "%s: %s", row->key, buf_cstr(&why));
    buf_free(&why);
    return rc == 0 ? 0 : -HW_ECONFIG;
}

static struct store *open_row(const struct store_backend *row, const struct store_env *env,
                              const char *url) {
    struct store *s = row->open(env);
    struct buf shown = BUF_EMPTY;
    buf_printf(&shown, "%s: ", row->key);
    config_url_show(url, &shown);
    s->opened_by = hw_strdup(buf_cstr(&shown));
    buf_free(&shown);
    if (store_is_in_memory(s))
        warn_of_memory(env, row->key);
    return s;
}

static bool is_same_key(const struct store_backend *row, const char *key) {
    return row->key && strcmp(row->key, key) == 0;
}

// The row of this key that takes its URL, and *row goes behind all of the key; NULL: none.
static const struct store_backend *choose_row(const struct store_backend **row, const char *url) {
    const struct store_backend *chosen = NULL;
    const char *key = (*row)->key;
    for (; is_same_key(*row, key); (*row)++)
        if (!chosen && *url && (!(*row)->is_its_url || (*row)->is_its_url(url)))
            chosen = *row;
    return chosen;
}

int store_open(const struct store_backend *table, const struct store_env *env,
               struct buf *ret_error, struct store **ret_store) {
    struct store *all = NULL;
    while (table->key) {
        const char *url = config_text(env->config, table->key);
        const struct store_backend *row = choose_row(&table, url);
        if (row && check_url(row, url, ret_error) != 0) {
            if (all)
                store_free(all);
            return -HW_ECONFIG;
        }
        struct store *s = row ? open_row(row, env, url) : NULL;
        all = all && s ? row->over(all, s) : s ? s : all;
    }
    *ret_store = all;
    return 0;
}
