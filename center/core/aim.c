#include "aim.h"

#include <inttypes.h>
#include <string.h>

#include "bytes.h"
#include "crypto.h"
#include "texts.h"

// --- the id: where the message lies, and 128 bits behind that: from product, target and key, from
// the dead letter that is sent anew, or at random

static void hash_list(struct buf *b, char mark, const char *const *list, size_t count) {
    for (size_t i = 0; i < count; i++) {
        buf_append(b, &mark, 1);
        buf_append(b, list[i], strlen(list[i]) + 1);
    }
}

static void hash_targets(struct buf *b, const struct targets *to) {
    buf_printf(b, "%d", to->kind);
    for (size_t i = 0; i < to->count; i++) {
        hash_list(b, 'u', &to->list[i].user, 1);
        hash_list(b, 'd', to->list[i].devices, to->list[i].device_count);
    }
    hash_list(b, '+', to->any.tags, to->any.count);
    hash_list(b, '&', to->all.tags, to->all.count);
    hash_list(b, '-', to->none.tags, to->none.count);
}

static bool is_to_many(const struct push *push) {
    return push->to.kind == TO_USERS || push->to.kind == TO_DEVICES;
}

// The key of a push to many is that of all of them: other targets under it are another body.
static void hash_whom(struct buf *b, const struct push *push) {
    if (is_to_many(push))
        buf_append_str(b, "many");
    else
        hash_targets(b, &push->to);
}

static struct message_home home_of(const struct targets *to) {
    if (to->kind == TO_USER)
        return message_home_of_user(to->list[0].user);
    return (struct message_home){
        .kind = to->count > 0 ? MESSAGE_TO_MANY : MESSAGE_TO_ALL, .bucket = 0, .mark = 0};
}

static void make_id(const struct push *push, const struct aim_from *from,
                    char out[MESSAGE_ID_CHARS + 1]) {
    const struct message_home home = home_of(&push->to);
    uint8_t bits[32];
    memcpy(bits, from->random, AIM_RANDOM_BYTES);
    if (push->idempotency_key) {
        struct buf text = BUF_EMPTY;
        buf_printf(&text, "%u\n%s\n", from->product, push->idempotency_key);
        hash_whom(&text, push);
        crypto_sha256(text.data, text.len, bits);
        buf_free(&text);
    }
    if (push->anew.seq != 0) { // a line that no key is
        struct buf text = BUF_EMPTY;
        buf_printf(&text, "%u\n\n%" PRIu64 " %" PRIu64 "\n", from->product, push->anew.epoch,
                   push->anew.seq);
        hash_targets(&text, &push->to);
        crypto_sha256(text.data, text.len, bits);
        buf_free(&text);
    }
    message_id_make(&home, bits, out);
}

// --- where to

static bool needs_claim(const struct push *push) {
    return push->idempotency_key && (push->class == PUSH_LIVE || is_to_many(push));
}

static bool is_job(const struct push *push) {
    return is_to_many(push) && push->class != PUSH_LIVE && push->to.count > TARGETS_AT_ONCE_MAX;
}

const struct target *aim_target(const struct push *push, size_t log) {
    return push->to.count > 0 ? &push->to.list[log] : NULL;
}

const char *aim_claim_user(const struct push *push) {
    return push->to.kind == TO_USER ? push->to.list[0].user : NULL;
}

static void fill_limits(const Hawser__Internal__ProductLimits *l,
                        Hawser__Internal__InboxLimits *ret) {
    hawser__internal__inbox_limits__init(ret);
    ret->messages = l->inbox_messages;
    ret->bytes = l->inbox_bytes;
    ret->retention_ms = l->retention_s * 1000;
    ret->reject_new = l->reject_new;
    ret->outcome_ms = l->outcome_s * 1000;
    ret->devices = (uint32_t)l->devices_per_user;
    ret->ids_max = l->idempotency_keys;
}

size_t aim_logs(const struct push *push) {
    return push->to.count > 0 ? push->to.count : 1;
}

