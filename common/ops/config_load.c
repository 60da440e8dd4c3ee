// The file (libyaml's document API) and the environment.
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>
#include <yaml.h>

#include "config_table.h"

enum { FILE_MAX = 1024 * 1024, VALUE_FILE_MAX = 64 * 1024, NAME_MAX_BYTES = 128 };

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

// A whole regular file: a reload must not wait for whoever writes into a pipe. 0, or -HW_ECONFIG
// with what is wrong in ret_error.
static int config_read_whole(const char *path, size_t max, struct buf *out, struct buf *ret_error) {
    struct stat about;
    ssize_t got = -1;
    int fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
    if (fd < 0 || fstat(fd, &about) != 0) {
        buf_append_str(ret_error, strerror(errno));
    } else if (!S_ISREG(about.st_mode)) {
        buf_append_str(ret_error, "is no regular file");
    } else {
        while ((got = read(fd, buf_reserve(out, max + 1 - out->len), max + 1 - out->len)) > 0)
            out->len += (size_t)got;
        if (got < 0)
            buf_append_str(ret_error, strerror(errno));
        else if (out->len > max)
            buf_printf(ret_error, "is larger than %zu bytes", max);
    }
    if (fd >= 0)
        close(fd);
    return got == 0 && out->len <= max ? 0 : -HW_ECONFIG;
}

// NULL where it is none, or would be cut at a NUL.
static const char *scalar(const yaml_node_t *node) {
    if (node->type != YAML_SCALAR_NODE ||
        memchr(node->data.scalar.value, 0, node->data.scalar.length))
        return NULL;
    return (const char *)node->data.scalar.value;
}

static int add_items(struct loading *in, int index, const yaml_node_t *node,
                     struct config_value *v) {
    const struct config_key *key = &config_keys[index];
    for (yaml_node_item_t *i = node->data.sequence.items.start; i < node->data.sequence.items.top;
         i++) {
        const yaml_node_t *item = yaml_document_get_node(&in->document, *i);
        struct buf why = BUF_EMPTY;
        int error = 0;
        if (!scalar(item) || scalar(item)[0] == '\0') {
            buf_printf(&why, "%s.%s: a list of texts that are not empty", key->section, key->key);
            error = -HW_ECONFIG;
        } else {
            error = config_syntax_check(key, scalar(item), &why);
            config_value_add(v, scalar(item), strlen(scalar(item)));
        }
        if (error != 0)
            error = refuse_at(in, item, buf_cstr(&why));
        buf_free(&why);
        if (error != 0)
            return error;
    }
    return 0;
}

static int load_list(struct loading *in, int index, const yaml_node_t *node) {
    struct config_value v = {0};
    struct buf why = BUF_EMPTY;
    int error = add_items(in, index, node, &v);
    if (error == 0 && config_count_check(&config_keys[index], v.count, &why) != 0)
        error = refuse_at(in, node, buf_cstr(&why));
    if (error == 0)
        config_replace(in->config, index, &v);
    buf_free(&why);
    config_value_clear(&v);
    return error;
}

