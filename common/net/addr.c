#include "addr.h"

#include <arpa/inet.h>
#include <errno.h>
#include <sys/un.h>

static bool port_parse(const char *text, size_t len, uint16_t *ret_port) {
    uint32_t port = 0;
    if (len == 0 || len > 5)
        return false;
    for (size_t i = 0; i < len; i++) {
        if (text[i] < '0' || text[i] > '9')
            return false;
        port = port * 10 + (uint32_t)(text[i] - '0');
    }
    if (port > UINT16_MAX)
        return false;
    *ret_port = (uint16_t)port;
    return true;
}

static int ports_parse(const char *text, struct host_port *hp) {
    const char *dash = strchr(text, '-');
    size_t first_len = dash ? (size_t)(dash - text) : strlen(text);
    if (!port_parse(text, first_len, &hp->port))
        return -EINVAL;
    hp->port_last = hp->port;
    if (dash && (!port_parse(dash + 1, strlen(dash + 1), &hp->port_last) || hp->port == 0 ||
                 hp->port_last < hp->port))
        return -EINVAL;
    return 0;
}

int host_port_parse(const char *text, bool port_optional, struct host_port *ret_hp) {
    struct host_port hp = {0};
    const char *host = text, *colon = strrchr(text, ':');
    size_t host_len = colon ? (size_t)(colon - text) : strlen(text);
    if (text[0] == '[') {
        const char *end = strchr(text, ']');
        if (!end || (end[1] != ':' && end[1] != '\0'))
            return -EINVAL;
        host = text + 1;
        host_len = (size_t)(end - host);
        colon = end[1] == ':' ? end + 1 : NULL;
    } else if (colon && memchr(text, ':', host_len)) {
        return -EINVAL; // a v6 address needs brackets
    }
    if (host_len > HOST_MAX || (!colon && (!port_optional || host_len == 0)))
        return -EINVAL;
    memcpy(hp.host, host, host_len);
    int error = colon ? ports_parse(colon + 1, &hp) : 0;
    if (error == 0)
        *ret_hp = hp;
    return error;
}

void host_port_format(const char *host, uint16_t port, char *out, size_t out_len) {
    bool v6 = strchr(host, ':') != NULL;
    snprintf(out, out_len, "%s%s%s:%u", v6 ? "[" : "", host, v6 ? "]" : "", port);
}

int sock_addr_parse(const char *host, uint16_t port, struct sock_addr *ret_addr) {
    struct sock_addr a = {0};
    struct sockaddr_in *v4 = (struct sockaddr_in *)&a.storage;
    struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)&a.storage;
    struct sockaddr_un *un = (struct sockaddr_un *)&a.storage;
    if (host[0] == '\0' || strcmp(host, "*") == 0)
        host = "0.0.0.0";
    if (strncmp(host, "unix://", 7) == 0 || host[0] == '/') {
        const char *path = host[0] == '/' ? host : host + 7;
        if (strlen(path) >= sizeof(un->sun_path))
            return -EINVAL;
        un->sun_family = AF_UNIX;
        memcpy(un->sun_path, path, strlen(path) + 1);
        a.len = sizeof(*un);
    } else if (inet_pton(AF_INET, host, &v4->sin_addr) == 1) {
        v4->sin_family = AF_INET;
        v4->sin_port = htons(port);
        a.len = sizeof(*v4);
    } else if (inet_pton(AF_INET6, host, &v6->sin6_addr) == 1) {
        v6->sin6_family = AF_INET6;
        v6->sin6_port = htons(port);
        a.len = sizeof(*v6);
    } else {
        return -EINVAL;
    }
    *ret_addr = a;
    return 0;
}

// An IPv4 peer of a listener on [::] is shown as everywhere else, not as ::ffff:127.0.0.1.
static void format_v6(const struct in6_addr *v6, char *out, socklen_t len) {
    if (IN6_IS_ADDR_V4MAPPED(v6))
        inet_ntop(AF_INET, &v6->s6_addr[12], out, len);
    else
        inet_ntop(AF_INET6, v6, out, len);
}

void sock_addr_host(const struct sock_addr *a, char *out, size_t out_len) {
    snprintf(out, out_len, "unix");
    if (a->storage.ss_family == AF_INET)
        inet_ntop(AF_INET, &((const struct sockaddr_in *)&a->storage)->sin_addr, out,
                  (socklen_t)out_len);
    else if (a->storage.ss_family == AF_INET6)
        format_v6(&((const struct sockaddr_in6 *)&a->storage)->sin6_addr, out, (socklen_t)out_len);
}

void sock_addr_format(const struct sock_addr *a, char *out, size_t out_len) {
    char host[INET6_ADDRSTRLEN];
    sock_addr_host(a, host, sizeof(host));
    if (a->storage.ss_family == AF_INET || a->storage.ss_family == AF_INET6)
        host_port_format(host, sock_addr_port(a), out, out_len);
    else
        snprintf(out, out_len, "%s", host);
}

uint16_t sock_addr_port(const struct sock_addr *a) {
    if (a->storage.ss_family == AF_INET)
        return ntohs(((const struct sockaddr_in *)&a->storage)->sin_port);
    if (a->storage.ss_family == AF_INET6)
        return ntohs(((const struct sockaddr_in6 *)&a->storage)->sin6_port);
    return 0;
}
