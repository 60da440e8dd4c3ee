// What a daemon does with a configuration before it runs, and what a reload leaves as it was.
#include <errno.h>
#include <netdb.h>

#include "addr.h"
#include "config_table.h"

// Ports that are made from another one where none is given.
static const struct {
    const char *section, *from, *made;
    uint16_t above;
} made_ports[] = {
    {"room", "listen", "ops_listen", 1000},        {"room", "listen", "rpc_listen", 500},
    {"center", "listen", "ops_listen", 1000},      {"dispatcher", "listen", "ops_listen", 1000},
    {"register", "listen", "ops_listen", 1000},    {"saver", "listen", "ops_listen", 1000},
    {"coordinator", "listen", "ops_listen", 1000},
};

// Who is told an address, and where nobody gave one.
static const struct {
    const char *section, *listen, *advertise, *who;
} told[] = {
    {"room", "listen", "advertise", "clients"},
    {"room", "rpc_listen", "rpc_advertise", "other daemons"},
    {"dispatcher", "listen", "advertise", "clients"},
    {"center", "listen", "advertise", "others"},
    {"register", "listen", "advertise", "other daemons"},
    {"saver", "listen", "advertise", "other daemons"},
    {"coordinator", "listen", "advertise", "other daemons"},
};

static struct host_port listen_at(const struct config *c, const char *section, const char *key) {
    return config_listen_at(config_value_at(c, section, key)->text); // a name as it is given
}

int config_check(const struct config *c, struct buf *ret_error) {
    for (int i = 0; i < CONFIG_KEYS; i++) {
        const struct config_key *key = &config_keys[i];
        if (!config_is_list(key->type) || (uint64_t)c->values[i].count >= key->low)
            continue;
        buf_printf(ret_error, "%s.%s: empty; at least one is needed%s", key->section, key->key,
                   key->type == CONFIG_SECRETS ? " (hawserctl init makes some)" : "");
        return -HW_ECONFIG;
    }
    for (size_t i = 0; i < sizeof(made_ports) / sizeof(made_ports[0]); i++) {
        const char *section = made_ports[i].section;
        if (*config_value_at(c, section, made_ports[i].made)->text ||
            listen_at(c, section, made_ports[i].from).port_last + made_ports[i].above <= UINT16_MAX)
            continue;
        buf_printf(ret_error, "%s.%s: %s.%s + %u is no port; one must be given here", section,
                   made_ports[i].made, section, made_ports[i].from, made_ports[i].above);
        return -HW_ECONFIG;
    }
    return 0;
}

// --- names

static int look_up(const char *host, char out[HOST_MAX + 1]) {
    const struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE};
    struct addrinfo *found = NULL;
    int error = getaddrinfo(host, NULL, &hints, &found);
    if (error == 0)
        error = getnameinfo(found->ai_addr, found->ai_addrlen, out, HOST_MAX + 1, NULL, 0,
                            NI_NUMERICHOST);
    if (found)
        freeaddrinfo(found);
    return error;
}

static int resolve_one(const struct config_key *key, struct config_value *v,
                       struct buf *ret_error) {
    struct host_port at;
    struct sock_addr numeric;
    struct buf bound = BUF_EMPTY;
    char host[HOST_MAX + 1];
    if (host_port_parse(v->text, false, &at) != 0 ||
        sock_addr_parse(at.host, at.port, &numeric) == 0)
        return 0; // empty, or an address
    int error = look_up(at.host, host);
    if (error != 0) {
        buf_printf(ret_error, "%s.%s: %s: %s", key->section, key->key, at.host,
                   gai_strerror(error));
        return -HW_ECONFIG;
    }
    buf_printf(&bound, strchr(host, ':') ? "[%s]:%u" : "%s:%u", host, at.port);
    if (at.port_last != at.port)
        buf_printf(&bound, "-%u", at.port_last);
    v->bound = hw_strdup(buf_cstr(&bound));
    buf_free(&bound);
    return 0;
}

int config_resolve(struct config *c, const char *role, struct buf *ret_error) {
    int error = 0;
    for (int i = 0; i < CONFIG_KEYS && error == 0; i++)
        if (config_keys[i].type == CONFIG_LISTEN && strcmp(config_keys[i].section, role) == 0)
            error = resolve_one(&config_keys[i], &c->values[i], ret_error);
    return error;
}

// --- warnings

static bool config_is_given(const struct config_value *v) {
    return v->count > 0 || (v->text && *v->text);
}

static void warn_addresses(const struct config *c, const char *role,
                           void (*tell)(void *arg, const char *line), void *arg) {
    for (size_t i = 0; i < sizeof(told) / sizeof(told[0]); i++) {
        if (strcmp(told[i].section, role) != 0)
            continue;
        // rpc_listen is beside listen where it is not given.
        bool own = config_is_given(config_value_at(c, role, told[i].listen));
        struct host_port at = listen_at(c, role, own ? told[i].listen : "listen");
        if (config_is_given(config_value_at(c, role, told[i].advertise)) ||
            !config_is_everywhere(at.host))
            continue;
        struct buf line = BUF_EMPTY;
        buf_printf(&line,
                   "%s.%s is empty and %s.%s is all addresses: %s are told 127.0.0.1, which only "
                   "this machine reaches",
                   role, told[i].advertise, role, told[i].listen, told[i].who);
        tell(arg, buf_cstr(&line));
        buf_free(&line);
    }
}

void config_warnings(const struct config *c, const char *role,
                     void (*tell)(void *arg, const char *line), void *arg) {
    warn_addresses(c, role, tell, arg);
    bool is_saver = strcmp(role, "saver") == 0;
    if ((is_saver || strcmp(role, "register") == 0) &&
        config_is_given(config_value_at(c, "mariadb", "url")) &&
        strcmp(config_text(c, "redis.url"), "memory:") == 0)
        tell(arg, is_saver ? "mariadb.url is not used, since redis.url is memory:, which forgets: "
                             "class durable is refused"
                           : "mariadb.url is not used, since redis.url is memory:, which forgets: "
                             "products and keys, too");
}

// --- reload

static bool concerns(const char *role, const char *section) {
    bool is_store = strcmp(section, "redis") == 0 || strcmp(section, "mariadb") == 0;
    return strcmp(section, "cluster") == 0 || strcmp(section, role) == 0 ||
           (is_store && (strcmp(role, "register") == 0 || strcmp(role, "saver") == 0));
}

void config_keep(struct config *c, const struct config *in_force, const char *role,
                 void (*tell)(void *arg, const char *key), void *arg) {
    for (int i = 0; i < CONFIG_KEYS; i++) {
        const struct config_key *key = &config_keys[i];
        if (!key->needs_restart)
            continue;
        if (concerns(role, key->section) &&
            !config_value_equal(&c->values[i], &in_force->values[i])) {
            struct buf name = BUF_EMPTY;
            buf_printf(&name, "%s.%s", key->section, key->key);
            tell(arg, buf_cstr(&name));
            buf_free(&name);
        }
        config_value_copy(&c->values[i], &in_force->values[i]);
    }
}
