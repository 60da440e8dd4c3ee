// One binding's login: the token is checked, the register writes the row and gives the generation,
// and only then the saver is asked for positions (register, then load).
#include "crypto.h"
#include "room_internal.h"

static void fail(struct session *s, uint32_t code, const char *reason, uint32_t retry_after_ms) {
    s->has_failed = true;
    s->error = code;
    s->error_reason = reason;
    s->error_retry_ms = retry_after_ms;
    s->conn->room->count.login_failures++;
}

static void fail_and_tell(struct session *s, uint32_t code, const char *reason,
                          uint32_t retry_after_ms) {
    fail(s, code, reason, retry_after_ms);
    hello_session_done(s);
}

// --- 4. positions

static void take_positions(struct session *s, const Hawser__Internal__AttachReply *reply) {
    for (size_t i = 0; i < reply->n_stream; i++) {
        const Hawser__Internal__AttachedStream *a = reply->stream[i];
        if (a->stream == HAWSER__V1__STREAM__INBOX) {
            uint64_t hinted =
                s->inbox.epoch == a->epoch ? s->inbox.heard : 0; // since the registration
            s->is_log_another = s->inbox.epoch != 0 && s->inbox.epoch != a->epoch;
            cursor_start(&s->inbox, a->epoch, a->after);
            s->inbox.heard = s->inbox_target = a->head > a->after ? a->head : a->after;
            s->inbox.heard = hinted > s->inbox.heard ? hinted : s->inbox.heard;
            s->inbox_saved = a->after;
            s->reset_inbox = a->reset;
        } else if (a->stream == HAWSER__V1__STREAM__NEWS) {
            cursor_start(&s->news, a->epoch, a->after);
            s->news_saved = a->after;
            s->reset_news = a->reset;
        } else {
            s->bulk_epoch = a->epoch;
            s->bulk_seq = a->after;
        }
    }
}

static void attach(struct session *s, const Hawser__Internal__LoginReply *login);

// The row was another's in between.
static void on_row(struct room *r, struct session *s, int error, const uint8_t *body, size_t len) {
    Hawser__Internal__ConfirmReply *reply =
        error == 0 ? hawser__internal__confirm_reply__unpack(NULL, len, body) : NULL;
    if (--s->confirms_in_flight == 0 && reply)
        s->is_row_unsure = false;
    if (s->state != SESSION_ATTACHING || s->has_failed) {
        // over already
    } else if (reply && reply->outcome == HAWSER__INTERNAL__CONFIRMED__CONFIRMED_SUPERSEDED) {
        fail_and_tell(s, 4001, "replaced by a newer login meanwhile", 0);
    } else if (!reply || reply->outcome == HAWSER__INTERNAL__CONFIRMED__CONFIRMED_UNDECIDED ||
               reply->generation <= s->generation) {
        fail_and_tell(s, 4101, "the store knows a higher generation", BUSY_RETRY_MS);
    } else {
        if (reply->replaced)
            notice_confirm_row(r, reply->replaced);
        s->generation = reply->generation;
        s->confirmed_round = s->asked_round;
        attach(s, NULL);
    }
    if (reply)
        hawser__internal__confirm_reply__free_unpacked(reply, NULL);
}

static void on_attached(struct room *r, struct session *s, int error, const uint8_t *body,
                        size_t len) {
    Hawser__Internal__AttachReply *reply =
        error == 0 ? hawser__internal__attach_reply__unpack(NULL, len, body) : NULL;
    if (s->state != SESSION_ATTACHING || s->has_failed) {
        // over already
    } else if (!reply) {
        fail_and_tell(s, 4101, "the store cannot be asked", BUSY_RETRY_MS);
    } else if (reply->stale) {
        upkeep_ask_row(s, on_row); // whose it is the register says
    } else {
        take_positions(s, reply);
        s->state = SESSION_ATTACHED;
        r->count.logins++;
        hello_session_done(s);
    }
    if (reply)
        hawser__internal__attach_reply__free_unpacked(reply, NULL);
}

