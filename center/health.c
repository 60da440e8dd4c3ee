// Health, as load balancers ask for it at the API's port.
#include "handlers.h"
#include "request.h"
#include "texts.h"

const char *center_unready(void *self) {
    const struct center *c = self;
    return c->is_draining ? "draining" : c->clock.is_known ? NULL : "no saver answers";
}

void handle_healthz(struct request *q) {
    reply_json(q, 200, json_pack("{s:s}", "status", "ok"));
}

void handle_readyz(struct request *q) {
    const char *missing = cluster_unready_reason(q->center->cluster);
    const char *reason = missing ? missing : center_unready(q->center);
    reply_json(q, reason ? 503 : 200,
               reason ? json_pack("{s:s, s:o}", "status", "not ready", "reason", text_json(reason))
                      : json_pack("{s:s}", "status", "ready"));
}