struct aim aim_push(const struct push *push, const struct aim_from *from) {
    const Hawser__Internal__ProductLimits *l = from->limits;
    struct aim aim = {
        .product = from->product, .needs_claim = needs_claim(push), .is_job = is_job(push)};
    aim.logs = aim_logs(push);
    make_id(push, from, aim.id);
    fill_limits(l, &aim.limits);
    // All times are the store's: a message lives as long everywhere, whatever a center's clock
    // says.
    aim.sent_ms = from->store_ms ? from->store_ms : from->wall_ms;
    aim.expires_ms = aim.sent_ms + (push->ttl_ms ? push->ttl_ms : l->retention_s * 1000);
    aim.not_after_ms = from->store_ms + APPEND_LAST_MOMENT_MS;
    aim.id_kept_ms = push->idempotency_key ? l->idempotency_s * 1000
                     : push->anew.seq != 0 ? ANEW_KEPT_MS
                                           : ID_KEPT_MS;
    return aim;
}

void aim_claimed(struct aim *aim, const Hawser__Internal__AppendReply *claim) {
    uint64_t end_ms = claim->sent_ms + aim->id_kept_ms, now_ms = claim->store_ms;
    aim->sent_ms = claim->sent_ms;
    aim->expires_ms = claim->expires_ms;
    aim->id_kept_ms = end_ms > now_ms + ID_KEPT_MS ? end_ms - now_ms : ID_KEPT_MS;
}

// --- the message

static void aim_take_tags(const struct tag_list *list, size_t *ret_count, char ***ret_tags) {
    *ret_count = list->count;
    *ret_tags = (char **)(uintptr_t)list->tags;
}

enum push_class class_of_stored(Hawser__Internal__MessageClass kept) {
    return kept == HAWSER__INTERNAL__MESSAGE_CLASS__CLASS_DURABLE ? PUSH_DURABLE : PUSH_STORED;
}

void aim_message(const struct push *push, const struct aim *aim, const struct target *target,
                 struct aimed *ret) {
    static const Hawser__Internal__MessageClass class_of[] = {
        [PUSH_STORED] = HAWSER__INTERNAL__MESSAGE_CLASS__CLASS_STORED,
        [PUSH_LIVE] = HAWSER__INTERNAL__MESSAGE_CLASS__CLASS_LIVE,
        [PUSH_DURABLE] = HAWSER__INTERNAL__MESSAGE_CLASS__CLASS_DURABLE};
    Hawser__Internal__StoredMessage *m = &ret->message;
    Hawser__Internal__Audience *audience = &ret->audience;
    hawser__internal__stored_message__init(m);
    m->id = (char *)(uintptr_t)aim->id;
    m->payload = (ProtobufCBinaryData){push->payload.len, push->payload.data};
    m->sent_ms = aim->sent_ms;
    m->expires_ms = push->ttl_ms ? aim->expires_ms : 0;
    m->content_type = (char *)(uintptr_t)(push->content_type ? push->content_type : "");
    m->collapse_key = (char *)(uintptr_t)(push->collapse_key ? push->collapse_key : "");
    m->class_ = class_of[push->class];
    if (target) {
        m->n_device = target->device_count;
        m->device = (char **)(uintptr_t)target->devices;
    }
    if (push->to.kind != TO_TAGS)
        return;
    hawser__internal__audience__init(audience);
    aim_take_tags(&push->to.any, &audience->n_any, &audience->any);
    aim_take_tags(&push->to.all, &audience->n_all, &audience->all);
    aim_take_tags(&push->to.none, &audience->n_none, &audience->none);
    m->audience = audience;
}

// --- whom to tell

bool told_rules_out(const struct told *told, const struct known_row *row) {
    for (; told; told = told->next)
        if (strcmp(told->device, row->device) == 0 &&
            (!told->was_not_here ||
             (told->generation == row->generation && told->incarnation == row->incarnation)))
            return true;
    return false;
}
