#include "change.h"

static void change_free(void *state) {
    struct change *change = state;
    arena_deinit(&change->arena);
    json_decref(change->show);
    free(change);
}

struct change *change_new(struct request *q, int status) {
    struct change *change = hw_calloc(1, sizeof(*change));
    arena_init(&change->arena);
    hawser__internal__product__init(&change->record);
    hawser__internal__product_limits__init(&change->limits);
    change->status = status;
    q->state = change;
    q->free_state = change_free;
    return change;
}

void change_from(struct change *d, const struct product *product, bool limits_too) {
    size_t len = hawser__internal__product__get_packed_size(product->record);
    uint8_t *bytes = arena_alloc(&d->arena, len);
    hawser__internal__product__pack(product->record, bytes);
    Hawser__Internal__Product *copy =
        hawser__internal__product__unpack(&d->arena.allocator, len, bytes);
    d->record = *copy;
    if (limits_too && copy->limits)
        d->limits = *copy->limits;
    if (!limits_too)
        d->record.callbacks = NULL;
}

static void answer_change(struct request *q, const Hawser__Internal__CatalogEntry *entry) {
    struct change *change = q->state;
    json_t *body = change->show;
    change->show = NULL;
    if (change->deletes) {
        reply_empty(q);
        return;
    }
    if (!change->show_product) {
        if (body)
            reply_json(q, change->status, body);
        else
            reply_empty(q);
        return;
    }
    const struct product *product = request_product(q);
    json_t *shown = product ? change->show_product(product) : json_object();
    if (body)
        json_object_set_new(shown, "keys", body);
    reply_with_etag(q, change->status, shown, entry->version);
}

static void on_put(void *arg, int error, const Hawser__Internal__CatalogPutReply *reply) {
    struct request *q = arg;
    if (!reply || !reply->entry) {
        reply_unanswered(q, "register", error);
    } else {
        cluster_learn(q->center->cluster, reply->entry);
        if (reply->conflict)
            reply_fault(q, PROBLEM_state_conflict, NULL,
                        "it was changed by someone else meanwhile");
        else
            answer_change(q, reply->entry);
    }
}

void change_put(struct request *q, uint64_t expect) {
    struct change *d = q->state;
    Hawser__Internal__CatalogPutRequest request = HAWSER__INTERNAL__CATALOG_PUT_REQUEST__INIT;
    d->record.name = q->product_name;
    d->record.limits = &d->limits;
    size_t size = hawser__internal__product__get_packed_size(&d->record);
    uint8_t *bytes = arena_alloc(&d->arena, size);
    hawser__internal__product__pack(&d->record, bytes);
    request.key = arena_printf(&d->arena, "product/%s", q->product_name);
    request.value = (ProtobufCBinaryData){size, bytes};
    request.expect = expect;
    request.deleted = d->deletes;
    struct peer peer = register_of(q->center->cluster);
    q->was_up = peer_is_up(peer);
    register_catalog_put(peer, &request, on_put, q);
}

bool change_is_wanted(struct request *q, const struct product *product) {
    char etag[ETAG_CHARS];
    const char *wanted = q->http->if_match;
    etag_of(product ? product->version : 0, etag);
    if (product && strcmp(q->http->if_none_match, "*") == 0) {
        reply_fault(q, PROBLEM_state_conflict, NULL, "If-None-Match: the product exists");
        return false;
    }
    if (!*wanted || (product && (strcmp(wanted, "*") == 0 || strcmp(wanted, etag) == 0)))
        return true;
    reply_fault(q, PROBLEM_state_conflict, NULL, "If-Match: the product is another version now");
    return false;
}