static int load_value(struct loading *in, int index, const yaml_node_t *node) {
    const struct config_key *key = &config_keys[index];
    char name[NAME_MAX_BYTES], what[NAME_MAX_BYTES * 2];
    snprintf(name, sizeof(name), "%s.%s", key->section, key->key);
    bool is_list = config_is_list(key->type);
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

// One document: what stands in a second one would never be read.
static int load_yaml(struct loading *in, yaml_parser_t *parser) {
    for (int i = 0; i < 2; i++) {
        if (!yaml_parser_load(parser, &in->document)) {
            buf_printf(in->error, "%s:%zu: not YAML: %s", in->path, parser->problem_mark.line + 1,
                       parser->problem ? parser->problem : "unreadable");
            return -HW_ECONFIG;
        }
        const yaml_node_t *root = yaml_document_get_root_node(&in->document);
        int error = i == 0  ? load_document(in)
                    : !root ? 0
                            : refuse_at(in, root, "a second document; one is allowed");
        yaml_document_delete(&in->document);
        if (error != 0)
            return error;
    }
    return 0;
}

static int load_file(struct loading *in) {
    struct buf text = BUF_EMPTY, why = BUF_EMPTY;
    yaml_parser_t parser;
    int error = config_read_whole(in->path, FILE_MAX, &text, &why);
    if (error != 0) {
        buf_printf(in->error, "%s: %s", in->path, buf_cstr(&why));
    } else {
        if (!yaml_parser_initialize(&parser))
            abort();
        yaml_parser_set_input_string(&parser, text.data, text.len);
        error = load_yaml(in, &parser);
        yaml_parser_delete(&parser);
    }
    buf_free(&text);
    buf_free(&why);
    return error;
}

// --- the environment

// HAWSER_<SECTION>__<KEY>[_FILE], taken apart.
struct variable {
    char whole[NAME_MAX_BYTES + 8]; // up to the =
    const char *value;              // borrowed
    int index;
    bool is_file;
};

static void lower(char *out, const char *from, size_t len) {
    for (size_t i = 0; i < len; i++)
        out[i] = from[i] >= 'A' && from[i] <= 'Z' ? (char)(from[i] - 'A' + 'a') : from[i];
    out[len] = '\0';
}

// false: none of ours, since there are no two underscores behind HAWSER_.
static bool take_apart(const char *text, struct variable *ret) {
    const char *equals = strchr(text, '=');
    char name[NAME_MAX_BYTES];
    if (!equals || strncmp(text, "HAWSER_", 7) != 0)
        return false;
    size_t len = (size_t)(equals - text) - 7;
    if (!memmem(text + 7, len, "__", 2))
        return false;
    snprintf(ret->whole, sizeof(ret->whole), "%.*s", (int)(equals - text), text);
    ret->value = equals + 1;
    ret->is_file = false;
    ret->index = -1;
    if (len >= sizeof(name))
        return true;
    lower(name, text + 7, len);
    const char *two = strstr(name, "__");
    size_t section_len = (size_t)(two - name), key_len = len - section_len - 2;
    ret->index = config_key_index(name, section_len, two + 2, key_len);
    ret->is_file = ret->index < 0 && key_len > 5 && strcmp(name + len - 5, "_file") == 0;
    if (ret->is_file)
        ret->index = config_key_index(name, section_len, two + 2, key_len - 5);
    return true;
}

static int value_from_file(const struct variable *v, struct buf *out, struct buf *ret_error) {
    struct buf why = BUF_EMPTY;
    int error = config_read_whole(v->value, VALUE_FILE_MAX, out, &why);
    if (error != 0)
        buf_printf(ret_error, "%s: %s", v->value, buf_cstr(&why));
    buf_free(&why);
    if (error != 0)
        return error;
    if (out->len > 0 && out->data[out->len - 1] == '\n')
        out->len--;
    if (memchr(out->data ? out->data : (const uint8_t *)"", 0, out->len)) {
        buf_printf(ret_error, "%s: has a NUL in it", v->value);
        return -HW_ECONFIG;
    }
    return 0;
}

static int load_variable(struct config *c, const struct variable *v, struct buf *ret_error) {
    struct buf from_file = BUF_EMPTY;
    char name[NAME_MAX_BYTES];
    int error = v->is_file ? value_from_file(v, &from_file, ret_error) : 0;
    if (error == 0) {
        snprintf(name, sizeof(name), "%s.%s", config_keys[v->index].section,
                 config_keys[v->index].key);
        error = config_set(c, name, v->is_file ? buf_cstr(&from_file) : v->value, ret_error);
    }
    buf_free(&from_file);
    return error;
}

static int load_environment(struct config *c, char *const *environment, struct buf *ret_error) {
    bool seen[CONFIG_KEYS] = {false};
    for (; environment && *environment; environment++) {
        struct variable v;
        struct buf why = BUF_EMPTY;
        int error = -HW_ECONFIG;
        if (!take_apart(*environment, &v))
            continue;
        if (v.index < 0)
            buf_append_str(&why, "no such key; docs/CONFIG.md has those there are");
        else if (seen[v.index])
            buf_append_str(&why, "is given as a value and as a file; once is allowed");
        else
            error = load_variable(c, &v, &why);
        if (error != 0)
            buf_printf(ret_error, "%s: %s", v.whole, buf_cstr(&why));
        buf_free(&why);
        if (error != 0)
            return error;
        seen[v.index] = true;
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
