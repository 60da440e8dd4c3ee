#include "push_answer.h"

#include "texts.h"

static void put_number(struct buf *out, const char *name, uint64_t n) {
    buf_append_str(out, ",\"");
    buf_append_str(out, name);
    buf_append_str(out, "\":");
    buf_append_u64(out, n);
}

static void put_end(struct buf *out, const struct push_answer *a) {
    char time[TIME_CHARS + 1];
    if (a->is_live || a->expires_ms == 0) {
        buf_append_str(out, "null");
        return;
    }
    format_time(a->expires_ms, time);
    buf_append_str(out, "\"");
    buf_append(out, time, TIME_CHARS);
    buf_append_str(out, "\"");
}

void push_answer_put(struct buf *out, const struct push_answer *a) {
    buf_append_str(out, "{\"id\":\"");
    buf_append_str(out, a->id);
    buf_append_str(out, "\",\"class\":\"");
    buf_append_str(out, a->class);
    buf_append_str(out, "\",\"expires_at\":");
    put_end(out, a);
    if (a->has_seq)
        put_number(out, "seq", a->seq);
    if (a->targets > 0)
        put_number(out, "targets", a->targets);
    if (a->has_online)
        put_number(out, "online", a->online);
    if (a->is_replayed)
        buf_append_str(out, ",\"replayed\":true");
    if (a->status != 0)
        put_number(out, "status", (uint64_t)a->status);
    buf_append_str(out, "}");
}

void dry_answer_put(struct buf *out, const struct dry_answer *a) {
    buf_append_str(out, "{\"class\":\"");
    buf_append_str(out, a->class);
    buf_append_str(out, "\"");
    if (a->targets > 0)
        put_number(out, "targets", a->targets);
    else
        buf_append_str(out, ",\"targets\":null");
    if (a->has_online)
        put_number(out, "online", a->online);
    else
        buf_append_str(out, ",\"online\":null");
    if (a->status != 0)
        put_number(out, "status", (uint64_t)a->status);
    buf_append_str(out, "}");
}
