#include "endpoints.h"

#include <assert.h>

#include "client.pb-c.h"
#include "part.h"

static void endpoint_add(struct endpoints *e, const char *address, const char *idc,
                         const struct host_port *bound) {
    struct host_port at = part_told(address, bound);
    Hawser__Internal__MemberEndpoint *one = &e->all[e->count];
    hawser__internal__member_endpoint__init(one);
    one->host = memcpy(e->hosts[e->count], at.host, sizeof(at.host));
    one->port = at.port;
    one->n_transport = 1;
    one->transport = &e->transport;
    size_t len = strlen(idc);
    assert(len <= ENDPOINT_IDC_MAX);
    one->idc = memcpy(e->idcs[e->count], idc, len + 1);
    e->list[e->count++] = one;
}

void endpoints_take(struct endpoints *e, const struct daemon_env *env, const char *key,
                    const struct host_port *bound) {
    const char *own_idc = config_text(env->config, "cluster.idc");
    int count;
    char *const *given = config_list(env->config, key, &count);
    *e = (struct endpoints){.transport = HAWSER__V1__TRANSPORT__PLAIN};
    assert(count <= ENDPOINTS_MAX);
    for (int i = 0; i < count; i++) {
        char *address = hw_strdup(given[i]), *idc = strchr(address, '@');
        if (idc)
            *idc++ = '\0';
        endpoint_add(e, address, idc ? idc : own_idc, bound);
        free(address);
    }
    if (count == 0)
        endpoint_add(e, "", own_idc, bound);
}
