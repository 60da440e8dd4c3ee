// What a text, or an item of a list, may look like.
#include "addr.h"
#include "bytes.h"
#include "config_table.h"
#include "maria_url.h"
#include "redis_url.h"

enum { TEXT_MAX = 255, URL_MAX = 1024, IDC_MAX = 63, SECRET_MIN = 16, SECRET_DIFFERENT_MIN = 5 };

// --- hosts

static bool is_name(const char *host) {
    bool has_letter = false;
    for (const char *c = host; *c; c++) {
        bool letter = (*c >= 'a' && *c <= 'z') || (*c >= 'A' && *c <= 'Z');
        if (!letter && (*c < '0' || *c > '9') && *c != '-' && *c != '.' && *c != '_')
            return false;
        has_letter = has_letter || letter;
    }
    return has_letter; // without one it is meant as an address
}

bool config_is_everywhere(const char *host) {
    return *host == '\0' || strcmp(host, "*") == 0 || strcmp(host, "0.0.0.0") == 0 ||
           strcmp(host, "::") == 0;
}

static bool is_host(const char *host) {
    struct sock_addr address;
    return *host != '\0' && *host != '/' &&
           (is_name(host) || sock_addr_parse(host, 1, &address) == 0);
}

// --- the types

static bool is_level(const char *text) {
    return strcmp(text, "error") == 0 || strcmp(text, "warn") == 0 || strcmp(text, "info") == 0 ||
           strcmp(text, "debug") == 0;
}

static bool is_listen(const char *text) {
    struct host_port at;
    return host_port_parse(text, false, &at) == 0 &&
           (config_is_everywhere(at.host) || is_host(at.host));
}

static bool is_address(const char *text) {
    struct host_port at;
    if (host_port_parse(text, true, &at) != 0 || at.port != at.port_last)
        return false;
    bool is_port_zero = at.port == 0 && host_port_parse(text, false, &at) == 0;
    return !is_port_zero && is_host(at.host) && !config_is_everywhere(at.host);
}

static bool is_endpoint(const char *text) {
    char address[TEXT_MAX + 1];
    const char *at = strchr(text, '@');
    if (!at)
        return is_address(text);
    snprintf(address, sizeof(address), "%.*s", (int)(at - text), text);
    return at[1] != '\0' && strlen(at + 1) <= IDC_MAX && !strchr(at + 1, '@') &&
           is_address(address);
}

static bool is_seed(const char *text) {
    struct host_port at;
    return is_address(text) && host_port_parse(text, false, &at) == 0 && at.port != 0;
}

static const struct {
    enum config_type type;
    bool (*is_right)(const char *text);
    const char *allowed;
} syntaxes[] = {
    {CONFIG_LEVEL, is_level, "error, warn, info or debug"},
    {CONFIG_LISTEN, is_listen, "host:port, host:first-last or :port"},
    {CONFIG_ADDRESS, is_address, "host or host:port (1-65535), as others reach it"},
    {CONFIG_ADDRESSES, is_address, "host or host:port (1-65535), as others reach it"},
    {CONFIG_ENDPOINTS, is_endpoint, "host[:port][@idc] (port 1-65535), as clients reach it"},
    {CONFIG_SEEDS, is_seed, "host:port"},
};

static int syntax_refuse(const struct config_key *key, const char *why, struct buf *ret_error) {
    buf_printf(ret_error, "%s.%s: %s", key->section, key->key, why);
    return -HW_ECONFIG;
}

// --- what is not shown when it is wrong

void config_url_show(const char *url, struct buf *out) {
    const char *at = strrchr(url, '@'), *scheme = strstr(url, "://");
    if (at && scheme && scheme < at)
        buf_append(out, url, (size_t)(scheme + 3 - url));
    buf_append_str(out, at ? "..." : url);
    buf_append_str(out, at ? at : "");
}

static const char *secret_fault(const char *text) {
    bool seen[256] = {false};
    int different = 0;
    for (const char *c = text; *c; c++) {
        if ((unsigned char)*c <= ' ' || *c == 0x7F)
            return "a secret has a blank or a control character in it, such as a carriage return";
        different += !seen[(unsigned char)*c];
        seen[(unsigned char)*c] = true;
    }
    if (strlen(text) < SECRET_MIN)
        return "a secret has less than 16 bytes; hawserctl init makes some";
    if (strstr(text, "example") || strstr(text, "change"))
        return "a secret is an example; hawserctl init makes some";
    if (different < SECRET_DIFFERENT_MIN)
        return "a secret has less than 5 different characters; hawserctl init makes some";
    return NULL;
}

static int check_redis_url(const struct config_key *key, const char *text, struct buf *ret_error) {
    struct redis_url url;
    struct buf why = BUF_EMPTY;
    int error = 0;
    if (strcmp(text, "memory:") != 0 && redis_url_parse(text, &url, &why) != 0)
        error = syntax_refuse(key, buf_cstr(&why), ret_error);
    buf_free(&why);
    return error;
}

static int check_mariadb_url(const struct config_key *key, const char *text,
                             struct buf *ret_error) {
    struct maria_url url;
    struct buf why = BUF_EMPTY;
    int error = maria_url_parse(text, &url, &why);
    if (error != 0) {
        buf_printf(ret_error, "%s.%s: '", key->section, key->key);
        config_url_show(text, ret_error);
        buf_printf(ret_error, "' is not allowed; mariadb://user:password@host:port/database: %s",
                   buf_cstr(&why));
    }
    buf_free(&why);
    return error == 0 ? 0 : -HW_ECONFIG;
}

int config_count_check(const struct config_key *key, int count, struct buf *ret_error) {
    if ((uint64_t)count <= key->high)
        return 0;
    buf_printf(ret_error, "%s.%s: a list of %d; at most %llu are allowed", key->section, key->key,
               count, (unsigned long long)key->high);
    return -HW_ECONFIG;
}

int config_syntax_check(const struct config_key *key, const char *text, struct buf *ret_error) {
    bool control = false, valid = utf8_is_valid((const uint8_t *)text, strlen(text), &control);
    if (key->type == CONFIG_SECRETS) {
        const char *fault = secret_fault(text);
        return fault ? syntax_refuse(key, fault, ret_error) : 0;
    }
    if (*text == '\0' && *key->fallback == '\0')
        return 0;
    bool is_url = key->type == CONFIG_REDIS_URL || key->type == CONFIG_MARIADB_URL;
    if (strlen(text) > (is_url ? URL_MAX : TEXT_MAX))
        return syntax_refuse(key, is_url ? "longer than 1024 bytes" : "longer than 255 bytes",
                             ret_error);
    if (!valid || control)
        return syntax_refuse(key, "has a control character in it, such as a carriage return",
                             ret_error);
    if (key->type == CONFIG_REDIS_URL)
        return check_redis_url(key, text, ret_error);
    if (key->type == CONFIG_MARIADB_URL)
        return check_mariadb_url(key, text, ret_error);
    for (size_t i = 0; i < sizeof(syntaxes) / sizeof(syntaxes[0]); i++) {
        if (syntaxes[i].type != key->type || syntaxes[i].is_right(text))
            continue;
        buf_printf(ret_error, "%s.%s: '%.64s' is not allowed; %s", key->section, key->key, text,
                   syntaxes[i].allowed);
        return -HW_ECONFIG;
    }
    return 0;
}