// login: where the row is new, else NULL.
static void attach(struct session *s, const Hawser__Internal__LoginReply *login) {
    Hawser__Internal__AttachRequest request = HAWSER__INTERNAL__ATTACH_REQUEST__INIT;
    Hawser__Internal__StreamPosition have[3], *list[3];
    for (int i = 0; i < s->have_count; i++) {
        hawser__internal__stream_position__init(&have[i]);
        have[i].stream = s->have[i].stream;
        have[i].epoch = s->have[i].epoch;
        have[i].seq = s->have[i].seq;
        list[i] = &have[i];
    }
    request.product = s->product->number;
    request.user = s->user;
    request.device = s->conn->device;
    request.generation = s->generation;
    request.n_have = s->have_count;
    request.have = list;
    request.devices_max = session_devices_max(s);
    if (login) {
        request.n_known = login->n_device;
        request.known = login->device;
    }
    s->state = SESSION_ATTACHING;
    session_call(s, session_saver(s), HAWSER__INTERNAL__SAVER_METHOD__SAVER_ATTACH, &request.base,
                 on_attached);
}

// --- 3. the row

static const char *refusal_text(const Hawser__Internal__LoginReply *reply) {
    return reply->devices_full      ? "too many devices"
           : reply->refused == 4103 ? "too many logins of this device"
           : reply->refused == 4003 ? "kicked"
           : reply->refused == 4101 ? "the register was reached too late"
                                    : "refused by the register";
}

// Ended while the register had not answered: the row goes, and the session with it. Nobody is
// replaced by a client that is not there any more: it may be the one that was taken over.
static void leave(struct session *s, uint64_t generation) {
    struct conn *c = s->conn;
    s->generation = generation;
    s->state = SESSION_ATTACHING;
    session_end(s);
    if (c->stream && c->state == CONN_OPEN)
        conn_pause(c, false);
    if (c->state == CONN_CLOSING && !c->stream && !c->sessions)
        conn_end(c);
}

// Of two logins here the one asked for later is the newer one, whichever the register did first.
static bool is_overtaken(struct room *r, const struct session *s,
                         const Hawser__Internal__SessionRow *row) {
    const struct session *other =
        row && row->incarnation == r->env->incarnation ? session_at_place(r, row->slot) : NULL;
    return other && other->state != SESSION_LEAVING && other->login_order > s->login_order;
}

static void on_registered(struct room *r, struct session *s, int error, const uint8_t *body,
                          size_t len) {
    Hawser__Internal__LoginReply *reply =
        error == 0 ? hawser__internal__login_reply__unpack(NULL, len, body) : NULL;
    if (!reply)
        orphan_expect(s);
    if (s->state == SESSION_LEAVING || stream_peer_is_gone(s->conn->stream)) {
        leave(s, reply ? reply->generation : 0);
        if (reply && reply->replaced)
            notice_confirm_row(r, reply->replaced);
    } else if (!reply) {
        s->state = SESSION_ASKING;
        fail_and_tell(s, 4101, "the register cannot be asked", BUSY_RETRY_MS);
    } else if (reply->refused != 0) {
        s->state = SESSION_ASKING;
        fail_and_tell(s, reply->refused, refusal_text(reply), reply->retry_after_ms);
    } else if (reply->generation == s->replaced_generation) {
        s->state = SESSION_ASKING; // its row is another's already
        fail_and_tell(s, 4001, "replaced by a newer login meanwhile", 0);
    } else if (is_overtaken(r, s, reply->replaced)) {
        s->generation = reply->generation;
        s->state = SESSION_ATTACHING; // its row goes with it
        fail_and_tell(s, 4001, "replaced by a newer login meanwhile", 0);
        notice_confirm_row(r, reply->replaced);
    } else {
        s->generation = s->login_generation = reply->generation;
        s->confirmed_round = s->asked_round;
        s->news_round = s->product->heads_round + 1;
        if (reply->replaced)
            notice_replaced(r, reply->replaced, reply->generation);
        attach(s, reply);
        news_heads_ask(s->product);
    }
    if (reply)
        hawser__internal__login_reply__free_unpacked(reply, NULL);
}

