// The file (libyaml's document API) and the environment.
#include <assert.h>
#include <errno.h>
#include <yaml.h>

#include "config_table.h"

enum { VALUE_FILE_MAX = 64 * 1024, NAME_MAX_BYTES = 128 };

struct loading {
    const char *path;
    yaml_document_t document;
    struct config *config;
    struct buf *error;
    bool seen[CONFIG_KEYS];
};

static int refuse_at(struct loading *in, const yaml_node_t *node, const char *what) {
    struct buf text = BUF_EMPTY;
    buf_printf(&text, "%s:%zu: %s", in->path, node->start_mark.line + 1, what);
    buf_reset(in->error);
    buf_append(in->error, text.data, text.len);
    buf_free(&text);
    return -HW_ECONFIG;
}

static const char *scalar(const yaml_node_t *node) {
    return node->type == YAML_SCALAR_NODE ? (const char *)node->data.scalar.value : NULL;
}

static int load_list(struct loading *in, int index, const yaml_node_t *node) {
    const struct config_key *key = &config_keys[index];
    struct config_value v = {0};
    for (yaml_node_item_t *i = node->data.sequence.items.start; i < node->data.sequence.items.top;
         i++) {
        const yaml_node_t *item = yaml_document_get_node(&in->document, *i);
        if (!scalar(item) || scalar(item)[0] == '\0') {
            struct config discarded = {0};
            config_replace_list(&discarded, index, &v);
            for (int at = 0; at < discarded.values[index].count; at++)
                free(discarded.values[index].list[at]);
            free(discarded.values[index].list);
            char what[NAME_MAX_BYTES * 2];
            snprintf(what, sizeof(what), "%s.%s: a list of texts that are not empty", key->section,
                     key->key);
            return refuse_at(in, item, what);
        }
        config_value_add(&v, scalar(item), strlen(scalar(item)));
    }
    config_replace_list(in->config, index, &v);
    return 0;
}

static int load_value(struct loading *in, int index, const yaml_node_t *node) {
    const struct config_key *key = &config_keys[index];
    char name[NAME_MAX_BYTES], what[NAME_MAX_BYTES * 2];
    snprintf(name, sizeof(name), "%s.%s", key->section, key->key);
    bool is_list = key->type == CONFIG_LIST || key->type == CONFIG_SECRETS;
    if (is_list && node->type == YAML_SEQUENCE_NODE)
        return load_list(in, index, node);
    if (!scalar(node)) {
        snprintf(what, sizeof(what), "%s: %s is needed here", name,
                 is_list ? "a list" : "one value");
        return refuse_at(in, node, what);
    }
    struct buf why = BUF_EMPTY;
    int error = config_set(in->config, name, scalar(node), &why);
    if (error != 0)
        error = refuse_at(in, node, buf_cstr(&why));
    buf_free(&why);
    return error;
}

static int load_key(struct loading *in, const char *section, const yaml_node_t *key_node,
                    const yaml_node_t *node) {
    const char *key = scalar(key_node);
    char what[NAME_MAX_BYTES * 2];
    int index = key ? config_key_index(section, strlen(section), key, strlen(key)) : -1;
    if (index < 0) {
        snprintf(what, sizeof(what), "%s.%.64s: no such key; docs/CONFIG.md has those there are",
                 section, key ? key : "?");
        return refuse_at(in, key_node, what);
    }
    if (in->seen[index]) {
        snprintf(what, sizeof(what), "%s.%s: stands here a second time; once is allowed", section,
                 key);
        return refuse_at(in, key_node, what);
    }
    in->seen[index] = true;
    return load_value(in, index, node);
}

static bool section_exists(const char *section) {
    for (int i = 0; i < CONFIG_KEYS; i++)
        if (strcmp(config_keys[i].section, section) == 0)
            return true;
    return false;
}

static int load_section(struct loading *in, const yaml_node_t *name_node, const yaml_node_t *node) {
    const char *section = scalar(name_node);
    char what[NAME_MAX_BYTES * 2];
    if (!section || !section_exists(section)) {
        snprintf(what, sizeof(what), "%.64s: no such section; cluster, redis, mariadb or a role",
                 section ? section : "?");
        return refuse_at(in, name_node, what);
    }
    if (node->type != YAML_MAPPING_NODE) {
        snprintf(what, sizeof(what), "%.64s: keys with values are needed here", section);
        return refuse_at(in, node, what);
    }
    int error = 0;
    for (yaml_node_pair_t *p = node->data.mapping.pairs.start;
         error == 0 && p < node->data.mapping.pairs.top; p++)
        error = load_key(in, section, yaml_document_get_node(&in->document, p->key),
                         yaml_document_get_node(&in->document, p->value));
    return error;
}

