#include "message_status.h"

#include "texts.h"

json_t *message_status_json(const struct message_status *s) {
    json_t *out = json_pack("{s:s, s:s}", "id", s->id, "state", s->state);
    if (s->accepted_ms)
        json_object_set_new(out, "accepted_at", time_json(s->accepted_ms));
    if (s->expires_ms)
        json_object_set_new(out, "expires_at", time_json(s->expires_ms));
    return out;
}