static void enter_register(struct session *s) {
    Hawser__Internal__LoginRequest request = HAWSER__INTERNAL__LOGIN_REQUEST__INIT;
    struct room *r = s->conn->room;
    char address[64] = "";
    struct sock_addr peer;
    stream_peer(s->conn->stream, &peer);
    if (peer.len > 0)
        sock_addr_format(&peer, address, sizeof(address));
    request.product = s->product->number;
    request.user = s->user;
    request.device = s->conn->device;
    request.room = r->id;
    request.incarnation = r->env->incarnation;
    request.slot = session_place(s);
    request.address = address;
    request.devices_max = session_devices_max(s);
    // When that is over, we have given up, and the client may log in again.
    request.not_after_ms = cluster_store_ms(r->cluster) + CALL_MS;
    s->state = SESSION_REGISTERING;
    s->asked_round = upkeep_round(r);
    s->since_ms = loop_wall_ms(r->loop);
    s->login_order = ++r->logins_asked;
    session_call(s, cluster_register(r->cluster), HAWSER__INTERNAL__REGISTER_METHOD__REGISTER_LOGIN,
                 &request.base, on_registered);
}

// --- 2. the token

static bool tags_allowed(const char *tags, const struct token_claims *claims) {
    for (const char *t = tags; claims->tags_given && t && *t; t += strlen(t) + 1) {
        bool found = false;
        for (int i = 0; i < claims->tag_count && !found; i++)
            found = strcmp(t, claims->tags[i]) == 0;
        if (!found)
            return false;
    }
    return true;
}

// A token and the tags that came with it.
struct bind_check {
    const struct conn *conn;
    const char *token, *tags;
    struct token_claims claims; // the caller's to free when code is 0
    uint32_t code;              // 0, or a Close code
    const char *reason;
};

static void check(struct bind_check *k, const struct product *p, const char *kid) {
    const struct product_key *key =
        product_key_find(p, HAWSER__INTERNAL__KEY_KIND__KEY_TOKEN, kid, strlen(kid));
    k->code = 4002;
    k->reason = "no such key";
    if (!key)
        return;
    struct token_key with = {.secret = key->secret,
                             .secret_len = key->secret_len,
                             .product = p->name,
                             .ttl_ms = p->limits.token_ttl_s * 1000};
    k->code = token_check(k->token, &with, k->conn->device, loop_wall_ms(k->conn->room->loop),
                          &k->claims, &k->reason);
    if (k->code == 0 && !tags_allowed(k->tags, &k->claims)) {
        token_claims_deinit(&k->claims);
        k->reason = "a tag that the token does not allow";
        k->code = 4002;
    }
}

static struct session *other_of_product(const struct session *s, uint32_t number) {
    for (struct session *o = s->conn->sessions; o; o = o->next_in_conn)
        if (o != s && o->product && o->product->number == number && !o->has_failed &&
            o->state != SESSION_LEAVING)
            return o;
    return NULL;
}

void bind_take_terms(struct session *s, struct bind_terms *terms) {
    free(s->tags);
    s->tags = terms->tags;
    s->expires_ms = terms->expires_ms;
    terms->tags = NULL;
}

// A Bind for what the connection holds already: new token and tags, the rest stays. Its answer is
// made from the old session by hello.c.
static void renew(struct session *s, struct session *old) {
    struct bind_terms terms = {s->tags, s->expires_ms};
    s->tags = NULL;
    bind_take_terms(old, &terms);
    product_hold_as(s, old);
    s->generation = 0;
    s->state = SESSION_ATTACHED;
    hello_session_done(s);
}

// A Bind for one more product: NULL, or why it cannot be held. One that is leaving holds no place.
static const char *no_place_text(const struct session *s) {
    const struct room *r = s->conn->room;
    size_t held = 0;
    for (const struct session *o = s->conn->sessions; o; o = o->next_in_conn)
        held += o != s && o->state != SESSION_LEAVING;
    return held >= BINDS_MAX                    ? "at most 16 bindings"
           : r->sessions.used > r->sessions_max ? "this room is full"
                                                : NULL;
}

static void go_on(struct session *s, const struct product *p, struct token_claims *claims) {
    struct conn *c = s->conn;
    struct session *old = other_of_product(s, p->number);
    const char *refusal = !old && c->state == CONN_OPEN ? no_place_text(s) : NULL;
    s->user = hw_strdup(claims->user);
    s->expires_ms = claims->expires_ms;
    token_claims_deinit(claims);
    if (old && strcmp(old->user, s->user) == 0) {
        renew(s, old);
    } else if (refusal) {
        fail_and_tell(s, 4101, refusal, BUSY_RETRY_MS);
    } else {
        if (old)
            session_end(old);
        product_hold(s, p);
        if (cluster_store_ms(c->room->cluster) != 0)
            enter_register(s);
        else
            fail_and_tell(s, 4101, "no register has answered yet", BUSY_RETRY_MS);
    }
}