static int load_document(struct loading *in) {
    const yaml_node_t *root = yaml_document_get_root_node(&in->document);
    if (!root)
        return 0; // an empty file: all defaults
    if (root->type != YAML_MAPPING_NODE)
        return refuse_at(in, root, "sections are needed here, such as `cluster:`");
    int error = 0;
    for (yaml_node_pair_t *p = root->data.mapping.pairs.start;
         error == 0 && p < root->data.mapping.pairs.top; p++)
        error = load_section(in, yaml_document_get_node(&in->document, p->key),
                             yaml_document_get_node(&in->document, p->value));
    return error;
}

static int load_file(struct loading *in) {
    FILE *file = fopen(in->path, "re");
    if (!file) {
        buf_printf(in->error, "%s:1: %s", in->path, strerror(errno));
        return -HW_ECONFIG;
    }
    yaml_parser_t parser;
    if (!yaml_parser_initialize(&parser))
        abort();
    yaml_parser_set_input_file(&parser, file);
    int error = 0;
    if (!yaml_parser_load(&parser, &in->document)) {
        buf_printf(in->error, "%s:%zu: not YAML: %s", in->path, parser.problem_mark.line + 1,
                   parser.problem ? parser.problem : "unreadable");
        error = -HW_ECONFIG;
    } else {
        error = load_document(in);
        yaml_document_delete(&in->document);
    }
    yaml_parser_delete(&parser);
    fclose(file);
    return error;
}

// --- the environment

static int read_value_file(const char *variable, const char *path, struct buf *out,
                           struct buf *ret_error) {
    FILE *file = fopen(path, "re");
    if (!file) {
        buf_printf(ret_error, "%s: %s: %s", variable, path, strerror(errno));
        return -HW_ECONFIG;
    }
    out->len = fread(buf_reserve(out, VALUE_FILE_MAX), 1, VALUE_FILE_MAX, file);
    fclose(file);
    if (out->len > 0 && out->data[out->len - 1] == '\n')
        out->len--;
    return 0;
}

static void lower(char *out, const char *from, size_t len) {
    for (size_t i = 0; i < len; i++)
        out[i] = from[i] >= 'A' && from[i] <= 'Z' ? (char)(from[i] - 'A' + 'a') : from[i];
    out[len] = '\0';
}

// name: what stands between HAWSER_ and =, and has two underscores in it.
static int load_variable(struct config *c, const char *variable, size_t name_len,
                         struct buf *ret_error) {
    char name[NAME_MAX_BYTES], whole[NAME_MAX_BYTES + 8];
    const char *value = variable + name_len + 1;
    size_t len = name_len - strlen("HAWSER_");
    struct buf from_file = BUF_EMPTY;
    if (len >= sizeof(name)) {
        buf_printf(ret_error, "%.64s...: no such key", variable);
        return -HW_ECONFIG;
    }
    lower(name, variable + strlen("HAWSER_"), len);
    snprintf(whole, sizeof(whole), "HAWSER_%.*s", (int)len, variable + strlen("HAWSER_"));
    bool is_file = len > 5 && strcmp(name + len - 5, "_file") == 0;
    if (is_file) {
        name[len - 5] = '\0';
        if (read_value_file(whole, value, &from_file, ret_error) != 0)
            return -HW_ECONFIG;
    }
    char *underscores = strstr(name, "__");
    *underscores = '.';
    memmove(underscores + 1, underscores + 2, strlen(underscores + 2) + 1);
    struct buf why = BUF_EMPTY;
    int error = config_set(c, name, is_file ? buf_cstr(&from_file) : value, &why);
    if (error != 0)
        buf_printf(ret_error, "%s: %s", whole, buf_cstr(&why));
    buf_free(&why);
    buf_free(&from_file);
    return error;
}

static int load_environment(struct config *c, char *const *environment, struct buf *ret_error) {
    for (; environment && *environment; environment++) {
        const char *equals = strchr(*environment, '='), *two = strstr(*environment, "__");
        if (!equals || !two || two > equals || strncmp(*environment, "HAWSER_", 7) != 0)
            continue;
        int error = load_variable(c, *environment, (size_t)(equals - *environment), ret_error);
        if (error != 0)
            return error;
    }
    return 0;
}

int config_load(const char *path, char *const *environment, struct buf *ret_error,
                struct config **ret_config) {
    struct loading in = {.path = path, .config = config_default(), .error = ret_error};
    int error = path ? load_file(&in) : 0;
    if (error == 0)
        error = load_environment(in.config, environment, ret_error);
    if (error != 0)
        config_free(in.config);
    else
        *ret_config = in.config;
    return error;
}
