// A Bind: its token is checked against the product and key that it names, which are asked of a
// register where this room does not know them. What it may be goes to the session: ADMITTED, or
// DENIED.
#include "close_codes.h"
#include "room_internal.h"

// --- the token

struct login_token {
    struct token_glance glance; // empty texts when it is not a token that can be right
    char text[];
};

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

static void login_check(struct bind_check *k, const struct product *p, const char *kid) {
    const struct product_key *key =
        product_key_find(p, HAWSER__INTERNAL__KEY_KIND__KEY_TOKEN, kid, strlen(kid));
    k->code = CLOSE_TOKEN_REFUSED;
    k->reason = "no such key";
    if (!key)
        return;
    struct token_terms terms = {.algorithm = key->algorithm,
                                .secret = key->secret,
                                .secret_len = key->secret_len,
                                .product = p->name,
                                .ttl_ms = p->limits.token_ttl_s * 1000,
                                .device = k->conn->device,
                                .now_ms = loop_wall_ms(conn_room(k->conn)->loop)};
    k->code = token_check(k->token, &terms, &k->claims, &k->reason);
    if (k->code == 0 && !tags_allowed(k->tags, &k->claims)) {
        token_claims_deinit(&k->claims);
        k->reason = "a tag that the token does not allow";
        k->code = CLOSE_TOKEN_REFUSED;
    }
}

// --- the product

static void deny(struct room_binding *b, const struct session_refusal *refusal) {
    room_binding_tell(b, &(struct session_event){.kind = EVENT_DENIED, .of.refusal = *refusal});
}

static struct room_binding *other_of_product(const struct room_binding *b, uint32_t number) {
    for (struct room_binding *o = b->conn->bindings; o; o = room_binding_next(o))
        if (o != b && o->product && o->product->number == number &&
            room_binding_state(o) != SESSION_REFUSED && room_binding_state(o) != SESSION_LEAVING)
            return o;
    return NULL;
}

void login_take_terms(struct room_binding *b, struct bind_terms *terms) {
    room_binding_wake(b)->expires_ms = terms->expires_ms; // before its names are set anew
    if (!room_binding_has_tags(b, terms->tags))
        session_has_others(room_binding_session(b));
    room_binding_name(b, room_binding_user(b), terms->tags);
    free(terms->tags);
    terms->tags = NULL;
}

// A Bind for what the connection holds already: new token and tags, the rest stays.
static void login_renew(struct room_binding *b, struct room_binding *old) {
    struct bind_terms terms = {b->of.awake->tags, b->of.awake->expires_ms};
    b->of.awake->tags = NULL;
    login_take_terms(old, &terms);
    conn_voice(b->conn)->say_bound(b->conn, &(struct bound){.binding = old});
    room_binding_end(b);
}

// One that is leaving is none any more.
static bool has_sixteen_others(const struct room_binding *b) {
    size_t held = 0;
    for (const struct room_binding *o = b->conn->bindings; o; o = room_binding_next(o))
        held += o != b && room_binding_state(o) != SESSION_LEAVING;
    return held >= BINDS_MAX;
}

static void login_admit(struct room_binding *b, const struct product *p) {
    struct conn *c = b->conn;
    struct room *r = conn_room(c);
    bool is_in = c->state == CONN_OPEN; // who is in stays, and may try again
    if (is_in && has_sixteen_others(b)) {
        deny(b, &(struct session_refusal){CLOSE_BUSY, BUSY_RETRY_MS, "at most 16 bindings"});
    } else if (cluster_store_ms(r->cluster) == 0) {
        deny(b,
             &(struct session_refusal){CLOSE_BUSY, BUSY_RETRY_MS, "no register has answered yet"});
    } else if (conn_may_take_place(c) && !admission_lets_in(&r->questions.logins)) {
        r->count.session.logins_put_off++;
        deny(b, &(struct session_refusal){
                    CLOSE_BUSY, admission_put_off(&r->questions.logins, loop_now_ms(r->loop)),
                    "others are logging in"});
    } else if (!conn_take_place(c)) {
        deny(b, &(struct session_refusal){is_in ? CLOSE_BUSY : CLOSE_TRY_ANOTHER,
                                          is_in ? BUSY_RETRY_MS : 0, ROOM_FULL_TEXT});
    } else {
        product_hold(b, p);
        r->places.holders++;
        room_binding_tell(b, &(struct session_event){.kind = EVENT_ADMITTED,
                                                     .of.order = ++r->questions.logins_asked});
    }
}

static void login_go_on(struct room_binding *b, const struct product *p,
                        struct token_claims *claims) {
    struct room_binding *old = other_of_product(b, p->number);
    room_binding_name(b, claims->user, b->of.awake->tags);
    b->of.awake->expires_ms = claims->expires_ms;
    token_claims_deinit(claims);
    if (old && strcmp(room_binding_user(old), room_binding_user(b)) == 0) {
        login_renew(b, old);
        return;
    }
    if (old)
        room_binding_end(old);
    if (!old && replaced_before_renewal(b, p->number))
        deny(b, &(struct session_refusal){CLOSE_REPLACED, 0, "replaced by a newer login"});
    else
        login_admit(b, p);
}