static void on_product(void *arg, int error, const struct product *p) {
    struct session *s = arg;
    struct token_hint hint;
    const char *reason = "";
    if (error == -HW_EUNKNOWN) {
        fail_and_tell(s, 4004, "no such product", 0);
        return;
    }
    if (error != 0) {
        fail_and_tell(s, 4101, "no register can be asked for the product", BUSY_RETRY_MS);
        return;
    }
    (void)token_peek(s->token, &hint, &reason); // it was right before the question
    struct bind_check k = {.conn = s->conn, .token = s->token, .tags = s->tags};
    check(&k, p, hint.kid);
    if (k.code != 0)
        fail_and_tell(s, k.code, k.reason, 0);
    else
        go_on(s, p, &k.claims);
}

// --- 1. the Bind

// *ret_tags: the caller's to free; NULL = none.
static bool take_tags(const Hawser__V1__Bind *bind, char **ret_tags) {
    struct buf tags = BUF_EMPTY;
    size_t bytes = 0;
    bool good = bind->n_tags <= TAGS_MAX;
    for (size_t i = 0; i < bind->n_tags && good; i++) {
        size_t len = strlen(bind->tags[i]);
        bytes += len;
        good = id_is_valid(bind->tags[i], len, TAG_MAX) && bytes <= TAGS_BYTES_MAX;
        buf_append(&tags, bind->tags[i], len + 1);
    }
    *ret_tags = NULL;
    if (good && tags.len > 0) {
        buf_append(&tags, "", 1);
        *ret_tags = hw_memdup(tags.data, tags.len);
    }
    buf_free(&tags);
    return good;
}

static bool have_is_good(const Hawser__V1__Bind *bind) {
    unsigned seen = 0;
    for (size_t i = 0; i < bind->n_have; i++) {
        unsigned stream = (unsigned)bind->have[i]->stream;
        if (stream > 2 || seen & 1u << stream)
            return false;
        seen |= 1u << stream;
    }
    return true;
}

static void take_have(struct session *s, const Hawser__V1__Bind *bind) {
    for (size_t i = 0; i < bind->n_have; i++)
        s->have[s->have_count++] = *bind->have[i];
}

// The product is asked for even when it is here, so that every answer comes later.
struct session *bind_begin(struct conn *c, const Hawser__V1__Bind *bind) {
    struct session *s = session_new(c);
    struct token_hint hint;
    const char *reason = "";
    if (!s)
        return NULL;
    s->token = hw_strdup(bind->token);
    if (!take_tags(bind, &s->tags)) {
        fail(s, 4300, "tags: at most 32 of 1..64 bytes, together at most 1 KiB", 0);
    } else if (!have_is_good(bind)) {
        fail(s, 4300, "have: at most one position for each stream", 0);
    } else if (!token_peek(s->token, &hint, &reason)) {
        fail(s, 4002, reason, 0);
    } else {
        take_have(s, bind);
        cluster_product_ask(c->room->cluster, hint.product, hint.kid, on_product, s);
    }
    return s;
}

bool bind_check_resume(const struct session *s, const Hawser__V1__Bind *bind,
                       struct bind_terms *ret_terms) {
    struct bind_check k = {.conn = s->conn, .token = bind->token, .code = 4002};
    const struct product *p = cluster_product_by_number(s->conn->room->cluster, s->product->number);
    struct token_hint hint;
    char *tags = NULL;
    if (p && have_is_good(bind) && take_tags(bind, &tags) &&
        token_peek(bind->token, &hint, &k.reason)) {
        k.tags = tags;
        check(&k, p, hint.kid);
    }
    bool is_same = k.code == 0 && strcmp(k.claims.user, s->user) == 0;
    if (is_same)
        *ret_terms = (struct bind_terms){tags, k.claims.expires_ms};
    else
        free(tags);
    if (k.code == 0)
        token_claims_deinit(&k.claims);
    return is_same;
}

const char *bind_product_name(const struct session *s, struct token_hint *hint) {
    const char *reason;
    if (s->product)
        return s->product->name;
    return s->token && token_peek(s->token, hint, &reason) ? hint->product : "";
}
