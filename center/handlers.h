// The handler of each route. What routes.c has done before: the path is there and the caller may
// ask, the product exists, the user in the path is a valid id, the body is an object. Each handler
// has its request answered, now or later.
#ifndef HW_HANDLERS_H
#define HW_HANDLERS_H

struct http_request;
struct request;

// The handler of the HTTP server: self is a center.
void center_request(void *self, struct http_request *r);

// products.c
void handle_products_list(struct request *q);
void handle_product_put(struct request *q);
void handle_product_patch(struct request *q);
void handle_product_get(struct request *q);
void handle_product_delete(struct request *q);
// keys.c
void handle_key_new(struct request *q);
void handle_keys_list(struct request *q);
void handle_key_delete(struct request *q);
// tokens.c
void handle_token(struct request *q);
// push_call.c
void handle_push(struct request *q);
void handle_batch(struct request *q);
// jobs.c
void handle_jobs(struct request *q);
// recall.c
void handle_recall(struct request *q);
// users.c
void handle_user(struct request *q);
void handle_users_query(struct request *q);
// outcomes.c
void handle_message(struct request *q);
void handle_message_users(struct request *q);
void handle_message_user(struct request *q);
void handle_user_messages(struct request *q);
// parked.c
void handle_parked(struct request *q);
void handle_parked_delete(struct request *q);
void handle_redeliver(struct request *q);
// stats.c
void handle_product_stats(struct request *q);
void handle_stats(struct request *q);
// members.c
void handle_cluster(struct request *q);
void handle_drain(struct request *q);
// openapi.c
void handle_openapi(struct request *q);
// health.c
void handle_healthz(struct request *q);
void handle_readyz(struct request *q);
const char *center_unready(void *self); // a center; NULL: it is ready

#endif