static void login_on_product(void *arg, int error, const struct product *p) {
    struct room_binding *b = arg;
    if (error == -HW_EUNKNOWN) {
        deny(b, &(struct session_refusal){CLOSE_PRODUCT_CLOSED, 0, "no such product"});
        return;
    }
    if (error != 0) {
        deny(b, &(struct session_refusal){CLOSE_BUSY, BUSY_RETRY_MS,
                                          "not every register can be asked for the product"});
        return;
    }
    const struct awake *a = b->of.awake;
    struct bind_check k = {.conn = b->conn, .token = a->token->text, .tags = a->tags};
    login_check(&k, p, a->token->glance.kid);
    if (k.code != 0)
        deny(b, &(struct session_refusal){k.code, 0, k.reason});
    else
        login_go_on(b, p, &k.claims);
}

// --- the Bind

// *ret_tags: the caller's to free; NULL = none.
static bool login_take_tags(const struct bind_request *bind, char **ret_tags) {
    struct buf tags = BUF_EMPTY;
    size_t bytes = 0;
    bool good = bind->tag_count <= TAGS_MAX;
    for (size_t i = 0; i < bind->tag_count && good; i++) {
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

static struct login_token *login_token_new(const struct bind_request *bind) {
    size_t len = strlen(bind->token) + 1;
    struct login_token *t = hw_malloc(sizeof(*t) + len);
    t->glance = bind->glance;
    memcpy(t->text, bind->token, len);
    return t;
}

// 0: just now. A room that reads slowly may read a Hello long after the standstill in which it
// came.
static uint64_t asked_since_ms(const struct conn *c) {
    uint64_t now = loop_now_ms(conn_room(c)->loop);
    if (c->state == CONN_HELLO && standstill_is_long(c->transit->came_ms, now))
        return c->transit->came_ms;
    return standstill_since_ms(&conn_room(c)->standstill, now);
}

// The product is asked for even when it is here, so that every answer comes later.
struct room_binding *login_begin(struct conn *c, const struct bind_request *bind) {
    struct session_terms terms = {.limits =
                                      bind->limits ? bind->limits : &conn_voice(c)->ack_limits};
    if (bind->is_have_good)
        terms.have = bind->have;
    memcpy(terms.wanted, bind->wanted, sizeof(terms.wanted));
    terms.is_clean = bind->is_clean;
    struct room_binding *b = room_binding_new(c, &terms);
    if (!b)
        return NULL;
    b->of.awake->token = login_token_new(bind);
    b->of.awake->asked_since_ms = asked_since_ms(c);
    if (!login_take_tags(bind, &b->of.awake->tags))
        deny(b, &(struct session_refusal){
                    CLOSE_MALFORMED, 0, "tags: at most 32 of 1..64 bytes, together at most 1 KiB"});
    else if (!bind->is_have_good)
        deny(b, &(struct session_refusal){CLOSE_MALFORMED, 0,
                                          "have: at most one position for each stream"});
    else if (bind->glance_fault)
        deny(b, &(struct session_refusal){CLOSE_TOKEN_REFUSED, 0, bind->glance_fault});
    else
        cluster_product_ask(conn_room(c)->cluster, bind->glance.product, bind->glance.kid,
                            login_on_product, b);
    return b;
}

// At once: for a product that is known here. true: the claims and the tags are the caller's to
// free.
static bool check_now(struct bind_check *k, const struct bind_request *bind,
                      const struct product *p, char **ret_tags) {
    k->code = CLOSE_TOKEN_REFUSED;
    *ret_tags = NULL;
    if (p && bind->is_have_good && !bind->glance_fault && login_take_tags(bind, ret_tags)) {
        k->tags = *ret_tags;
        login_check(k, p, bind->glance.kid);
    }
    if (k->code != 0)
        free(*ret_tags);
    return k->code == 0;
}

bool login_check_resume(const struct room_binding *b, const struct bind_request *bind,
                        struct bind_terms *ret_terms) {
    struct bind_check k = {.conn = b->conn, .token = bind->token};
    char *tags;
    if (!check_now(&k, bind,
                   cluster_product_by_number(binding_room(b)->cluster, b->product->number), &tags))
        return false;
    bool is_same = strcmp(k.claims.user, room_binding_user(b)) == 0;
    if (is_same)
        *ret_terms = (struct bind_terms){tags, k.claims.expires_ms};
    else
        free(tags);
    token_claims_deinit(&k.claims);
    return is_same;
}

struct room_binding *login_find_lingering(const struct conn *c, const struct bind_request *bind,
                                          struct bind_terms *ret_terms) {
    struct room *r = conn_room(c);
    struct bind_check k = {.conn = c, .token = bind->token};
    const struct product *p =
        cluster_product_find(r->cluster, bind->glance.product, strlen(bind->glance.product));
    char *tags;
    if (!r->lingerers || !check_now(&k, bind, p, &tags))
        return NULL;
    struct room_binding *b =
        lingerers_find(r, &(struct lingerer_name){p->number, k.claims.user, c->device});
    if (b)
        *ret_terms = (struct bind_terms){tags, k.claims.expires_ms};
    else
        free(tags);
    token_claims_deinit(&k.claims);
    return b;
}

const char *login_product_name(const struct room_binding *b) {
    if (b->product)
        return b->product->name;
    return b->of.awake->token ? b->of.awake->token->glance.product : "";
}
